"""How invites end: what a bot forwards of Graph's notifications, or Graph says when it is asked,
becomes outcomes."""

import types
import uuid

import pytest

from bot import FAILURE, Bot, bare, ended, roster
from deliveries import BOTH
from kafka_client import Reader, committed
from process import wait_until
from witness import command, person, schema

ONE_BY_ONE = {"batch": {"window": 0}}
TOGETHER = {"batch": {"window": "2s"}}


@pytest.fixture(name="ends")
def topics_of_the_ends(pipeline):
    """The two topics, the bot that writes one, what is read of the other, and workers for them.
    In the end every outcome that a test saw must be as the contract says."""
    prefix = pipeline.topics["commands"]
    names = {"notifications": f"{prefix}-notifications", "outcomes": f"{prefix}-outcomes"}
    pipeline.broker.create_topics({name: 2 for name in names.values()})
    reader = Reader(pipeline.broker.bootstrap, names["outcomes"])

    def make_worker(**extra):
        return pipeline.worker(topics=names, **extra)

    yield types.SimpleNamespace(
        topics=names, worker=make_worker, reader=reader,
        bot=Bot(pipeline.broker.bootstrap, names["notifications"]),
    )
    validator = schema("outcome")
    for outcome in reader.json():
        validator.validate(outcome)
    reader.close()


def invite(pipeline, *commands):
    """Have them sent; the replies in the order of the commands, and the effects."""
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()
    replies = {reply["commandId"]: reply for reply in pipeline.replies.replies(len(commands))}
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    return [replies[one["commandId"]] for one in commands], pipeline.graph.effects()


def calls(count):
    return [str(uuid.uuid4()) for _ in range(count)]


def place(reply, participants=None):
    return {**reply["source"], "participants": participants}


def outcomes(ends, count):
    """The outcomes by the operation; each must stand under its call's id."""
    values = ends.reader.replies(count)
    for record, value in zip(ends.reader.records, values):
        assert record.key().decode() == value["callId"]
    return {value["operationId"]: value for value in values}


@BOTH
def test_ends_are_joined_to_the_commands_by_the_workers_own_context(pipeline, ends):
    worker = ends.worker(**ONE_BY_ONE).start()
    good, bad = calls(2)
    replies, effects = invite(
        pipeline, command(good, "u", commandId="good"), command(bad, "v", commandId="bad")
    )
    for effect in effects:
        ends.bot.forward(effect["call"], roster(effect), ended(effect, effect["call"] == bad))
    ends.bot.flush()
    told = outcomes(ends, 2)
    for reply, call, status in zip(replies, (good, bad), ("completed", "failed")):
        (operation,) = reply["operations"]
        outcome = told[operation["id"]]
        assert (outcome["callId"], outcome["status"]) == (call, status)
        assert outcome["clientContext"] == operation["clientContext"]
        assert outcome["commands"] == [place(reply)]
        assert outcome["source"] == "notification"
    result = {name: FAILURE[name] for name in ("code", "subcode", "message")}
    assert [one["resultInfo"] for one in told.values() if one["status"] == "failed"] == [result]
    samples = worker.metrics()
    assert samples['invite_worker_outcomes_total{status="completed"}'] == 1
    assert samples['invite_worker_outcomes_total{status="failed"}'] == 1
    assert "+1234567890" not in worker.log()


def test_commands_that_shared_a_request_and_parts_of_one_are_named(pipeline, ends):
    ends.worker(**TOGETHER).start()
    shared, split = calls(2)
    many = {"callId": split, "commandId": "many",
            "participants": [person(f"m-{number}") for number in range(7)]}
    (first, second, whole), effects = invite(
        pipeline, command(shared, "u", commandId="1"), command(shared, "v", commandId="2"), many
    )
    for effect in effects:
        ends.bot.forward(effect["call"], ended(effect))
    ends.bot.flush()
    told = outcomes(ends, 3)
    (operation,) = first["operations"]
    assert told[operation["id"]]["commands"] == [place(first), place(second)]
    parts = [told[one["id"]]["commands"] for one in whole["operations"]]
    assert parts == [[place(whole, [0, 1, 2, 3, 4])], [place(whole, [5, 6])]]


