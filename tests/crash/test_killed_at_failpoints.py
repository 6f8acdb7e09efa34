"""A worker is killed once at every failpoint, while another one lives. Every command gets one reply
and every participant one invite; and no failpoint is left untouched."""

import time

import pytest
from failpoint_world import NAMES, PLAIN, World, started


@pytest.fixture(scope="module")
def world(tmp_path_factory, broker):
    with started(tmp_path_factory.mktemp("points"), broker) as made:
        yield made


@pytest.mark.parametrize("name", PLAIN)
def test_killed_at(name, world):
    world.plan(name, "kill")
    world.victim.worker.wait(10)
    world.victim.revive()
    world.judge()


def test_a_partition_without_a_usable_map_is_left_alone(tmp_path, broker, world):
    other = World(tmp_path, broker)
    try:
        other.load.start()
        time.sleep(1)
        other.load.stop()
        other.rig.forget_maps()
        other.rig.start_all()
        other.plan("bad_map_found", "delay=1")
        other.load.stop()
        world.touched.update(path.name for path in other.hits.iterdir())
        other.rig.wait_ready(other.victim)
        assert other.rig.simulator.invites() == []
    finally:
        other.close()


def test_every_failpoint_was_hit(world):
    assert world.touched == set(NAMES)
