"""The documents of the contract hold together: examples, AsyncAPI, and what is said in words."""

import json
import re

import jsonschema
import pytest
import yaml

import schemas
from probe import ROOT, record

EXAMPLES = schemas.CONFIG / "examples"
COMMANDS = sorted(EXAMPLES.glob("command-*.json"))
REPLIES = sorted(EXAMPLES.glob("reply-*.json"))
QUICKSTART = sorted((ROOT / "deploy" / "quickstart.d").glob("*.json"))
OUTCOMES = sorted(EXAMPLES.glob("outcome-*.json"))
OPTIONS = schemas.CONFIG / "invite-worker.schema.json"


def load(path):
    return json.loads(path.read_text())


def name(path):
    return path.stem


@pytest.mark.parametrize("path", COMMANDS, ids=name)
def test_an_example_is_a_valid_command(probe, command_schema, path):
    command = load(path)
    command_schema.validate(command)
    valid, _, message = probe.parse(record(command["callId"], path.read_bytes()))
    assert valid, message


def test_the_example_of_a_cancel_withdraws_an_example(probe, command_schema, reply_schema):
    cancel = load(EXAMPLES / "cancel.json")
    command_schema.validate(cancel)
    path = EXAMPLES / "command-1-one-participant.json"
    run = probe.run([record(cancel["callId"], path.read_bytes()),
                     record(cancel["callId"], json.dumps(cancel))])
    replies = [one.json() for one in run.replies]
    for reply in replies:
        reply_schema.validate(reply)
    assert [one["status"] for one in replies] == ["canceled"] * 2
    assert replies[1]["cancel"] == load(path)["commandId"]


@pytest.mark.parametrize("path", REPLIES, ids=name)
def test_an_example_is_a_valid_reply(reply_schema, path):
    reply_schema.validate(load(path))


@pytest.mark.parametrize("path", OUTCOMES, ids=name)
def test_an_example_is_the_outcome_of_a_notification(probe, outcome_schema, path):
    example = load(path)
    outcome_schema.validate(example)
    call, operation = example["callId"], example["operationId"]
    body = {"value": [{
        "changeType": "deleted",
        "resourceUrl": f"/communications/calls/{call}/operations/{operation}",
        "resourceData": {"@odata.type": "#microsoft.graph.inviteParticipantsOperation",
                         **{name: example[name]
                            for name in ("status", "resultInfo", "clientContext")}},
    }]}
    (told,), _ = probe.tell(record(call, json.dumps(body)))
    assert (told[0].decode(), json.loads(told[1])) == (call, example)


def test_the_quickstart_sends_the_examples():
    assert len(QUICKSTART) == 5
    for path in QUICKSTART:
        example = load(EXAMPLES / f"command-{path.name}")
        del example["commandId"]
        assert load(path) == example, path.name


@pytest.mark.parametrize("path", COMMANDS, ids=name)
def test_an_example_has_the_requests_that_it_needs(probe, reply_schema, path):
    command = load(path)
    run = probe.run([record(command["callId"], path.read_bytes())])
    (reply,) = [one.json() for one in run.replies]
    reply_schema.validate(reply)
    assert (reply["status"], reply["commandId"]) == ("accepted", command["commandId"])
    replaces = [one for one in command["participants"] if one.get("replacesCallId")]
    assert len(run.posts) == max(1, len(replaces))
    assert len(reply["operations"]) == len(run.posts)


def test_the_reply_of_the_examples_is_one_of_the_engine(probe):
    """Apart from what differs at each run."""
    path = EXAMPLES / "command-1-one-participant.json"
    command = load(path)
    example = load(EXAMPLES / "reply-accepted.json")
    (operation,) = example["operations"]
    answer = {"status": 200, "requestId": operation["requestId"],
              "clientRequestId": operation["clientRequestId"],
              "body": json.dumps({"id": operation["id"], "status": "Running",
                                  "clientContext": command["clientContext"]})}
    run = probe.run([record(command["callId"], path.read_bytes())], [answer])
    assert run.replies[0].json() == example


def test_the_rejected_reply_of_the_examples_is_one_of_the_engine(probe):
    example = load(EXAMPLES / "reply-rejected.json")
    run = probe.run([record(example["callId"], json.dumps(
        {"callId": example["callId"], "participants": []}))])
    assert run.replies[0].json() == example


def asyncapi():
    return yaml.safe_load((schemas.CONFIG / "asyncapi.yaml").read_text())


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_of_asyncapi_resolves():
    document = asyncapi()
    found = set(references(document))
    assert {f"./{name}.schema.json" for name in ("command", "reply", "outcome")} <= found
    for reference in found:
        if reference.startswith("#/"):
            place = document
            for step in reference[2:].split("/"):
                place = place[step]
        else:
            jsonschema.Draft7Validator.check_schema(load(schemas.CONFIG / reference))


def test_asyncapi_uses_all_that_it_defines():
    document = asyncapi()
    found = set(references(document))
    for kind, members in document["components"].items():
        for member in members:
            assert f"#/components/{kind}/{member}" in found


def test_the_examples_of_asyncapi_are_valid(command_schema):
    examples = asyncapi()["components"]["messages"]["command"]["examples"]
    assert examples
    for example in examples:
        command_schema.validate(example["payload"])
    assert any("cancel" in example["payload"] for example in examples)


def test_asyncapi_names_the_default_topics():
    options = load(OPTIONS)["properties"]["topics"]["properties"]
    names = {"commands": "commands", "replies": "replies", "deadLetters": "dead_letters",
             "outcomes": "outcomes"}
    channels = asyncapi()["channels"]
    assert set(channels) == {*names, "notifications"}
    assert channels["notifications"]["address"] is None  # There is none by default
    for channel, option in names.items():
        assert channels[channel]["address"] == options[option]["default"]


def test_asyncapi_names_the_headers_that_are_copied_by_default():
    options = load(OPTIONS)["properties"]["commands"]["properties"]
    headers = asyncapi()["components"]["schemas"]
    assert list(headers["replyHeaders"]["properties"]) == options["copy_headers"]["default"]
    assert set(options["copy_headers"]["default"]) < set(headers["commandHeaders"]["properties"])


def test_asyncapi_names_the_headers_of_a_dead_letter(probe):
    headers = asyncapi()["components"]["schemas"]["deadLetterHeaders"]
    (letter,) = probe.run([record(b"a", b"{")]).dead_letters
    assert headers["required"] == list(headers["properties"]) == [n for n, _ in letter.headers]


def test_the_words_name_every_member_status_and_code(command_schema, reply_schema, outcome_schema):
    words = (schemas.CONFIG / "contract.md").read_text()
    quoted = set(re.findall(r"`([^`\n]+)`", words))
    reply = reply_schema.schema
    needed = set(command_schema.schema["properties"]) | set(reply["properties"])
    needed |= set(outcome_schema.schema["properties"])
    needed |= set(outcome_schema.schema["properties"]["source"]["enum"])
    needed |= set(reply["properties"]["status"]["enum"])
    needed |= set(reply["definitions"]["error"]["properties"]["code"]["enum"])
    needed |= set(asyncapi()["components"]["schemas"]["deadLetterHeaders"]["properties"])
    assert needed <= quoted
    for limit in ("65,536", "16", "100", "256", "128"):
        assert limit in words


def test_both_tell_producers_the_same_partitioner():
    words = (schemas.CONFIG / "contract.md").read_text()
    described = asyncapi()["channels"]["commands"]["description"]
    assert "murmur2_random" in words and "murmur2_random" in described