def test_a_callers_own_context_is_joined_by_call_and_context(pipeline, ends):
    ends.worker().start()
    (call,) = calls(1)
    (reply,), (effect,) = invite(
        pipeline, command(call, "u", commandId="1", clientContext="mine, \u20ac")
    )
    ends.bot.forward(bare(call), ended(effect))
    ends.bot.flush()
    (outcome,) = outcomes(ends, 1).values()
    assert (outcome["callId"], outcome["clientContext"]) == (bare(call), "mine, \u20ac")
    assert outcome["operationId"] == reply["operations"][0]["id"]
    assert outcome["commands"] is None


def behind_all(pipeline, ends, count):
    """Every record of the notifications topic is committed."""
    def position():
        return sum(committed(pipeline.broker.bootstrap, f"{pipeline.group}-outcomes",
                             ends.topics["notifications"]).values())
    wait_until(lambda: position() == count, 60, "all notifications are committed")


def test_ends_are_told_after_a_restart_without_anything_remembered(pipeline, ends):
    worker = ends.worker(**ONE_BY_ONE).start()
    one, two = calls(2)
    replies, effects = invite(
        pipeline, command(one, "u", commandId="1"), command(two, "v", commandId="2")
    )
    first, second = sorted(effects, key=lambda effect: effect["call"] != one)
    ends.bot.forward(one, ended(first))
    ends.bot.flush()
    outcomes(ends, 1)
    behind_all(pipeline, ends, 1)
    worker.kill()
    ends.bot.forward(two, ended(second))
    ends.bot.flush()
    worker.start()
    told = outcomes(ends, 2)
    assert [told[reply["operations"][0]["id"]]["commands"] for reply in replies] == [
        [place(reply)] for reply in replies
    ]
    behind_all(pipeline, ends, 2)
    assert worker.stop() == 0
    worker.start()
    ends.bot.forward(two, ended(second))  # The bot repeats itself: so does the outcome, with its id
    ends.bot.flush()
    ends.reader.wait_for(3)
    assert len({outcome["outcomeId"] for outcome in ends.reader.json()}) == 2
    assert worker.stop() == 0


def test_what_is_no_callback_is_counted_and_passed_over(pipeline, ends):
    worker = ends.worker().start()
    (call,) = calls(1)
    _, (effect,) = invite(pipeline, command(call, "u", commandId="1"))
    rubbish = [b"", b"{", b"\xff\x00", b"[" * 100_000, b'{"value":7}', b"x" * 900_000]
    for value in rubbish:
        ends.bot.junk(value, key=call)
    ends.bot.forward(call, {"resourceData": "a text"}, ended(effect), {"resourceData": None})
    ends.bot.flush()
    (outcome,) = outcomes(ends, 1).values()
    assert outcome["status"] == "completed"
    behind_all(pipeline, ends, len(rubbish) + 1)
    name = "invite_worker_notification_records_total"
    samples = worker.metrics()
    assert samples[name + '{result="junk"}'] == len(rubbish)
    assert samples[name + '{result="read"}'] == len(rubbish) + 1
    assert "notifications.junk" in worker.log() and "xxxx" not in worker.log()


def test_outcomes_that_cannot_be_written_hold_their_place(pipeline, ends):
    missing = ends.topics["outcomes"] + "-missing"
    worker = pipeline.worker(
        topics={**ends.topics, "outcomes": missing},
        kafka={"topic.metadata.propagation.max.ms": "1000"},
    ).start()
    (call,) = calls(1)
    _, (effect,) = invite(pipeline, command(call, "u", commandId="1"))
    ends.bot.forward(call, ended(effect))
    ends.bot.flush()
    worker.process.wait_for(lambda: "notifications.refused" in worker.log(), 60, "it is refused")
    (other,) = calls(1)
    pipeline.commands.send(command(other, "v", commandId="2"))
    pipeline.commands.flush()
    pipeline.replies.wait_for(2)  # Invites go on
    assert worker.stop() == 0
    pipeline.broker.create_topics({missing: 1})
    reader = Reader(pipeline.broker.bootstrap, missing)
    try:
        worker.start()
        assert [one["callId"] for one in reader.replies(1)] == [call]
        assert worker.stop() == 0
    finally:
        reader.close()


POLLS = {"outcomes": {"poll": True, "poll_interval": "200ms", "poll_rate": 100}}


