"""Ends and new beginnings in the middle of work: of the worker, of the broker, of Graph."""

import os
import signal

from deliveries import AT_LEAST_ONCE, BOTH, EXACTLY_ONCE, only
from kafka_client import committed
from process import wait_until
from simulator import Simulator
from witness import assert_in_order, assert_once, by_id, command, load

CALLS, EACH = 60, 20
FAST = {"rate": {"call": 1000, "call_burst": 1000}, "batch": {"window": 0}}
PATIENT = {"consumer": {"session_timeout": "60s"}}


def send(pipeline, commands):
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()


def wait_for_all(pipeline, commands, seconds=60):
    """Every command has a reply; the set of their ids."""
    wanted = {one["commandId"] for one in commands}

    def answered():
        pipeline.replies.poll()
        return wanted <= {reply["commandId"] for reply in pipeline.replies.json()}

    wait_until(
        answered, seconds, lambda: f"{len(pipeline.replies.records)} replies to {len(wanted)}"
    )


def in_the_middle(pipeline, effects):
    """So many invites took effect, and there is more to do."""
    pipeline.graph.wait(lambda state: state["effects"] >= effects)


def unanswered_before(pipeline):
    """Offsets that are committed although no reply to their command is stored."""
    pipeline.replies.poll(1)
    answered = {
        (reply["source"]["partition"], reply["source"]["offset"])
        for reply in pipeline.replies.json()
    }
    ends = committed(pipeline.broker.bootstrap, pipeline.group, pipeline.topics["commands"])
    return [
        (partition, offset)
        for partition, end in ends.items()
        for offset in range(end)
        if (partition, offset) not in answered
    ]


def total_committed(pipeline):
    return sum(
        committed(pipeline.broker.bootstrap, pipeline.group, pipeline.topics["commands"]).values()
    )


def wait_for_commits(pipeline, commands):
    """The group's position is behind all of them."""
    wait_until(lambda: total_committed(pipeline) == len(commands), 60, "everything is committed")


@BOTH
def test_a_worker_that_is_told_to_stop_ends_what_it_began_and_its_successor_does_the_rest(pipeline):
    commands = load(CALLS, EACH)
    pipeline.graph.set(latency_ms=20, jitter_ms=20)
    send(pipeline, commands)
    worker = pipeline.worker(**FAST, graph={"max_in_flight": 4}).start()
    in_the_middle(pipeline, 60)
    assert worker.stop() == 0
    assert pipeline.graph.state()["in_flight"] == 0
    assert len(pipeline.graph.effects()) < CALLS * EACH / 5, "it was not stopped in the middle"
    assert unanswered_before(pipeline) == []
    worker.start()
    wait_for_all(pipeline, commands)
    replies = by_id(pipeline.replies.json())
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert_once(pipeline.graph.effects(), commands)
    assert_in_order(pipeline.graph.effects())
    assert worker.stop() == 0
    assert total_committed(pipeline) == len(commands)


@only(AT_LEAST_ONCE)
def test_a_worker_that_is_killed_loses_nothing(pipeline):
    commands = load(CALLS, EACH)
    pipeline.graph.set(latency_ms=20, jitter_ms=20)
    send(pipeline, commands)
    worker = pipeline.worker(
        **FAST, graph={"max_in_flight": 4}, consumer={"session_timeout": "2s"}
    ).start()
    for effects in (60, 120):
        in_the_middle(pipeline, effects)
        worker.signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
        assert len(pipeline.replies.records) < len(commands), "it was not killed in the middle"
        assert unanswered_before(pipeline) == []
        worker.start()
    wait_for_all(pipeline, commands)
    assert {reply["status"] for reply in pipeline.replies.json()} == {"accepted"}
    assert worker.stop() == 0
    assert total_committed(pipeline) == len(commands)


@only(AT_LEAST_ONCE)
def test_a_broker_that_is_restarted_during_work_costs_no_command_and_no_second_invite(pipeline):
    commands = load(CALLS, EACH)
    pipeline.graph.set(latency_ms=20, jitter_ms=20)
    send(pipeline, commands)
    worker = pipeline.worker(**FAST, **PATIENT, graph={"max_in_flight": 4}).start()
    in_the_middle(pipeline, 60)
    pipeline.broker.stop()
    pipeline.broker.start()
    wait_for_all(pipeline, commands)
    replies = by_id(pipeline.replies.json())
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert_once(pipeline.graph.effects(), commands)
    assert_in_order(pipeline.graph.effects())
    wait_for_commits(pipeline, commands)
    assert worker.stop() == 0


