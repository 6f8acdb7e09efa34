"""Records that are no valid commands: a reply that says why, an exact copy, and nothing stops."""

import json

from confluent_kafka import Producer

from deliveries import BOTH
from witness import command, person

HEADERS = [("traceparent", b"00-1-2-01"), ("correlation-id", b"\x00\xff"), ("other", b"kept too")]
GOOD = command("c", "u")


def bent(**members):
    """A good command with other members; its bytes."""
    return json.dumps({**GOOD, **members}).encode()


def phone(number):
    return [{"identity": {"phone": {"id": number}}}]


def nested(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


# What is wrong: the record, the reason, and what the message must name.
BAD = {
    "not JSON": (b"{", "malformed", "line 1"),
    "no object": (b"[]", "malformed", "$:"),
    "empty": (b"", "malformed", "empty"),
    "two documents": (bent() + b"{}", "malformed", "line 1"),
    "a member twice": (b'{"callId":"c",' + bent()[1:], "malformed", "repeats"),
    "a member twice deep inside": (
        bent().replace(b'{"id"', b'{"id": "v", "id"'), "malformed", "repeats"
    ),
    "NUL": (bent().replace(b'"u"', b'"u\0"'), "malformed", "NUL"),
    "escaped NUL": (bent().replace(b'"u"', b'"u\\u0000"'), "malformed", "line 1"),
    "not UTF-8": (bent().replace(b'"u"', b'"\xc3\x28"'), "malformed", "UTF-8"),
    "nested too deep": (bent(participants=[person("u", x=nested(14))]), "malformed", "nesting"),
    "more than 64 KiB": (bent(participants=[person("u", x="x" * 65536)]), "malformed", "65536"),
    "unknown member": (bent(expiresat="2030-01-01T00:00:00Z"), "invalid", "$.expiresat"),
    "callId of another type": (bent(callId=7), "invalid", "$.callId"),
    "callId that leaves its segment": (bent(callId="../x"), "invalid", "$.callId"),
    "callId of two dots": (bent(callId=".."), "invalid", "$.callId"),
    "callId too long": (bent(callId="c" * 129), "invalid", "$.callId"),
    "no callId": (json.dumps({"participants": [person("u")]}).encode(), "invalid", "$.callId"),
    "no participants": (b'{"callId":"c"}', "invalid", "$.participants"),
    "participants empty": (bent(participants=[]), "invalid", "$.participants"),
    "participants of another type": (bent(participants={}), "invalid", "$.participants"),
    "101 participants": (
        bent(participants=[person(str(n)) for n in range(101)]), "invalid", "1 to 100"
    ),
    "a participant of another type": (
        bent(participants=[person("u"), 5]), "invalid", "$.participants[1]"
    ),
    "no identity": (bent(participants=[{}]), "invalid", "$.participants[0].identity"),
    "phone without plus": (bent(participants=phone("12345678")), "invalid", "identity.phone.id"),
    "phone too long": (
        bent(participants=phone("+" + "1" * 16)), "invalid", "$.participants[0].identity.phone.id"
    ),
    "move without the call to move from": (
        bent(participants=[person("u", participantId="p")]), "invalid", "$.participants[0]"
    ),
    "clientContext too long": (bent(clientContext="x" * 257), "invalid", "$.clientContext"),
    "commandId too long": (bent(commandId="x" * 129), "invalid", "$.commandId"),
    "expiresAt no date": (bent(expiresAt="tomorrow"), "invalid", "$.expiresAt"),
    "priority unknown": (bent(priority="urgent"), "invalid", "$.priority"),
    "tenant unknown": (bent(tenantId="other.example"), "unknown-tenant", "$.tenantId"),
}


def described(record):
    """The headers of a dead letter that say why and where from, the last of each name."""
    return {
        name.removeprefix("dead-letter-"): value.decode()
        for name, value in record.headers()
        if name.startswith("dead-letter-")
    }


def source(reply):
    return tuple(reply["source"][name] for name in ("topic", "partition", "offset"))


def copied_from(record):
    said = described(record)
    return said["topic"], int(said["partition"]), int(said["offset"])


def send_all(pipeline):
    """All bad records in one partition, a good command behind each."""
    for number, (value, _, _) in enumerate(BAD.values()):
        pipeline.commands.send(value, key=b"c", partition=0, headers=HEADERS)
        good = command("c", f"u-{number}", commandId=f"good-{number}")
        pipeline.commands.send(good, partition=0)
    pipeline.commands.flush()


@BOTH
def test_bad_records_are_rejected_and_kept_as_they_were_and_nothing_stops(pipeline):
    send_all(pipeline)
    worker = pipeline.worker(rate={"call": 1000}).start()
    replies = {source(reply): reply for reply in pipeline.replies.replies(2 * len(BAD))}
    letters = {copied_from(one): one for one in pipeline.dead_letters.wait_for(len(BAD))}
    for number, (what, (value, reason, named)) in enumerate(BAD.items()):
        place = (pipeline.topics["commands"], 0, 2 * number)
        reply, letter = replies[place], letters[place]
        assert (reply["status"], reply["error"]["code"]) == ("rejected", reason), what
        assert named in reply["error"]["message"], (what, reply["error"])
        assert (letter.value() or b"", letter.key()) == (value, b"c"), what
        assert letter.headers()[: len(HEADERS)] == HEADERS, what
        said = described(letter)
        assert (said["reason"], said["message"]) == (reason, reply["error"]["message"]), what
    accepted = [reply["commandId"] for reply in replies.values() if reply["status"] == "accepted"]
    assert sorted(accepted) == sorted(f"good-{number}" for number in range(len(BAD)))
    assert worker.stop() == 0


def test_a_record_whose_key_is_not_the_call_is_rejected_unless_that_is_allowed(pipeline):
    keys = [b"other", None, b"C"]
    strict = pipeline.worker().start()
    for key in keys:
        pipeline.commands.send(json.dumps(GOOD).encode(), key=key)
    pipeline.commands.flush()
    replies = pipeline.replies.replies(3)
    assert [reply["error"]["code"] for reply in replies] == ["key-mismatch"] * 3
    assert {record.key() for record in pipeline.dead_letters.wait_for(3)} == set(keys)
    assert strict.stop() == 0
    pipeline.worker(commands={"require_key": False}).start()
    pipeline.commands.send(json.dumps(GOOD).encode(), key=b"other")
    pipeline.commands.flush()
    assert pipeline.replies.replies(4)[3]["status"] == "accepted"
    assert len(pipeline.graph.invites()) == 1


@BOTH
def test_a_record_too_large_to_be_copied_is_named_by_a_dead_letter_without_value(pipeline):
    pipeline.worker().start()
    large = Producer({"bootstrap.servers": pipeline.broker.bootstrap, "message.max.bytes": 2000000})
    large.produce(pipeline.topics["commands"], b"x" * 1_048_000, key=b"c", partition=1)
    assert large.flush(30) == 0
    pipeline.commands.send(command("c", "u"), partition=1)
    pipeline.commands.flush()
    replies = pipeline.replies.replies(2)
    assert sorted(reply["status"] for reply in replies) == ["accepted", "rejected"]
    (letter,) = pipeline.dead_letters.wait_for(1)
    assert not letter.value()
    assert copied_from(letter) == (pipeline.topics["commands"], 1, 0)


def test_a_record_without_value_is_rejected(pipeline):
    pipeline.worker().start()
    pipeline.commands.send(None, key=b"c")
    pipeline.commands.flush()
    (reply,) = pipeline.replies.replies(1)
    assert (reply["status"], reply["error"]["code"]) == ("rejected", "malformed")
    (letter,) = pipeline.dead_letters.wait_for(1)
    assert not letter.value()