def polling(pipeline, ends, **outcomes_options):
    """A worker that asks and is told nothing."""
    return pipeline.worker(
        topics={**ends.topics, "notifications": None}, batch={"window": 0},
        outcomes={**POLLS["outcomes"], **outcomes_options},
    )


def polls(worker):
    """How many operations ended in which way for the polling."""
    name = 'invite_worker_polls_total{result="%s"}'
    samples = worker.metrics()
    return {result: samples[name % result] for result in ("ended", "gone", "left")}


def questions(pipeline):
    return [line for line in pipeline.graph.journal() if line["route"] == "operation"]


def test_operations_are_asked_for_until_they_end(pipeline, ends):
    worker = polling(pipeline, ends).start()
    pipeline.graph.set(complete_after_ms=1000)
    good, bad = calls(2)
    (first,), _ = invite(pipeline, command(good, "u", commandId="good"))
    told = outcomes(ends, 1)
    (operation,) = first["operations"]
    outcome = told[operation["id"]]
    assert (outcome["callId"], outcome["status"], outcome["source"]) == (good, "completed", "poll")
    assert outcome["clientContext"] == operation["clientContext"]
    assert outcome["commands"] == [place(first)]
    asked = questions(pipeline)
    assert len(asked) >= 2
    where = operation["location"].split("/v1.0")[1]
    assert {line["path"] for line in asked} == {f"/v1.0{where}"}
    assert all(line["bearer_ok"] for line in asked)
    pipeline.graph.set(complete_after_ms=0, operations_fail=True)  # Its answer says so already
    pipeline.commands.send(command(bad, "v", commandId="bad"))
    pipeline.commands.flush()
    failed = outcomes(ends, 2)[pipeline.replies.replies(2)[1]["operations"][0]["id"]]
    assert (failed["callId"], failed["status"]) == (bad, "failed")
    assert failed["resultInfo"]["code"] == 412
    worker.process.wait_for(lambda: polls(worker)["ended"] == 2, 30, "both are counted")
    assert worker.metrics()["invite_worker_operations_followed"] == 0
    assert worker.stop() == 0


def test_operations_that_are_gone_or_take_too_long_are_left(pipeline, ends):
    worker = polling(pipeline, ends, poll_for="1s").start()
    one, two = calls(2)
    invite(pipeline, command(one, "u", commandId="1"))
    worker.process.wait_for(lambda: polls(worker)["left"] == 1, 30, "it takes too long")
    pipeline.graph.set(operations_gone=True)
    pipeline.commands.send(command(two, "v", commandId="2"))
    pipeline.commands.flush()
    worker.process.wait_for(lambda: polls(worker)["gone"] == 1, 30, "it is gone")
    count = len(questions(pipeline))
    assert polls(worker) == {"ended": 0, "gone": 1, "left": 1}
    assert ends.reader.poll(1) == [] and len(questions(pipeline)) == count


def test_throttled_questions_are_asked_later_and_hold_no_invite(pipeline, ends):
    pipeline.graph.set(complete_after_ms=100)
    pipeline.graph.set_rules({"on": "operation", "status": 429, "retry_after": "1.5", "count": 1})
    worker = polling(pipeline, ends).start()
    one, two = calls(2)
    invite(pipeline, command(one, "u", commandId="1"))
    worker.process.wait_for(lambda: questions(pipeline), 30, "it was asked")
    pipeline.commands.send(command(two, "v", commandId="2"))
    pipeline.commands.flush()
    assert set(outcomes(ends, 2))
    held, again, *_ = questions(pipeline)
    assert held["status"] == 429 and again["at_us"] - held["ended_us"] >= 1_490_000
    (second,) = [effect for effect in pipeline.graph.effects() if effect["call"] == two]
    assert second["status"] == 200
    assert worker.stop() == 0


def test_both_sources_tell_of_one_operation_with_one_id(pipeline, ends):
    worker = ends.worker(**POLLS).start()
    pipeline.graph.set(complete_after_ms=100)
    (call,) = calls(1)
    _, (effect,) = invite(pipeline, command(call, "u", commandId="1"))
    ends.bot.forward(call, ended(effect))
    ends.bot.flush()
    told = ends.reader.replies(2)
    assert {outcome["source"] for outcome in told} == {"poll", "notification"}
    assert len({outcome["outcomeId"] for outcome in told}) == 1
    assert told[0] == {**told[1], "source": told[0]["source"]}
    assert worker.stop() == 0
