"""A worker is killed once, and stopped once, at every failpoint, while another one lives. Every
command gets one reply and every participant one invite; and no failpoint is left untouched."""

import time

import failpoints
import pytest
from conftest import assert_sound
from process import wait_until
from rig import EXACTLY_ONCE, Load, Rig
from worker import merged

# Shorter still than in the other crash tests: there are many of these.
SHORT = {
    "consumer": {"session_timeout": "2s"},
    "exactly_once": {"lease": "1s", "commit_deadline": "500ms"},
    "graph": {"timeout": "500ms", "connect_timeout": "500ms"},
    "retry": {"settle": "1600ms"},
}
STOP_SECONDS = 2.5
NAMES = [name for name, _ in failpoints.table()]
PLAIN = [name for name in NAMES if name != "bad_map_found"]
# In the last microseconds before the body leaves no worker can see that it was stopped; shorter
# than the lease, nobody takes over meanwhile.
STOPPED = {"lease_after_check": 0.4}
# Where a worker comes before it is ready.
EARLY = ("takeover_map", "revoke")


class World:
    """Two workers under load; for each failpoint the first is started anew with a plan."""

    def __init__(self, directory, broker):
        self.directory = directory
        config = merged(EXACTLY_ONCE, SHORT)
        self.rig = Rig(directory, broker=broker, config=config, tag=directory.name, partitions=2)
        self.victim = self.rig.members[0]
        self.load = Load(self.rig, 100, 300)
        self.hits = None
        self.touched = set()

    def plan(self, name, action):
        """Start the first worker so that this is done at the failpoint."""
        nth = 1 if name.startswith((*EARLY, "takeover", "bad")) else 5
        self.hits = self.directory / f"{action}-{name}"
        self.hits.mkdir()
        self.victim.env = failpoints.plan(self.hits, name, action, nth)
        self.victim.kill()
        self.load.start()
        self.reach(name, nth)
        self.victim.env = {}

    def reach(self, name, nth, seconds=25):
        """Until the plan was carried out. A takeover finds something to look for when the worker
        was killed amid requests; a revocation comes when another one joins or leaves."""
        path = self.hits / name
        again = time.monotonic() + 3

        def reached():
            nonlocal again
            self.load.replied += self.rig.poll_replies(0.02)
            if path.exists() and path.stat().st_size >= nth:
                return True
            if time.monotonic() > again:
                again = time.monotonic() + 5
                self.nudge(name)
            return False

        wait_until(reached, seconds, f"{name} is hit {nth} times")

    def nudge(self, name):
        if name.startswith("revoke"):
            self.rig.members[1].rename()
        elif "look" in name:
            self.victim.kill()

    def judge(self):
        """All is answered, and nothing was done twice or left out."""
        self.load.stop()
        assert self.rig.finish(self.load)
        self.touched.update(path.name for path in self.hits.iterdir())
        assert_sound(self.rig.take())

    def close(self):
        self.rig.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, broker):
    made = World(tmp_path_factory.mktemp("points"), broker)
    made.rig.simulator.set(latency_ms=60)
    made.rig.start()
    yield made
    made.close()


@pytest.mark.parametrize("name", PLAIN)
def test_killed_at(name, world):
    world.plan(name, "kill")
    world.victim.worker.wait(10)
    world.victim.revive()
    world.judge()


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
