"""Secrets come from one place, and no place prints them. Variables of the environment."""

import pytest

from program import KAFKA, LOGIN, MISTAKES

SECRET = "s3cr3t-that-nobody-may-see"
IDS = "tenant_id: t.example, client_id: app"
VARIABLE = "INVITE_WORKER_LOGIN_CLIENT_SECRET"


def unseen(result):
    assert SECRET not in result.stdout + result.stderr
    return result


def login(options):
    return f"login: {{{IDS}, {options}}}\n" + KAFKA


def test_a_literal_is_taken_with_a_warning(file):
    result = unseen(file.check(login(f"client_secret: {SECRET}")))
    assert result.returncode == 0
    assert file.problems(result) == [
        "1:62: warning: login.client_secret: a secret stands in the file; better use "
        "client_secret_file or client_secret_credential"
    ]


def test_a_file_is_taken_without_a_word(file):
    file.secret.write_text(SECRET + "\n")
    result = unseen(file.check(login(f"client_secret_file: {file.secret}")))
    assert (result.returncode, result.stderr) == (0, "")


def test_a_credential_of_systemd_is_taken(file):
    (file.directory / "name").write_text(SECRET)
    env = {"CREDENTIALS_DIRECTORY": str(file.directory)}
    result = unseen(file.check(login("client_secret_credential: name"), env))
    assert (result.returncode, result.stderr) == (0, "")


def test_a_credential_needs_its_directory(file):
    result = file.check(login("client_secret_credential: name"))
    (line,) = file.problems(result)
    assert "CREDENTIALS_DIRECTORY is not set" in line
    assert result.returncode == MISTAKES


@pytest.mark.parametrize("name", ["../secret", ".", "a/b"])
def test_a_credential_stays_in_its_directory(file, name):
    env = {"CREDENTIALS_DIRECTORY": str(file.directory)}
    result = file.check(login(f"client_secret_credential: {name}"), env)
    (line,) = file.problems(result)
    assert line.endswith("expected the name of a credential, without '/'")


def test_the_environment_wins_over_the_file(file):
    result = unseen(file.check(login("client_secret_file: /nowhere"), {VARIABLE: SECRET}))
    assert (result.returncode, result.stderr) == (0, "")


def test_the_environment_may_name_a_file(file):
    env = {
        VARIABLE + "_FILE": str(file.secret),
        "INVITE_WORKER_LOGIN_TENANT_ID": "t",
        "INVITE_WORKER_LOGIN_CLIENT_ID": "c",
    }
    assert file.check(KAFKA, env).returncode == 0


@pytest.mark.parametrize("other", ["client_secret_file: /nowhere", "client_secret_credential: a"])
def test_two_sources_are_a_mistake(file, other):
    result = unseen(file.check(login(f"client_secret: {SECRET}, {other}")))
    assert "is given twice: only one of the value, _file and _credential" in result.stderr
    assert result.returncode == MISTAKES


CONTENTS = {
    "is empty": b"\n",
    "is longer than 16384 bytes": b"x" * 16385,
    "the file contains the character NUL": b"a\0b",
}


@pytest.mark.parametrize("message", CONTENTS)
def test_a_file_must_hold_a_secret(file, message):
    file.secret.write_bytes(CONTENTS[message])
    result = file.check(login(f"client_secret_file: {file.secret}"))
    (line,) = file.problems(result)
    assert line.endswith(f"login.client_secret: {message}")
    assert result.returncode == MISTAKES


def test_a_file_may_be_as_long_as_the_limit(file):
    file.secret.write_bytes(b"x" * 16384 + b"\r\n")
    assert file.check(login(f"client_secret_file: {file.secret}")).returncode == 0


def test_a_secret_in_the_place_of_a_path_is_not_repeated(file):
    unseen(file.check(login(f"client_secret_file: {SECRET}")))
    env = {"CREDENTIALS_DIRECTORY": str(file.directory)}
    unseen(file.check(login(f"client_secret_credential: {SECRET}"), env))


@pytest.mark.parametrize("name", ["sasl.password", "ssl.key.password", "ssl.key.pem"])
def test_a_secret_of_kafka_is_never_printed(file, name):
    text = LOGIN % file.secret + f"kafka: {{bootstrap.servers: 'a:1', {name}: {SECRET}}}\n"
    result = unseen(file.check(text))
    assert f"kafka.{name}: a secret stands in the file; better use {name}_file" in result.stderr


def test_a_secret_of_kafka_may_come_from_a_file(file):
    text = LOGIN % file.secret + "kafka:\n  bootstrap.servers: a:1\n"
    result = file.check(text + f"  sasl.password_file: {file.secret}\n")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_secret_of_kafka_may_come_from_the_environment(file):
    env = {"INVITE_WORKER_KAFKA_SASL_PASSWORD": SECRET}
    result = unseen(file.complete("", env))
    assert (result.returncode, result.stderr) == (0, "")
    env = {"INVITE_WORKER_KAFKA_SASL_PASSWORD_FILE": "/nowhere"}
    assert file.complete("", env).returncode == MISTAKES


def test_a_mistake_in_the_environment_names_its_variable(file):
    env = {"INVITE_WORKER_BATCH_WINDOW": "soon", "INVITE_WORKER_KAFKA_ACKS": "0"}
    result = file.complete("", env)
    lines = sorted(result.stderr.splitlines())
    assert lines[0].startswith("INVITE_WORKER_BATCH_WINDOW: batch.window: expected a duration")
    assert lines[1].startswith("INVITE_WORKER_KAFKA_ACKS: kafka.acks: cannot be set: ")
    assert result.returncode == MISTAKES


def test_an_unknown_variable_is_only_a_warning(file):
    result = file.complete("", {"INVITE_WORKER_BATCH_WINDW": "1s"})
    assert result.stderr == (
        "INVITE_WORKER_BATCH_WINDW: warning: is not used: there is no such option; did you mean "
        "INVITE_WORKER_BATCH_WINDOW?\n"
    )
    assert result.returncode == 0


def test_variables_that_kubernetes_makes_for_a_service_are_left_alone(file):
    env = {"INVITE_WORKER_SERVICE_HOST": "10.0.0.1", "INVITE_WORKER_PORT": "tcp://10.0.0.1:9464"}
    assert file.complete("", env).stderr == ""
