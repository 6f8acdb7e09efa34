"""Commits, transactions and their fencing: the lane against a real broker, without the engine."""

import itertools
import os
import pathlib
import signal
import subprocess
import time
import types

import pytest
from confluent_kafka import Producer

from kafka_client import Reader
from process import Process

LANE = pathlib.Path(os.environ["WORKER_BIN"]) / "kafka-lane"
NUMBERS = itertools.count(1)


def ask(*argv):
    """What a small command of the program prints."""
    command = [str(part) for part in (LANE, *argv)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def committed(broker, group, topic):
    """Offset and metadata of partition 0."""
    offset, metadata = ask("show", broker.bootstrap, topic, group).split(" ")
    return int(offset), bytes.fromhex(metadata.strip()).decode()


@pytest.fixture
def lane(broker, tmp_path):
    """Topics with one partition, and processes on demand."""
    name = f"lane-{next(NUMBERS)}"
    world = types.SimpleNamespace(
        commands=f"{name}-commands", replies=f"{name}-replies", group=f"{name}-group", runs=[]
    )
    broker.create_topics({world.commands: 1})
    broker.create_topics({world.replies: 1}, config={"max.message.bytes": "100000"})
    world.reader = Reader(broker.bootstrap, world.replies)

    def start(wanted=None, **env):
        argv = [LANE, broker.bootstrap, world.commands, world.replies, world.group, name]
        argv += [wanted] if wanted is not None else []
        log = tmp_path / f"worker-{len(world.runs)}"
        log.mkdir()
        run = Process(
            "lane",
            argv,
            log / "worker.log",
            env={**os.environ, **env},
            read_stdout=True,
            keep_stdin=True,
        )
        world.runs.append(run)
        return run

    def send(*values):
        producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        for value in values:
            producer.produce(world.commands, value, key="key", partition=0)
        assert producer.flush(30) == 0

    world.start, world.send = start, send
    world.committed = lambda: committed(broker, world.group, world.commands)
    yield world
    world.reader.close()
    for run in world.runs:
        run.kill()


def until(run, word):
    """The lines up to the first that begins with `word`, that one included."""
    lines = [run.line(40)]
    while not lines[-1].startswith(word):
        lines.append(run.line(40))
    return lines


def finish(run):
    """All lines to a clean end, at which nothing was left on the loop."""
    lines = until(run, "closed")
    assert run.wait(20) == 0
    return lines


def values(world, count):
    world.reader.wait_for(count)
    world.reader.poll(0.5)
    return [message.value().decode() for message in world.reader.records]


def test_replies_offsets_and_map_are_committed_together(lane):
    lane.send(*(f"value-{n}" for n in range(300)))
    finish(lane.start(300))
    found = values(lane, 300)
    assert sorted(found) == sorted(f"value-{n}" for n in range(300))
    assert lane.committed() == (300, "m")


def test_a_restart_reads_history_again_and_answers_only_what_is_new(lane):
    lane.send(*(f"value-{n}" for n in range(20)))
    finish(lane.start(20))
    lane.send("value-20")
    lines = finish(lane.start(21))
    assert [line for line in lines if line.startswith("history")] == [
        f"history {n}" for n in range(15, 20)
    ]
    assert lines[0] == "assigned 0 20 6d"
    assert sorted(values(lane, 21)) == sorted(f"value-{n}" for n in range(21))


def test_a_death_between_offsets_and_commit_leaves_nothing_behind(lane):
    lane.send(*(f"value-{n}" for n in range(10)))
    run = lane.start(10, LANE_DIE="commit")
    assert run.wait(40) == -signal.SIGKILL
    began = time.monotonic()
    run = lane.start(10)
    lines = until(run, "assigned")
    took = time.monotonic() - began
    # The marks were committed plainly before; the replies and their marks were not.
    offset, states = lines[-1].split()[2:]
    assert (offset, bytes.fromhex(states)) == ("0", b"mssssssssss")
    assert took < 3, took
    lines = finish(run)
    assert len([line for line in lines if line.startswith("in-doubt")]) == 10
    assert sorted(values(lane, 10)) == sorted(f"value-{n}" for n in range(10))


def test_a_zombie_is_refused_and_changes_nothing(lane):
    lane.send("value-0")
    zombie = lane.start()
    until(zombie, "assigned")
    assert values(lane, 1) == ["value-0"]
    zombie.signal(signal.SIGSTOP)
    lane.send("value-1")
    successor = lane.start(2)
    finish(successor)
    zombie.signal(signal.SIGCONT)
    lane.send("value-2")
    lines = until(zombie, "closed")
    assert any(line.startswith("fatal") for line in lines), lines
    assert lane.committed() == (2, "m")
    assert sorted(values(lane, 2)) == ["value-0", "value-1"]


def test_a_renewed_member_goes_on_with_what_is_committed(lane):
    lane.send(*(f"value-{n}" for n in range(5)))
    run = lane.start(10)
    until(run, "assigned")
    values(lane, 5)
    run.popen.stdin.write(b"renew\n")
    run.popen.stdin.flush()
    lines = until(run, "assigned")
    assert "revoked 1" in lines
    lane.send(*(f"value-{n}" for n in range(5, 10)))
    finish(run)
    assert sorted(values(lane, 10)) == sorted(f"value-{n}" for n in range(10))
    assert lane.committed() == (10, "m")


@pytest.mark.parametrize("bad", ["huge", "lost"])
def test_a_record_that_is_refused_does_not_spoil_the_others(lane, bad):
    lane.send("value-0", bad, "value-2", "value-3")
    lines = finish(lane.start(4))
    assert [line for line in lines if line.startswith("refused")] == ["refused 1"]
    assert sorted(values(lane, 4)) == ["refused-1", "value-0", "value-2", "value-3"]
    assert lane.committed() == (4, "m")


ODD = [b"", b"\x01 \xc3\xa9", b"m" * 90]


@pytest.mark.parametrize("metadata", ODD, ids=["none", "odd", "long"])
def test_metadata_of_others_is_handed_over_as_bytes(lane, broker, metadata):
    lane.send("value-0", "value-1")
    ask("commit", broker.bootstrap, lane.commands, lane.group, 1, metadata.hex())
    assert until(lane.start(), "assigned")[-1] == f"assigned 0 1 {metadata.hex()}"


SANITIZED = LANE.exists() and b"__asan_init" in LANE.read_bytes()


@pytest.mark.skipif(
    SANITIZED, reason="impossible here: librdkafka reads beyond its memory, and the sanitizer looks"
)
def test_metadata_ends_behind_a_nul(lane, broker):
    lane.send("value-0", "value-1")
    ask("commit", broker.bootstrap, lane.commands, lane.group, 1, b"m\0garbage".hex())
    assert until(lane.start(), "assigned")[-1] == "assigned 0 1 6d00"
