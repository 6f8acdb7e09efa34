"""Random kills, stops and cuts of two workers under load: every command gets one reply and every
participant one invite, whatever happens when."""

import random
import signal
import time

from conftest import assert_sound
from history import judge
from rig import AT_LEAST_ONCE, EXACTLY_ONCE, Load, Rig

from kafka_client import committed

SEED = 7


def pass_time(rig, load, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        load.replied += rig.poll_replies()


def finish(rig, load):
    load.stop()
    assert rig.finish(load), f"{load.produced} commands, {load.replied} replies"
    return rig.take()


def make(tmp_path, broker, tag, **options):
    return Rig(tmp_path, broker=broker, config=EXACTLY_ONCE, tag=tag, **options)


def test_forty_kills_leave_no_trace(tmp_path, broker):
    dice = random.Random(SEED)
    with make(tmp_path, broker, "kills") as rig:
        rig.start()
        load = Load(rig, 300, 1000, seed=SEED)
        load.start()
        for _ in range(40):
            pass_time(rig, load, dice.uniform(0.2, 1.2))
            dice.choice(rig.members).kill()
        history = finish(rig, load)
    counted = assert_sound(history, 3000)
    assert counted["statuses"]["reconciled"] > 0
    assert counted["statuses"]["accepted"] > 2000


def test_without_marks_the_same_kills_are_seen_to_ring_twice(tmp_path, broker):
    """The proof that these tests could fail."""
    dice = random.Random(SEED)
    with Rig(tmp_path, broker=broker, config=AT_LEAST_ONCE, tag="unmarked") as rig:
        rig.start()
        load = Load(rig, 300, 1000, seed=SEED)
        load.start()
        for _ in range(8):
            pass_time(rig, load, dice.uniform(0.7, 1.2))
            dice.choice(rig.members).kill()
        load.stop()
        assert rig.finish(load)
        history = rig.take(exactly_once=False)
    kinds = {violation.kind for violation in judge(history)}
    assert "duplicate-invite" in kinds
    assert "missing-reply" not in kinds


def test_stopped_workers_send_nothing_that_is_not_theirs(tmp_path, broker):
    dice = random.Random(SEED)
    with make(tmp_path, broker, "stops") as rig:
        rig.start()
        load = Load(rig, 200, 1000, seed=SEED)
        load.start()
        for number in range(20):
            member = rig.members[number % 2]
            member.stop()
            pass_time(rig, load, dice.uniform(0.3, 4.5))
            member.resume()
            pass_time(rig, load, dice.uniform(0.1, 1.0))
            member.revive()
        history = finish(rig, load)
    counted = assert_sound(history, 2000)
    assert counted["latePosts"] == 0


def test_a_killed_broker_comes_back_to_what_it_knew(tmp_path, broker):
    with make(tmp_path, broker, "brokers") as rig:
        rig.start()
        load = Load(rig, 200, 1000, seed=SEED)
        load.start()
        for _ in range(3):
            pass_time(rig, load, 2)
            rig.restart_broker()
            pass_time(rig, load, 3)
        history = finish(rig, load)
    assert_sound(history, 500)


def test_resets_and_timeouts_of_graph_send_nothing_twice(tmp_path, broker):
    with make(tmp_path, broker, "graph") as rig:
        rig.simulator.set_rules(
            {"name": "before", "probability": 0.02, "seed": 1, "reset": "before"},
            {"name": "after", "probability": 0.02, "seed": 2, "reset": "after"},
            {"name": "late", "probability": 0.01, "seed": 3, "delay_ms": 2500},
            {"name": "error", "probability": 0.01, "seed": 4, "status": 500, "effect": True},
        )
        rig.start()
        load = Load(rig, 200, 1000, seed=SEED)
        load.start()
        pass_time(rig, load, 10)
        rig.simulator.set_rules()
        history = finish(rig, load)
    counted = assert_sound(history, 1000)
    assert counted["statuses"]["reconciled"] > 0


def test_cut_held_and_refused_connections_send_nothing_twice(tmp_path):
    dice = random.Random(SEED)
    with Rig(tmp_path, config=EXACTLY_ONCE, tag="cuts", relayed=True) as rig:
        rig.start()
        load = Load(rig, 150, 1000, seed=SEED)
        load.start()
        for _ in range(16):
            pass_time(rig, load, dice.uniform(0.3, 1.5))
            member = dice.choice(rig.members)
            relay = dice.choice((member.kafka, member.graph))
            member.disturb(relay, dice.uniform(0.05, 1.5), dice)
            member.revive()
        history = finish(rig, load)
    assert_sound(history, 1000)


def test_a_worker_that_ends_by_sigterm_leaves_nothing_open(tmp_path, broker):
    with make(tmp_path, broker, "terms", workers=1, partitions=1) as rig:
        rig.start()
        load = Load(rig, 100, 20, seed=SEED)
        load.start()
        pass_time(rig, load, 2)
        (member,) = rig.members
        member.worker.signal(signal.SIGTERM)
        member.worker.wait(30)
        member.revive()
        history = finish(rig, load)
        member.worker.stop(30)
        offsets = committed(broker.bootstrap, rig.group, rig.topics["commands"])
    counted = assert_sound(history, 150)
    assert offsets == {0: counted["commands"]}
    assert "unknown" not in counted["statuses"]
    assert "reconciled" not in counted["statuses"]
