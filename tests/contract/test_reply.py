"""Every reply that the engine can write is one that the schema describes."""

import itertools
import json
import random

import pytest

import generate
import schemas
from probe import command_record, record

SEED = 20260131
ENDED = {"status": 404, "body": json.dumps({"error": {"code": "8522", "message": "not found"}})}
FOREVER = {"repeat": True}


def plain(*users, **members):
    people = [{"identity": {"user": {"id": user}}} for user in users or ("somebody",)]
    return {"callId": "a-call", "participants": people, **members}


def error(status, code):
    return {"status": status, "body": json.dumps({"error": {"code": code, "message": "no"}})}


def accepted(**operation):
    body = {"id": "an-operation", "status": "Running", **operation}
    return {"status": 200, "body": json.dumps(body), "requestId": "r", "clientRequestId": "c"}


# What Graph answers, for ever: the status of the reply and its error.code.
ENDINGS = {
    "accepted": (accepted(), "accepted", None),
    "without a body": ({"status": 200, "location": "https://a/operations/b"}, "accepted", None),
    "body is null": ({"status": 200, "body": "null", "location": "/b"}, "accepted", None),
    "has a result": (accepted(resultInfo={"code": 400, "subcode": 1}), "accepted", None),
    "unnamed operation": ({"status": 200}, "unknown", "outcome-unknown"),
    "throttled": ({"status": 429}, "failed", "throttled"),
    "throttled for long": ({"status": 429, "retryAfter": "99999.5"}, "failed", "throttled"),
    "busy": ({"status": 503, "retryAfter": "9999"}, "failed", "throttled"),
    "never reached": ({"progress": "not-sent", "problem": "refused"}, "failed", "unavailable"),
    "token refused": ({"status": 401}, "failed", "unauthorized"),
    "not registered": (error(403, "7503"), "failed", "misconfigured"),
    "no permission": (error(403, "7504"), "failed", "misconfigured"),
    "redirected": ({"status": 302, "location": "/x"}, "failed", "misconfigured"),
    "other tenant": (error(403, "7505"), "failed", "refused"),
    "bad request": (error(400, "BadRequest"), "failed", "refused"),
    "conflict": (error(409, "x"), "failed", "refused"),
    "call is over": (ENDED, "failed", "call-over"),
    "broken": ({"progress": "broken", "problem": "reset"}, "unknown", "outcome-unknown"),
    "server error": ({"status": 500, "body": "<html>"}, "unknown", "outcome-unknown"),
    "gateway timeout": ({"status": 504}, "unknown", "outcome-unknown"),
}
REJECTED = {
    "malformed": record(b"a-call", b"{"),
    "invalid": command_record(plain(x=1)),
    "key-mismatch": record(b"another", json.dumps(plain())),
    "unknown-tenant": command_record(plain(tenantId="another")),
}
EXPIRED = {
    "expired": command_record(plain(expiresAt="2020-01-01T00:00:00Z")),
    "too-old": command_record(plain(), timestamp=1_500_000_000_000),
}


def reply_to(probe, schema, one, *answers, **options):
    run = probe.run([one], answers, **options)
    assert run.stored == 1
    (written,) = run.replies
    reply = written.json()
    schema.validate(reply)
    return reply


@pytest.mark.parametrize("name", ENDINGS)
def test_each_answer_gives_its_status(probe, reply_schema, name):
    answer, status, code = ENDINGS[name]
    reply = reply_to(probe, reply_schema, command_record(plain("a", "b")), answer, repeat=True)
    assert reply["status"] == status
    assert (reply["error"] or {}).get("code") == code
    assert [one["status"] for one in reply["participants"]] == [status] * 2


@pytest.mark.parametrize("code", REJECTED)
def test_each_fault_gives_its_code(probe, reply_schema, code):
    reply = reply_to(probe, reply_schema, REJECTED[code])
    assert (reply["status"], reply["error"]["code"]) == ("rejected", code)
    assert reply["participants"] == reply["operations"] == []


