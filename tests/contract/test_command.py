"""What the schema of commands allows is exactly what the worker takes."""

import json
import os
import random

import pytest

import generate
import schemas
from probe import command_record, record

SEED = int(os.environ.get("CONTRACT_SEED", "20260131"))
RECORDS = int(os.environ.get("CONTRACT_RECORDS", "6000"))


def user(**members):
    return {"identity": {"user": {"id": "somebody"}}, **members}


def command(*participants, **members):
    return {"callId": "a-call", "participants": list(participants) or [user()], **members}


def identities(**members):
    return command({"identity": members})


def deep(levels):
    """A command with so many levels of nesting."""
    value = "x"
    for _ in range(levels - 3):
        value = [value]
    return command(user(x=value))


CURATED = [
    command(),
    command(*[user()] * 100),
    command(*[user()] * 101),
    command(user(), user(replacesCallId="b"), user(replacesCallId="b", participantId="c")),
    command(user(participantId="c")),
    command(user(participantId="c", replacesCallId=None)),
    command(user(participantId=None, replacesCallId=None, hidden=None)),
    command(user(replacesCallId="..")),
    command(user(hidden=1)),
    command(user(x={"y": [1, 2.5, None, True, "z"]})),
    command({"identity": None}),
    command({}),
    command(None),
    command([]),
    {"callId": "a-call", "participants": []},
    {"callId": "a-call", "participants": None},
    {"callId": "a-call"},
    {"callId": None, "participants": [user()]},
    command(expires_at="2026-01-31T12:00:00Z"),
    command(commandId=None, clientContext=None, tenantId=None, expiresAt=None, priority=None,
            onUnknown=None),
    {"callId": "a-call", "cancel": "one"},
    {"callId": "a-call", "cancel": "one", "commandId": "two", "tenantId": schemas.TENANT},
    {"callId": "a-call", "cancel": "one", "participants": None, "priority": None,
     "clientContext": None, "expiresAt": None, "onUnknown": None},
    command(cancel=None),
    command(cancel="one"),
    {"callId": "a-call", "cancel": None},
    {"callId": "a-call", "cancel": ""},
    {"callId": "a-call", "cancel": 5},
    {"callId": "a-call", "cancel": "é" * 128},
    {"callId": "a-call", "cancel": "é" * 129},
    {"callId": "a-call", "cancel": "one", "priority": "high"},
    {"callId": "a-call", "cancel": "one", "expiresAt": "2026-01-31T12:00:00Z"},
    {"callId": "a-call", "cancel": "one", "onUnknown": "report"},
    {"callId": "a-call", "cancel": "one", "clientContext": "x"},
    {"callId": "a-call", "cancel": "one", "x": None},
    {"cancel": "one"},
    identities(),
    identities(user=None),
    identities(user={}),
    identities(user={"id": None}),
    identities(user={"id": None}, guest={"id": "a"}),
    identities(user=5),
    identities(user=5, guest={"id": "a"}),
    identities(device=5, guest={"id": "a"}),
    identities(device={"id": "a"}),
    identities(device={"id": 5}),
    identities(phone={"id": "+12345678901"}),
    identities(phone={"id": "12345678901"}),
    identities(phone={"id": None}, user={"id": "a"}),
    identities(phone={}, user={"id": "a"}),
    identities(user={"id": "é" * 256}),
    identities(user={"id": "é" * 257}),
    identities(**{"@odata.type": "#microsoft.graph.identitySet", "user": {"id": "a"}}),
    identities(**{"@odata.type": "identitySet", "user": {"id": "a"}}),
    identities(**{"@odata.type": {"id": "a"}, "user": {"id": "a"}}),
    identities(**{"@odata.context": {"id": "a"}}),
    *[command(**{name: text}) for name in ("commandId", "clientContext", "tenantId")
      for text in ("", "é" * 128, "é" * 129, "\U0001f600" * 256, "\U0001f600" * 257, 5)],
    deep(16),
    deep(17),
    [],
    "text",
    None,
    5,
]
TEXTS = [
    b"", b" ", b"{", b"{}", b"\xef\xbb\xbf{}", b"NaN", b"{} {}",
    b'{"callId":"a","callId":"a","participants":[{"identity":{"user":{"id":"a"}}}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"a"}},"x":{"y":1,"\\u0079":2}}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"a"}},"x":1e400}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"a"}},"x":1e-400}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"a"}},"x":-0.0}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"a"}},"x":01}]}',
    b'{"callId":"\\u0061","participants":[{"identity":{"user":{"id":"a"}}}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"\\ud83d\\ude00"}}}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"\\ude00\\ud83d"}}}]}',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"\\u0000"}}}]}',
    b' \t\r\n{"callId":"a","participants":[{"identity":{"user":{"id":"a"}}}]} \n',
    b'{"callId":"a","participants":[{"identity":{"user":{"id":"a"}}}],}',
    b"{'callId':'a'}",
]


def padded(size):
    text = json.dumps(command(user(x="")))
    return json.dumps(command(user(x="x" * (size - len(text))))).encode()


def assert_agree(probe, schema, key, data):
    allowed = schemas.accepts(schema, key, data)
    valid, reason, message = probe.parse(record(key, data))
    assert valid == allowed, f"key {key!r}, record {data!r}: worker says {reason}: {message}"
    return valid


@pytest.mark.parametrize("document", CURATED, ids=lambda document: json.dumps(document)[:60])
def test_schema_and_worker_agree_on_a_document(probe, command_schema, document):
    assert_agree(probe, command_schema, b"a-call", json.dumps(document).encode())


@pytest.mark.parametrize("data", TEXTS)
def test_schema_and_worker_agree_on_a_text(probe, command_schema, data):
    assert_agree(probe, command_schema, b"a", data)


@pytest.mark.parametrize("date", generate.DATES)
def test_schema_and_worker_agree_on_a_date(probe, command_schema, date):
    data = json.dumps(command(expiresAt=date)).encode()
    assert_agree(probe, command_schema, b"a-call", data)


def test_a_record_of_64_kib_is_the_largest(probe, command_schema):
    assert assert_agree(probe, command_schema, b"a-call", padded(schemas.BYTES_MAX))
    assert not assert_agree(probe, command_schema, b"a-call", padded(schemas.BYTES_MAX + 1))


def test_schema_and_worker_agree_on_random_records(probe, command_schema):
    generator = random.Random(SEED)
    valid = 0
    for number in range(RECORDS):
        key, data = generate.record(generator)
        try:
            valid += assert_agree(probe, command_schema, key, data)
        except AssertionError as error:
            raise AssertionError(f"CONTRACT_SEED={SEED}, record {number}: {error}") from error
    assert RECORDS * 0.15 < valid < RECORDS * 0.85


def test_a_key_is_not_needed_when_the_option_says_so(probe):
    one = {**command_record(command()), "key": None}
    assert not probe.ask("parse", record=one)["valid"]
    assert probe.ask("parse", record=one, requireKey=False)["valid"]


def test_what_the_worker_does_not_know_is_sent_unchanged(probe):
    unknown = {"x": {"y": [1, 2.5, -0.25, 1e30, None, True, "é\n\"\\"]}, "hidden": True}
    run = probe.run([command_record(command(user(**unknown)))])
    (sent,) = run.posts[0].json()["participants"]
    assert {name: sent[name] for name in unknown} == unknown
