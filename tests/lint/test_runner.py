"""What tests/run says of a run: it must not call good what did not happen."""

import pathlib
import subprocess
import sys

import summary

RUN = pathlib.Path(__file__).resolve().parents[1] / "run"
PASSED = '<testcase name="a" status="run"/>'
FAILED = '<testcase name="b" status="fail"><failure message="no"/></testcase>'
SKIPPED = '<testcase name="c" status="notrun"><skipped/><system-out>{}</system-out></testcase>'


def outcome(tmp_path, capsys, cases, broken=()):
    """Exit status and last line for a run with these cases."""
    (tmp_path / "release.xml").write_text(f"<testsuite>{cases}</testsuite>")
    status = summary.main(tmp_path, list(broken))
    return status, capsys.readouterr().out.splitlines()[-1]


def test_all_passed(tmp_path, capsys):
    assert outcome(tmp_path, capsys, PASSED) == (0, "1 passed, 0 failed")


def test_one_failed(tmp_path, capsys):
    assert outcome(tmp_path, capsys, PASSED + FAILED) == (1, "1 passed, 1 failed")


def test_nothing_ran(tmp_path, capsys):
    assert outcome(tmp_path, capsys, "") == (1, "0 passed, 0 failed")


def test_a_build_that_broke_is_a_failure(tmp_path, capsys):
    assert outcome(tmp_path, capsys, PASSED, ["build"]) == (1, "1 passed, 1 failed")


def test_a_skip_without_a_good_reason_is_a_failure(tmp_path, capsys):
    cases = PASSED + SKIPPED.format("not today")
    assert outcome(tmp_path, capsys, cases) == (1, "1 passed, 1 failed")


def test_what_cannot_run_here_is_counted_apart(tmp_path, capsys):
    cases = PASSED + SKIPPED.format("x\nimpossible here: no such device\n")
    assert outcome(tmp_path, capsys, cases) == (0, "1 passed, 0 failed, 1 skipped")


def test_nothing_but_skips_is_no_success(tmp_path, capsys):
    cases = SKIPPED.format("impossible here: no such device\n")
    assert outcome(tmp_path, capsys, cases)[0] == 1


def pytest_status(tmp_path, reason):
    path = tmp_path / "test_sample.py"
    path.write_text(f"import pytest\n\n\ndef test_it():\n    pytest.skip({reason!r})\n")
    command = [sys.executable, "-m", "pytest", "-p", "skips", "-p", "no:cacheprovider", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_python_test_may_skip_only_what_is_impossible(tmp_path):
    assert pytest_status(tmp_path, "impossible here: no such device") == 77
    assert pytest_status(tmp_path, "no time") == 1


def test_an_unknown_label_is_refused():
    done = subprocess.run([RUN, "kernel"], capture_output=True, text=True, check=False)
    assert done.returncode == 64 and "kernel" in done.stderr
