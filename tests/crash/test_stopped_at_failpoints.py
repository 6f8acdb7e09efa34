"""A worker is stopped once at every failpoint, so long that another one takes over. Every command
gets one reply and every participant one invite; and no failpoint is left untouched."""

import time

import pytest
from failpoint_world import PLAIN, started
from process import wait_until

STOP_SECONDS = 2.5
# In the last microseconds before the body leaves no worker can see that it was stopped; shorter
# than the lease, nobody takes over meanwhile.
STOPPED = {"lease_after_check": 0.4}


@pytest.fixture(scope="module")
def world(tmp_path_factory, broker):
    with started(tmp_path_factory.mktemp("points"), broker) as made:
        yield made


@pytest.mark.parametrize("name", PLAIN)
def test_stopped_at(name, world):
    world.plan(name, "stop")
    wait_until(world.victim.is_stopped, 10, "it is stopped")
    world.victim.note_stop()
    end = time.monotonic() + STOPPED.get(name, STOP_SECONDS)
    while time.monotonic() < end:
        world.load.replied += world.rig.poll_replies()
    world.victim.resume()
    world.judge()


def test_every_failpoint_was_hit(world):
    assert world.touched == set(PLAIN)
