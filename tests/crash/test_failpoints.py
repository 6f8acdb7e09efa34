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
# Stopped in the last microseconds before the body leaves, for longer than the session: what no
# worker can prevent from user space. Shorter than the lease, nobody takes over meanwhile.
STOPPED = {"lease_after_check": 0.4}
# Where a worker comes before it is ready.
EARLY = ("takeover_map", "revoke")
TOUCHED = set()


class World:
    """A rig whose first worker takes the plan of a failpoint."""

    def __init__(self, tmp_path, broker, name, action, nth):
        self.hits = tmp_path / "hits"
        self.hits.mkdir()
        self.name, self.nth = name, nth
        plan = {
            "INVITE_WORKER_FAILPOINTS_DIR": str(self.hits),
            "INVITE_WORKER_FAILPOINTS": f"{name}:{action}:{nth}",
        }
        self.rig = Rig(
            tmp_path, broker=broker, config=merged(EXACTLY_ONCE, SHORT), tag=f"{action}-{name}".replace("_", "-"),
            partitions=2, env=lambda number: plan if number == 0 else None,
        )
        self.load = Load(self.rig, 100, 300)

    def count(self):
        path = self.hits / self.name
        return path.stat().st_size if path.exists() else 0

    def wait_hit(self, seconds=20):
        """Until the plan was carried out, while replies go on being read and nothing else is
        there that could bring it about: kill the worker, so that it takes over from itself."""
        victim = self.rig.members[0]
        begin = time.monotonic()

        def reached():
            self.load.replied += self.rig.poll_replies(0.02)
            if self.count() >= self.nth:
                return True
            if "takeover" in self.name and time.monotonic() - begin > 0.5 and not victim.ended:
                victim.kill()
            return False

        wait_until(reached, seconds, f"{self.name} is hit {self.nth} times")

    def close(self):
        TOUCHED.update(path.name for path in self.hits.iterdir())
        self.rig.close()


@pytest.fixture
def world(tmp_path, broker):
    made = []

    def make(name, action):
        nth = 1 if name.startswith(("takeover", "revoke", "bad")) else 5
        made.append(World(tmp_path, broker, name, action, nth))
        return made[0]

    yield make
    for one in made:
        one.close()


def provoke(world):
    """What brings the worker to this failpoint, besides the load."""
    rig = world.rig
    if world.name.startswith(EARLY):
        rig.start_all()
        rig.wait_ready(rig.members[1])
    else:
        rig.start()
    world.load.start()
    if world.name.startswith("revoke") and world.count() == 0:
        rig.join_one_more()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "bad_map_found"])
def test_killed_at(name, world):
    here = world(name, "kill")
    provoke(here)
    here.wait_hit()
    here.rig.members[0].worker.wait(10)
    here.rig.members[0].revive()
    here.load.stop()
    assert here.rig.finish(here.load)
    assert_sound(here.rig.take())


@pytest.mark.parametrize("name", [n for n in NAMES if n != "bad_map_found"])
def test_stopped_at(name, world):
    here = world(name, "stop")
    provoke(here)
    here.wait_hit()
    member = here.rig.members[0]
    wait_until(member.is_stopped, 10, "it is stopped")
    member.note_stop()
    end = time.monotonic() + STOPPED.get(name, STOP_SECONDS)
    while time.monotonic() < end:
        here.load.replied += here.rig.poll_replies()
    member.resume()
    here.load.stop()
    assert here.rig.finish(here.load)
    assert_sound(here.rig.take())


def test_a_partition_without_a_usable_map_is_left_alone(world):
    here = world("bad_map_found", "delay=1")
    here.load.start()
    time.sleep(1)
    here.load.stop()
    here.rig.forget_maps()
    here.rig.start()
    here.wait_hit()
    here.rig.members[0].kill()
    here.rig.wait_ready(here.rig.members[0])
    assert here.rig.simulator.invites() == []


def test_every_failpoint_was_hit():
    assert TOUCHED == set(NAMES)
