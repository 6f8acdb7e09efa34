"""Texts that were made to do harm are refused, or stay text wherever they go."""

import json
import re

import pytest

import hostile
import schemas
from probe import record

SAFE_ID = re.compile(rb"[A-Za-z0-9._~-]{1,128}")
TRACE_LINE = re.compile(r"\[ *\d+\] [ -~]+")
QUOTED = re.compile(r'[!-~]+|"([ !#-\[\]-~]|\\x[0-9a-f]{2})*…?"')
TYPES = {"@odata.type": "#microsoft.graph.invitationParticipantInfo"}
SET_TYPES = {"@odata.type": "#microsoft.graph.identitySet"}
DEAD = "dead-letter-"


def test_the_corpus_is_large_and_has_nothing_twice():
    texts = hostile.texts()
    assert len(texts) >= 200
    assert len(set(map(repr, texts))) == len(texts)


def typed(participant):
    """As it is sent: with the types that were left out."""
    identity = {**SET_TYPES, **participant["identity"]}
    return {**TYPES, **participant, "identity": identity}


def assert_inert(run, one):
    """It was sent: as exactly the text that it is, to exactly the call that it names."""
    command = schemas.read(one.value)
    (post,) = run.posts
    assert SAFE_ID.fullmatch(post.call_id) and post.call_id not in (b".", b"..")
    assert post.call_id.decode() == command["callId"]
    body = schemas.read(post.body)
    assert set(body) == {"participants", "clientContext"}
    assert body["participants"] == [typed(person) for person in command["participants"]]
    if command.get("clientContext") is not None:
        assert body["clientContext"] == command["clientContext"]
    (written,) = run.replies
    reply = written.json()
    assert written.key == post.call_id
    assert reply["status"] == "accepted"
    assert reply["clientContext"] == command.get("clientContext")
    if "commandId" in command:
        assert reply["commandId"] == command["commandId"]


def assert_refused(run, one):
    assert run.posts == []
    (letter,) = run.dead_letters
    assert (letter.key, letter.value) == (one.key, one.value)
    message = dict(letter.headers)[f"{DEAD}message"].decode()
    assert message.isprintable() or not re.search(r"[\x00-\x1f\x7f]", message)
    assert run.replies[0].json()["status"] == "rejected"


def assert_harmless(probe, reply_schema, one):
    run = probe.run([record(one.key, one.value, one.headers)])
    (written,) = run.replies
    reply = written.json()
    reply_schema.validate(reply)
    assert run.stored == 1
    assert written.topic == "invite-replies"
    copied = [(name, value) for name, value in one.headers if name == hostile.COPIED_HEADER]
    assert list(written.headers) == [pair for pair in copied if len(pair[1]) <= 1024]
    for line in run.trace.splitlines():
        assert TRACE_LINE.fullmatch(line), line
    assert run.trace.count("\n") == len(run.trace.split("\n")) - 1 < 12
    if reply["status"] == "expired":
        assert one.place == "expiresAt" and run.posts == []
    elif reply["status"] == "rejected":
        assert_refused(run, one)
    else:
        assert_inert(run, one)
    return reply["status"]


@pytest.mark.parametrize("place", [*hostile.PLACES, *hostile.HEADER_PLACES])
def test_every_text_is_refused_or_inert(probe, reply_schema, place):
    statuses = set()
    for one in hostile.records(places=[place]):
        try:
            statuses.add(assert_harmless(probe, reply_schema, one))
        except Exception as error:
            raise AssertionError(f"{one}: {error}") from error
    assert statuses <= {"accepted", "rejected", "expired"}


def test_the_worker_takes_only_what_the_schema_allows(probe, command_schema):
    for one in hostile.records():
        valid, _, message = probe.parse(record(one.key, one.value))
        allowed = schemas.accepts(command_schema, one.key, one.value)
        assert valid == allowed, f"{one}: {message}"


def test_no_text_can_break_a_line_of_the_log(probe):
    for text in hostile.texts():
        quoted = probe.quote(hostile.as_bytes(text)).decode()
        assert QUOTED.fullmatch(quoted), (text, quoted)
        assert len(quoted.encode()) < 256


def test_what_graph_says_cannot_break_a_line_of_the_trace(probe, reply_schema):
    command = json.dumps(hostile.plain("a-call"))
    for text in hostile.texts():
        said = text.decode(errors="replace") if isinstance(text, bytes) else text[:1000]
        answer = {"status": 400, "requestId": said.replace("\0", ""),
                  "body": json.dumps({"error": {"code": said, "message": said}})}
        run = probe.run([record(b"a-call", command)], [answer], repeat=True)
        reply_schema.validate(run.replies[0].json())
        for line in run.trace.splitlines():
            assert TRACE_LINE.fullmatch(line), (said, line)
