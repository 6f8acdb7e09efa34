"""Whatever is wrong with a record: a rejected reply that says what to mend, and a dead letter."""

import json

import pytest

from probe import record

USER = {"identity": {"user": {"id": "somebody"}}}
COPIED = ("traceparent", b"00-1-2-01")
HEADERS = [COPIED, ("x", None), ("y", b"\xff\x00"), ("dead-letter-reason", b"forged")]


def command(**members):
    return json.dumps({"callId": "a-call", "participants": [USER], **members})


def only(**members):
    return json.dumps(members)


def identity(**members):
    return command(participants=[USER, {"identity": members}])


def text(raw):
    return command(commandId="@").encode().replace(b"@", raw)


SECOND = "$.participants[1]"
# The value; error.code; the JSON path and what was expected.
BAD = {
    "empty": (b"", "malformed", "$", "JSON object"),
    "a tombstone": (None, "malformed", "$", "JSON object"),
    "not JSON": (b"hello", "malformed", "$", "expected JSON"),
    "cut short": (command().encode()[:-1], "malformed", "$", "expected JSON"),
    "trailing text": (command().encode() + b"x", "malformed", "$", "expected JSON"),
    "an array": (b"[]", "malformed", "$", "JSON object"),
    "a number": (b"5", "malformed", "$", "JSON"),
    "a byte order mark": (b"\xef\xbb\xbf" + command().encode(), "malformed", "$", "expected JSON"),
    "a member twice": (b'{"callId":"a","callId":"b"}', "malformed", "$", "each member once"),
    "a deep member twice": (b'{"participants":[{"x":1,"x":1}]}', "malformed", "$", "member once"),
    "over 64 KiB": (command(clientContext="x" * 65536), "malformed", "$", "at most 65536 bytes"),
    "NUL": (text(b"\0"), "malformed", "$", "no NUL"),
    "escaped NUL": (text(b"\\u0000"), "malformed", "$", "expected JSON"),
    "invalid UTF-8": (text(b"\xc3"), "malformed", "$", "expected UTF-8"),
    "overlong UTF-8": (text(b"\xc0\xaf"), "malformed", "$", "expected UTF-8"),
    "half a surrogate pair": (text(b"\\ud800"), "malformed", "$", "expected JSON"),
    "nesting over 16": (command(participants=[{"x": json.loads("[" * 14 + "]" * 14)}]),
                        "malformed", "$", "16 levels"),
    "endless nesting": (b'{"participants":' + b"[" * 60000, "malformed", "$", "16 levels"),
    "an unknown member": (command(expiresat="x"), "invalid", "$.expiresat", "expiresAt"),
    "no callId": (only(participants=[USER]), "invalid", "$.callId", "required"),
    "callId null": (command(callId=None), "invalid", "$.callId", "required"),
    "callId a number": (command(callId=5), "invalid", "$.callId", "letters"),
    "callId empty": (command(callId=""), "invalid", "$.callId", "1 to 128"),
    "callId too long": (command(callId="a" * 129), "invalid", "$.callId", "1 to 128"),
    "callId a path": (command(callId="../x"), "invalid", "$.callId", "letters"),
    "callId dots": (command(callId=".."), "invalid", "$.callId", 'neither "."'),
    "another key": (command(callId="b"), "key-mismatch", "$.callId", "key"),
    "no participants": (only(callId="a-call"), "invalid", "$.participants", "required"),
    "participants empty": (command(participants=[]), "invalid", "$.participants", "1 to 100"),
    "101 participants": (command(participants=[USER] * 101), "invalid", "$.participants",
                         "1 to 100"),
    "participants an object": (command(participants={}), "invalid", "$.participants", "array"),
    "a participant a text": (command(participants=[USER, "x"]), "invalid", SECOND, "object"),
    "no identity": (command(participants=[USER, {}]), "invalid", f"{SECOND}.identity", "object"),
    "no id": (identity(user={}), "invalid", f"{SECOND}.identity", "with an id"),
    "a user a text": (identity(user="x"), "invalid", f"{SECOND}.identity.user", "object"),
    "an id a number": (identity(user={"id": 5}), "invalid", f"{SECOND}.identity.user.id", "string"),
    "an id too long": (identity(user={"id": "x" * 257}), "invalid", f"{SECOND}.identity.user.id",
                       "1 to 256"),
    "phone not E.164": (identity(phone={"id": "0123456"}), "invalid", f"{SECOND}.identity.phone.id",
                        "E.164"),
    "a wrong type": (identity(**{"@odata.type": "x"}), "invalid",
                     f"{SECOND}.identity['@odata.type']", "#microsoft.graph.identitySet"),
    "move without a call": (command(participants=[USER, {**USER, "participantId": "x"}]), "invalid",
                            f"{SECOND}.participantId", "replacesCallId"),
    "replace by a path": (command(participants=[USER, {**USER, "replacesCallId": "a/b"}]),
                          "invalid", f"{SECOND}.replacesCallId", "letters"),
    "hidden a text": (command(participants=[USER, {**USER, "hidden": "yes"}]), "invalid",
                      f"{SECOND}.hidden", "true or false"),
    "commandId too long": (command(commandId="x" * 129), "invalid", "$.commandId", "1 to 128"),
    "commandId a number": (command(commandId=5), "invalid", "$.commandId", "string"),
    "a context of the worker's form": (command(clientContext="iw:1a2b3c4d:0:7:1"), "invalid",
                                       "$.clientContext", 'does not begin with "iw:"'),
    "clientContext over 256": (command(clientContext="é" * 257), "invalid", "$.clientContext",
                               "1 to 256"),
    "another tenant": (command(tenantId="x"), "unknown-tenant", "$.tenantId", "configured"),
    "tenantId a list": (command(tenantId=[]), "invalid", "$.tenantId", "string"),
    "no date": (command(expiresAt="tomorrow"), "invalid", "$.expiresAt", "RFC 3339"),
    "no such day": (command(expiresAt="2026-02-30T00:00:00Z"), "invalid", "$.expiresAt",
                    "RFC 3339"),
    "no such priority": (command(priority="urgent"), "invalid", "$.priority", '"high"'),
    "no such onUnknown": (command(onUnknown=1), "invalid", "$.onUnknown", '"resend"'),
}