@pytest.mark.parametrize("code", EXPIRED)
def test_what_is_late_is_not_sent(probe, reply_schema, code):
    reply = reply_to(probe, reply_schema, EXPIRED[code])
    assert (reply["status"], reply["error"]["code"]) == ("expired", code)
    assert reply["attempts"] == 0 and reply["timing"]["sentAt"] is None


def test_participants_that_differ_make_a_partial_reply(probe, reply_schema):
    answers = [error(400, "x"), accepted(), error(400, "x")]
    reply = reply_to(probe, reply_schema, command_record(plain("a", "b")), *answers)
    assert reply["status"] == "partial"
    assert [one["status"] for one in reply["participants"]] == ["accepted", "failed"]
    assert reply["participants"][0]["operation"] == 0
    assert reply["error"]["code"] == "refused"


LOST = {"progress": "broken", "problem": "reset"}


def test_what_graph_shows_among_its_operations_is_reconciled(probe, reply_schema):
    found = {"id": "42", "status": "Completed", "clientContext": "mine"}
    reply = reply_to(probe, reply_schema, command_record(plain("a", clientContext="mine")), LOST,
                     operations=json.dumps({"value": [found]}))
    assert (reply["status"], reply["evidence"]) == ("reconciled", "operation")
    assert reply["operations"][0]["id"] == "42"
    assert reply["participants"] == [
        {"index": 0, "status": "reconciled", "operation": 0, "error": None}]


def test_who_is_on_the_roster_is_reconciled(probe, reply_schema):
    person = {"info": {"identity": {"user": {"id": "a"}}}}
    reply = reply_to(probe, reply_schema, command_record(plain("a")), LOST,
                     roster=json.dumps({"value": [person]}))
    assert (reply["status"], reply["evidence"]) == ("reconciled", "roster")
    assert reply["operations"] == []


def test_the_same_command_again_is_a_duplicate_of_the_first(probe, reply_schema):
    run = probe.run([command_record(plain(commandId="one"))] * 2)
    first, second = (written.json() for written in run.replies)
    reply_schema.validate(second)
    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    assert second["duplicateOf"] == first["source"]
    assert len(run.posts) == 1


def test_another_command_with_the_same_id_is_rejected(probe, reply_schema):
    run = probe.run([command_record(plain(user, commandId="one")) for user in "ab"])
    (reply,) = [one.json() for one in run.replies if one.json()["status"] == "rejected"]
    reply_schema.validate(reply)
    assert (reply["error"]["code"], "offset 0" in reply["error"]["message"]) == ("reused-id", True)
    assert len(run.posts) == 1


def withdrawal(**members):
    return command_record({"callId": "a-call", "cancel": "one", **members})


def test_a_withdrawn_command_and_its_cancel_are_both_replied_to(probe, reply_schema):
    records = [command_record(plain("a", "b", commandId="one")), withdrawal(commandId="x")]
    run = probe.run(records)
    command, cancel = (written.json() for written in run.replies)
    for reply in (command, cancel):
        reply_schema.validate(reply)
        assert reply["status"] == "canceled"
    assert [one["status"] for one in command["participants"]] == ["canceled"] * 2
    assert (command["error"]["code"], command["cancel"]) == ("canceled", None)
    assert (cancel["cancel"], cancel["commandId"], cancel["callId"]) == ("one", "x", "a-call")
    assert (cancel["participants"], cancel["operations"], cancel["error"]) == ([], [], None)
    assert run.posts == run.dead_letters == []


def test_a_cancel_in_vain_says_why(probe, reply_schema):
    for records, code in (
        [[command_record(plain(commandId="one")), withdrawal(), withdrawal()], "too-late"],
        [[withdrawal()], "not-found"],
    ):
        run = probe.run(records)
        last = len(records) - 1
        (reply,) = (
            one.json() for one in run.replies if one.json()["source"]["offset"] == last)
        reply_schema.validate(reply)
        assert (reply["status"], reply["error"]["code"]) == ("failed", code)
        assert reply["cancel"] == "one" and reply["participants"] == []
        assert run.dead_letters == []


