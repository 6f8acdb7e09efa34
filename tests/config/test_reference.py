"""What is generated from the table of options is what stands in config/, and it is right."""

import json
import re

import jsonschema
import pytest
import yaml

import reference
from program import run

HOW = "differs from the table of options: run /usr/bin/python3 tests/config/reference.py"


@pytest.mark.parametrize("topic", reference.WHOLE_FILES)
def test_a_generated_file_is_up_to_date(topic):
    path = reference.CONFIG / reference.WHOLE_FILES[topic]
    assert path.read_text() == reference.generated(topic), f"{path.name} {HOW}"


@pytest.mark.parametrize("topic", reference.PARTS_OF_README)
def test_a_generated_part_of_the_readme_is_up_to_date(topic):
    text = (reference.CONFIG / "README.md").read_text()
    (match,) = reference.part(topic).finditer(text)
    assert match[2] == reference.generated(topic), f"README.md {HOW}"


@pytest.fixture(name="validator")
def make_validator():
    schema = json.loads(reference.generated("schema"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def example():
    return (reference.CONFIG / "invite-worker.yaml").read_text()


OTHER_CREDENTIALS = r"  (certificate|certificate_key|federated_token)_file: "


def uncommented():
    """The example with every default in force, and one way to sign in."""
    lines = [re.sub("^# (delivery: )", r"\1", line) for line in example().splitlines()]
    options = [line.replace("  # ", "  ", 1) for line in lines if ": " in line or line[-1:] == ":"]
    options = [line for line in options if not re.match(OTHER_CREDENTIALS, line)]
    text = "\n".join(line for line in options if not line.startswith("#"))
    return "\n".join(line for line in text.splitlines() if is_yaml_option(line))


def is_yaml_option(line):
    """Not a sentence of the comments that happens to contain a colon."""
    name = line.strip().split(":")[0]
    return " " not in name


def test_the_schema_accepts_the_example(validator):
    validator.validate(yaml.safe_load(example()))


def test_the_schema_accepts_every_default(validator):
    document = yaml.safe_load(uncommented())
    validator.validate(document)
    assert document["batch"] == {"window": "20ms", "max_participants": 5, "phones_alone": True}
    sections = json.loads(reference.generated("schema"))["properties"]
    assert document["delivery"] == sections["delivery"]["default"]
    for name in set(sections) - {"kafka", "login", "delivery"}:
        assert set(document[name]) == set(sections[name]["properties"])


def test_the_worker_accepts_every_default(tmp_path):
    path = tmp_path / "worker.yaml"
    path.write_text(uncommented())
    env = {
        "INVITE_WORKER_LOGIN_CLIENT_SECRET": "x",
        "INVITE_WORKER_KAFKA_SASL_PASSWORD": "x",
    }
    result = run("check", "-c", path, env=env)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_worker_accepts_the_example():
    path = reference.CONFIG / "invite-worker.yaml"
    result = run("check", "-c", path, env={"INVITE_WORKER_LOGIN_CLIENT_SECRET": "x"})
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "text",
    [
        "btch: {}",
        "batch: {windw: 1s}",
        "batch: {window: 20}",
        "batch: {window: 1.5s}",
        "batch: {max_participants: 6}",
        "batch: {max_participants: '5'}",
        "batch: {phones_alone: 1}",
        "batch: []",
        "rate: {call: 0}",
        "rate: {call: fast}",
        "log: {level: loud}",
        "delivery: sometimes",
        "delivery: {value: exactly-once}",
        "delivery:",
        "topics: {replies: a/b}",
        "topics: {replies: ''}",
        "commands: {copy_headers: a}",
        "commands: {copy_headers: [a, a]}",
        "graph: {url: 'ftp://a'}",
        "graph: {url: 'https://a?b'}",
        "admin: {port: 65536}",
        "kafka: {Acks: 1}",
        "kafka: {acks: [1]}",
        "[]",
    ],
)
def test_the_schema_refuses_what_check_refuses(validator, tmp_path, text):
    assert not validator.is_valid(yaml.safe_load(text))
    path = tmp_path / "worker.yaml"
    path.write_text(text)
    assert ":1:" in run("check", "-c", path).stderr


@pytest.mark.parametrize(
    "text",
    ["", "batch:", "batch: {window: 0}", "consumer: {instance_id: 7}", "rate: {call: 0.5}",
     "delivery: at-least-once",
     "graph: {proxy: ''}", "kafka: {socket.keepalive.enable: true, sasl.password_file: /x}"],
)
def test_the_schema_accepts_what_check_accepts(validator, text):
    validator.validate(yaml.safe_load(text))
