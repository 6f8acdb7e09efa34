"""Two workers, to one of which something happens at a failpoint, while the other one lives."""

import contextlib
import time

import failpoints
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
NAMES = [name for name, _ in failpoints.table()]
PLAIN = [name for name in NAMES if name != "bad_map_found"]
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


@contextlib.contextmanager
def started(directory, broker):
    """A world whose Graph takes its time."""
    made = World(directory, broker)
    try:
        made.rig.simulator.set(latency_ms=60)
        made.rig.start()
        yield made
    finally:
        made.close()