def test_every_code_and_status_of_the_schema_was_shown(reply_schema):
    codes = {code for _, _, code in ENDINGS.values()} | set(REJECTED) | set(EXPIRED)
    codes |= {"reused-id", "canceled", "too-late", "not-found"}
    schema = reply_schema.schema
    assert codes - {None} == set(schema["definitions"]["error"]["properties"]["code"]["enum"])
    statuses = {status for _, status, _ in ENDINGS.values()} | {
        "rejected", "expired", "partial", "reconciled", "duplicate", "canceled"}
    assert statuses == set(schema["properties"]["status"]["enum"])


def test_graphs_answer_is_passed_on_field_by_field(probe, reply_schema):
    answer = {
        "status": 200, "location": "https://graph.example/v1.0/x/operations/42?a=\"b\"",
        "requestId": "request\t1", "clientRequestId": "client-1",
        "body": json.dumps({"id": "42", "status": "NotStarted", "clientContext": "mine",
                            "resultInfo": {"code": 0, "x": ["é", None]}}),
    }
    reply = reply_to(probe, reply_schema, command_record(plain(clientContext="mine")), answer)
    assert reply["operations"] == [{
        "id": "42", "location": answer["location"], "status": "notstarted",
        "clientContext": "mine", "httpStatus": 200, "requestId": "request\t1",
        "clientRequestId": "client-1", "resultInfo": {"code": 0, "x": ["é", None]},
    }]


def test_a_location_that_graph_left_out_is_built(probe, reply_schema):
    reply = reply_to(probe, reply_schema, command_record(plain()), accepted())
    assert reply["operations"][0]["location"] == (
        "https://graph.microsoft.com/v1.0/communications/calls/a-call/operations/an-operation")


def test_a_reply_says_whose_it_is(probe, reply_schema):
    command = plain(commandId="é\n\"", clientContext="c\\", tenantId=schemas.TENANT)
    reply = reply_to(probe, reply_schema, command_record(command))
    shown = {name: reply[name] for name in ("commandId", "callId", "clientContext", "tenantId")}
    assert shown == {name: command[name] for name in shown}
    assert reply["source"] == {"topic": "invite-commands", "partition": 0, "offset": 0}
    assert reply_to(probe, reply_schema, command_record(plain()))["commandId"] == (
        "invite-commands-0-0")


@pytest.mark.parametrize("flaw", ["missing", "unknown", "null", "text"])
def test_the_schema_is_closed_everywhere(probe, reply_schema, flaw):
    """The schema refuses a reply with one wrong member, wherever it is."""
    answers = [error(400, "x"), accepted(resultInfo={}), error(400, "x")]
    good = reply_to(probe, reply_schema, command_record(plain("a", "b")), *answers)
    for path in paths(good):
        reply = json.loads(json.dumps(good))
        place = at(reply, path)
        name = next(iter(place))
        if flaw == "missing":
            del place[name]
        elif flaw == "unknown":
            place["x"] = None
        elif flaw == "null":
            place[next(key for key in place if not allows_null(key))] = None
        else:
            place[name] = {"x": 1}
        assert not reply_schema.is_valid(reply), (path, flaw)


def allows_null(name):
    return name in ("clientContext", "duplicateOf", "cancel", "evidence", "error", "operation",
                    "graphCode", "callId", "httpStatus", "sentAt", "answeredAt", "receivedAt")


def paths(value, path=()):
    if isinstance(value, dict) and path[-1:] != ("resultInfo",):
        yield path
        for name, member in value.items():
            yield from paths(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*path, index))


def at(value, path):
    for step in path:
        value = value[step]
    return value


