"""Much work at once: correctness first, then the figures, of which only a low floor is asserted."""

import collections
import time

from deliveries import BOTH
from kafka_client import Reader
from test_restarts import total_committed
from process import wait_until
from usage import cpu_seconds, peak_mib
from witness import assert_in_order, assert_once, assert_valid, by_id, load

CALLS, EACH = 5000, 10
SMALL_CALLS = 1000
FLOOR = 500  # Commands a second, on two shared cores
NO_LIMIT = {
    "rate": {
        "call": 1000, "call_burst": 1000, "application": 100000, "application_burst": 100000
    },
    "queue": {"commands_per_partition": 5000, "offsets_per_partition": 20000},
}
SMALL_WINDOW = {"queue": {"commands_per_partition": 100, "offsets_per_partition": 400}}


def produce(pipeline, commands, partition=None):
    for one in commands:
        pipeline.commands.send(one, partition=partition)
    pipeline.commands.flush(60)


def read_all(pipeline, count):
    """Only counted while it lasts, so that the test takes little of the processors."""
    reader = Reader(pipeline.broker.bootstrap, pipeline.topics["replies"])
    try:
        reader.wait_for(count, seconds=120)
        return reader.json()
    finally:
        reader.close()


def wait_for_answers(worker, count):
    done = 'invite_worker_replies_total{status="accepted"}'
    wait_until(lambda: worker.metrics()[done] >= count, 150, "all commands are answered")


def answer_backlog(pipeline, count, **configuration):
    """Seconds from the start of a worker to the last reply, its CPU seconds and peak memory."""
    started = time.monotonic()
    worker = pipeline.worker(**configuration).start()
    wait_for_answers(worker, count)
    seconds = time.monotonic() - started
    pid = worker.process.pid
    cpu, peak = cpu_seconds(pid), peak_mib(pid)
    wait_until(lambda: total_committed(pipeline) == count, 20, "everything is committed")
    assert worker.stop() == 0
    return seconds, cpu, peak


def assert_answered(pipeline, commands):
    count = len(commands)
    replies, effects = read_all(pipeline, count), pipeline.graph.effects()
    assert set(by_id(replies)) == {one["commandId"] for one in commands}
    assert collections.Counter(reply["status"] for reply in replies) == {"accepted": count}
    assert_valid(replies[:: count // 200])
    assert_once(effects, commands)
    assert_in_order(effects)
    assert not any(invite["overlap"] for invite in effects)


@BOTH
def test_fifty_thousand_commands_over_five_thousand_calls(pipeline, capsys):
    commands = load(CALLS, EACH)
    count = len(commands)
    produce(pipeline, commands)
    seconds, cpu, peak = answer_backlog(pipeline, count, **NO_LIMIT)
    with capsys.disabled():
        print(
            f"\n{pipeline.delivery}: {count} commands, {CALLS} calls, "
            f"{len(pipeline.graph.effects())} requests: "
            f"{count / seconds:.0f} commands/s from start to last reply, "
            f"{cpu / count * 1e6:.0f} us of CPU a command, peak {peak:.0f} MiB"
        )
    assert_answered(pipeline, commands)
    assert count / seconds >= FLOOR


def assert_read_without_pauses(pipeline, capsys, partition=None, **configuration):
    """A backlog, of one partition or of all, is answered faster than with waits of a second."""
    commands = load(SMALL_CALLS, EACH)
    produce(pipeline, commands, partition)
    seconds, *_ = answer_backlog(pipeline, len(commands), **{**NO_LIMIT, **configuration})
    with capsys.disabled():
        print(f"\n{pipeline.delivery}: {len(commands) / seconds:.0f} commands/s")
    assert_answered(pipeline, commands)
    assert len(commands) / seconds >= FLOOR


@BOTH
def test_a_window_that_fills_again_and_again_does_not_slow_a_backlog_down(pipeline, capsys):
    """Each time its partition is paused and resumed; librdkafka would sleep a second each time."""
    assert_read_without_pauses(pipeline, capsys, **SMALL_WINDOW)


def test_a_short_queue_of_librdkafka_does_not_slow_a_backlog_down(pipeline, capsys):
    """It is full again and again; librdkafka would sleep for up to a second each time."""
    assert_read_without_pauses(pipeline, capsys, kafka={"queued.min.messages": "50"})


def test_idle_partitions_do_not_slow_a_busy_one_down(pipeline, capsys):
    """While it is paused librdkafka asks for the others only, and the broker lets that wait."""
    assert_read_without_pauses(pipeline, capsys, partition=0, **SMALL_WINDOW)
