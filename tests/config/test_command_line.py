"""The command line: what it prints, and its exit codes."""

import pytest

from program import USAGE, run


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["check"], ["run"], ["fly"], ["check", "-c"], ["check", "--nonsense"],
        ["check", "-c", "a", "b"], ["check", "-c", "a", "-c", "b"], ["help", "nonsense"],
        ["help", "-c", "a"], ["help", "options", "schema"],
        ["ledger", "-c", "a"], ["ledger", "show"], ["ledger", "dance", "-c", "a"],
        ["ledger", "accept", "-c", "a"], ["ledger", "repair", "-c", "a"],
        ["ledger", "show", "-c", "a", "--partition", "x"],
        ["ledger", "show", "-c", "a", "--partition", "-1"],
        ["ledger", "show", "-c", "a", "--partition", "3000000000"],
        ["ledger", "show", "-c", "a", "--offset", "1"],
        ["ledger", "show", "-c", "a", "--dry-run"],
        ["ledger", "accept", "-c", "a", "--partition", "0", "--json"],
        ["ledger", "repair", "-c", "a", "--partition", "0", "--offset", "1"],
        ["check", "-c", "a", "--partition", "0"], ["run", "-c", "a", "--dry-run"],
        ["redrive"], ["redrive", "show", "-c", "a"], ["redrive", "-c", "a", "--partition", "0"],
        ["redrive", "-c", "a", "--reason", "nonsense"], ["redrive", "-c", "a", "--since", "today"],
        ["redrive", "-c", "a", "--call", "a/b"], ["redrive", "-c", "a", "--limit", "-1"],
        ["redrive", "-c", "a", "--since", "2026-01-31T12:00:00Z",
         "--until", "2026-01-31T12:00:00Z"],
        ["ledger", "show", "-c", "a", "--limit", "1"], ["run", "-c", "a", "--from-beginning"],
    ],
)
def test_a_wrong_command_line_ends_with_64(arguments):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (USAGE, "")
    assert result.stderr != ""


def test_the_version_is_one_line():
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("invite-worker ")
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--help"], ["help"]])
def test_help_names_commands_and_options(arguments):
    result = run(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    for text in (
        "ledger show -c FILE", "redrive -c FILE", "check -c FILE", "run -c FILE",
        "batch.window = 20ms",
        "78 configuration",
    ):
        assert text in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_help_for_an_unknown_topic_names_those_that_there_are():
    result = run("help", "nonsense")
    (line,) = result.stderr.splitlines()
    named = line.partition("help knows ")[2].partition(", not 'nonsense'")[0]
    topics = named.replace(" and ", ", ").split(", ")
    assert "replies" in topics and "answers" in topics
    assert f"help [{'|'.join(topics)}]" in run("--help").stdout
    for topic in topics:
        assert run("help", topic).returncode == 0


@pytest.mark.parametrize("command", [["run"], ["ledger", "show"], ["redrive"]])
def test_a_mistake_in_the_configuration_ends_it_with_78(tmp_path, command):
    path = tmp_path / "worker.yaml"
    path.write_text("batch: {window: 1}\n")
    result = run(*command, "-c", path)
    assert result.returncode == 78
    assert f"{path}:1:17: batch.window: " in result.stderr