def encoded(value):
    return value.encode() if isinstance(value, str) else value


@pytest.fixture(name="run", params=BAD)
def run_bad(request, probe):
    """One bad record between two good ones."""
    value, code, path, expected = BAD[request.param]
    value = encoded(value)
    before, after = (record(b"a-call", command(commandId=name)) for name in ("before", "after"))
    bad = record(b"a-call", value if value is not None else b"", HEADERS)
    return probe.run([before, bad, after]), value or b"", code, path, expected


def test_bad_input_is_answered_and_stops_nothing(run, reply_schema):
    result, _, code, path, expected = run
    assert result.stored == 3
    replies = [one.json() for one in result.replies]
    assert sorted(one["status"] for one in replies) == ["accepted", "accepted", "rejected"]
    (written,) = [one for one in result.replies if one.json()["status"] == "rejected"]
    reply = written.json()
    reply_schema.validate(reply)
    assert written.key == (reply["callId"] or "a-call").encode()
    assert written.headers == (COPIED,)
    assert reply["error"]["code"] == code
    assert reply["error"]["message"].startswith(f"{path}: ")
    assert expected in reply["error"]["message"]
    assert reply["source"]["offset"] == 1
    assert reply["attempts"] == 0


def test_bad_input_is_kept_as_it_came(run):
    result, value, code, path, expected = run
    (letter,) = result.dead_letters
    assert letter.topic == "invite-dead-letters"
    assert (letter.key, letter.value) == (b"a-call", value)
    assert letter.headers[:3] == tuple(HEADERS[:3])
    names = [name for name, _ in letter.headers[3:]]
    assert names == [f"dead-letter-{what}" for what in
                     ("reason", "message", "topic", "partition", "offset")]
    reason, message, *place = [text.decode() for _, text in letter.headers[3:]]
    assert reason == code
    assert message.startswith(f"{path}: ") and expected in message
    assert place == ["invite-commands", "0", "1"]


@pytest.mark.parametrize("key, shown", [(None, None), (b"\xff\x00\r\n", b"\xff\x00\r\n"),
                                        (b"k" * 1024, b"k" * 1024), (b"k" * 1025, None)])
def test_a_key_that_is_no_call_is_repeated_within_bounds(probe, key, shown):
    result = probe.run([record(key, b"{")])
    assert result.replies[0].key == shown
    assert result.dead_letters[0].key == key


def test_a_reply_may_go_only_where_it_is_allowed(probe):
    for topic, goes_to in ((b"replies-of-a-tenant", "replies-of-a-tenant"),
                           (b"elsewhere", "invite-replies"), (b"", "invite-replies"),
                           (None, "invite-replies"), (b"replies-of-a-tenant\0", "invite-replies")):
        one = record(b"a-call", command(), [("reply-topic", topic)])
        assert probe.run([one]).replies[0].topic == goes_to