BODIES = [
    "", "null", "[]", "{}", "5", '"x"', "{", "<html>", "\ufeff{}", '{"id":5}', '{"id":"é\\n\\""}',
    '{"id":"x","status":5}', '{"id":"x","status":"' + "S" * 100 + '"}', '{"id":"../.."}',
    '{"id":"x","resultInfo":{"x":' + "[" * 500 + "]" * 500 + "}}", '{"id":"x","resultInfo":[]}',
    '{"id":"x","clientContext":5}', '{"error":null}', '{"error":"x"}', '{"error":{}}',
    '{"error":{"code":5,"message":[]}}', '{"error":{"code":"' + "é" * 100 + '"}}',
    '{"error":{"code":"a\\nb","message":"c\\r\\nd"}}', '{"error":{"message":"' + "é" * 600 + '"}}',
    json.dumps({"error": {"code": "UnknownError",
                          "message": '{"errorCode":"7505","message":"x"}'}}),
    '{"error":{"code":"x","innerError":{"code":"7503"}}}', "\xff\xfe", '{"id":"\\ud800"}',
    '{"id":"a","id":"b"}',
]
HEADERS = [None, "", "x", "\x01\x7f\t", "é", "a/b/", "https://a/operations/b", "-1", "0", "2.5",
           "99999999999999999999", "Sat, 31 Jan 2026 12:00:00 GMT"]


def random_answer(generator):
    progress = generator.choice(["no-token", "not-sent", "broken"] + ["complete"] * 9)
    status = generator.choice([100, 200, 201, 204, 299, 302, 400, 401, 403, 404, 408, 409, 429, 500,
                               502, 503, 504, 999, 0])
    answer = {"progress": progress, "status": status if progress == "complete" else 0,
              "body": generator.choice(BODIES).encode("latin-1", errors="ignore")}
    for name in ("location", "retryAfter", "requestId", "clientRequestId", "problem"):
        answer[name] = generator.choice(HEADERS)
    return answer


def test_every_reply_to_random_commands_and_answers_is_valid(probe, reply_schema):
    generator = random.Random(SEED)
    statuses = set()
    for number in range(800):
        records = [record(*generate.record(generator)) for _ in range(generator.randrange(1, 6))]
        answers = [random_answer(generator) for _ in range(generator.randrange(8))]
        run = probe.run(records, answers)
        assert len(run.replies) == len(records) == run.stored, f"run {number}"
        for written in run.replies:
            reply = written.json()
            reply_schema.validate(reply)
            statuses.add(reply["status"])
            assert_consistent(reply, run)
    assert statuses == {
        "accepted", "failed", "rejected", "expired", "unknown", "partial", "canceled"}


def assert_consistent(reply, run):
    """What a schema cannot say."""
    assert [one["index"] for one in reply["participants"]] == list(
        range(len(reply["participants"])))
    for one in reply["participants"]:
        assert (one["error"] is None) == (one["status"] == "accepted")
        assert (one["operation"] is None) == (one["status"] != "accepted")
        if one["operation"] is not None:
            assert one["operation"] < len(reply["operations"])
    used = {one["operation"] for one in reply["participants"]} - {None}
    assert used == set(range(len(reply["operations"])))
    statuses = {one["status"] for one in reply["participants"]}
    if reply["cancel"] is not None and reply["status"] != "rejected":
        assert not statuses and reply["status"] in ("canceled", "failed")
        assert (reply["error"] is None) == (reply["status"] == "canceled")
        return
    statuses = statuses or {"rejected"}
    assert reply["status"] == (statuses.pop() if len(statuses) == 1 else "partial")
    assert (reply["error"] is None) == (reply["status"] == "accepted")
    assert reply["attempts"] <= len(run.posts)


def test_tables_of_the_core_are_those_of_the_schema(probe, reply_schema):
    tables = probe.tables()
    schema = reply_schema.schema
    properties = schema["properties"]
    definitions = schema["definitions"]
    assert definitions["error"]["properties"]["code"]["enum"] == tables["reasons"]
    assert properties["status"]["enum"] == [s for s in tables["statuses"] if s != "pending"]
    assert definitions["participant"]["properties"]["status"]["enum"] == [
        status for status in tables["statuses"] if status not in ("pending", "rejected", "partial")]
    waited = properties["timing"]["properties"]["waitedFor"]
    assert list(waited["properties"]) == waited["required"] == tables["waits"]


def test_every_object_of_the_schema_is_closed(reply_schema):
    for one in objects(reply_schema.schema):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])


def objects(schema):
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            yield schema
        yield from itertools.chain.from_iterable(map(objects, schema.values()))
    elif isinstance(schema, list):
        yield from itertools.chain.from_iterable(map(objects, schema))