@only(AT_LEAST_ONCE)
def test_a_broker_that_is_killed_during_work_costs_no_command(pipeline):
    commands = load(CALLS, EACH)
    pipeline.graph.set(latency_ms=20, jitter_ms=20)
    send(pipeline, commands)
    worker = pipeline.worker(**FAST, **PATIENT, graph={"max_in_flight": 4}).start()
    in_the_middle(pipeline, 60)
    pipeline.broker.kill()
    pipeline.broker.start()
    wait_for_all(pipeline, commands)
    assert {reply["status"] for reply in pipeline.replies.json()} == {"accepted"}
    wait_for_commits(pipeline, commands)
    assert worker.stop() == 0


def test_commands_wait_for_a_graph_that_is_not_there(pipeline, tmp_path):
    worker = pipeline.worker(**FAST).start()
    pipeline.graph.stop()
    commands = load(20, 2)
    send(pipeline, commands)
    not_sent = 'invite_worker_requests_total{class="not-sent"}'
    wait_until(lambda: worker.metrics()[not_sent] > 0, 10, "a request that could not be sent")
    with Simulator(tmp_path / "new", http_port=pipeline.graph.http_port) as graph:
        wait_for_all(pipeline, commands)
        assert_once(graph.effects(), commands)
        assert_in_order(graph.effects())
        assert worker.stop() == 0
    assert {reply["status"] for reply in pipeline.replies.json()} == {"accepted"}


@only(AT_LEAST_ONCE)
def test_a_request_that_outlasts_the_drain_ends_it_with_75_and_its_command_is_read_again(pipeline):
    pipeline.graph.set_rules({"call": "hangs", "count": 1, "delay_ms": 20000})
    worker = pipeline.worker(drain={"timeout": "1s"}, graph={"timeout": "30s"}).start()
    send(pipeline, [command("hangs", "u", commandId="hangs")])
    in_the_middle(pipeline, 1)
    worker.signal(signal.SIGTERM)
    assert worker.wait(10) == os.EX_TEMPFAIL
    assert "drain-timeout" in worker.log()
    assert total_committed(pipeline) == 0
    worker.start()
    assert [reply["status"] for reply in pipeline.replies.replies(1)] == ["accepted"]
    assert worker.stop() == 0


def test_a_drain_ends_what_was_sent_before_it_commits(pipeline):
    pipeline.graph.set_rules({"delay_ms": 1000})
    worker = pipeline.worker().start()
    send(pipeline, [command("c", "u", commandId="slow")])
    in_the_middle(pipeline, 1)
    assert worker.stop() == 0
    assert [reply["status"] for reply in pipeline.replies.replies(1)] == ["accepted"]
    assert total_committed(pipeline) == 1


@BOTH
def test_a_broker_that_says_nothing_more_does_not_hold_up_the_end(pipeline):
    worker = pipeline.worker(drain={"timeout": "1s"}).start()
    send(pipeline, [command("c", "a", commandId="before")])
    pipeline.replies.replies(1)
    pipeline.graph.set_rules({"delay_ms": 500})
    send(pipeline, [command("c", "b", commandId="amid")])
    in_the_middle(pipeline, 2)
    pipeline.broker.process.signal(signal.SIGSTOP)
    try:
        worker.signal(signal.SIGTERM)
        assert worker.wait(40) == os.EX_TEMPFAIL
    finally:
        pipeline.broker.process.signal(signal.SIGCONT)
    worker.start()
    wait_until(
        lambda: pipeline.replies.poll() is not None
        and any(reply["commandId"] == "amid" for reply in pipeline.replies.json()),
        60,
        "the reply to the command that was on its way",
    )
    assert len(pipeline.graph.effects()) - (pipeline.delivery == AT_LEAST_ONCE) <= 2


@only(EXACTLY_ONCE)
def test_a_drain_that_ends_while_the_group_is_being_joined_anew_ends_the_worker_in_order(pipeline):
    commands = load(CALLS, EACH)
    pipeline.graph.set(latency_ms=20, jitter_ms=20)
    send(pipeline, commands)
    worker = pipeline.worker(
        **FAST, drain={"timeout": "1s"}, exactly_once={"commit_deadline": "300ms"}
    ).start()
    in_the_middle(pipeline, 60)
    pipeline.broker.process.signal(signal.SIGSTOP)
    try:
        worker.process.wait_for(lambda: "no answer in time" in worker.log(), 20, "breaks the lane")
        worker.signal(signal.SIGTERM)
        assert worker.wait(60) == os.EX_TEMPFAIL
    finally:
        pipeline.broker.process.signal(signal.SIGCONT)


def test_a_second_signal_changes_nothing(pipeline):
    pipeline.graph.set_rules({"delay_ms": 1000})
    worker = pipeline.worker().start()
    send(pipeline, [command("c", "u")])
    in_the_middle(pipeline, 1)
    worker.signal(signal.SIGTERM)
    worker.process.wait_for(lambda: "app.stopping" in worker.log(), 5, "says that it stops")
    worker.signal(signal.SIGINT)
    worker.signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert [reply["status"] for reply in pipeline.replies.replies(1)] == ["accepted"]
