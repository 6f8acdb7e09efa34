"""The programs under test. All of them get the same topics, the same Graph and the same bound on
requests in flight, and are started and stopped in the same way.

A system is started on a `Scene`; `pid` is then the process whose CPU and memory count.
"""

import dataclasses
import os
import pathlib

from process import Process
from worker import Worker, binaries, configuration

UNLIMITED = {
    "call": 1000, "call_burst": 1000, "application": 100_000, "application_burst": 100_000,
}


@dataclasses.dataclass
class Scene:
    """Where one run takes place."""

    directory: pathlib.Path
    bootstrap: str
    topics: dict  # commands, replies, dead_letters
    group: str
    graph_url: str
    login_url: str
    token: str
    ca: str  # File of the authority, or None
    workload: object

    @property
    def in_flight(self):
        return self.workload.in_flight


class System:
    """One program; `start` makes a new process each time."""

    name = None
    members = 1  # Of the consumer group

    def __init__(self):
        self.process = None

    def is_built(self):
        return True

    def prepare(self):
        """Build what it needs; NotBuilt of peers.py when that cannot be."""

    @property
    def pid(self):
        return self.process.pid

    def start(self, scene):
        self.process = Process(
            self.name,
            self.command(scene),
            scene.directory / f"{self.name}.log",
            env={**os.environ, **self.environment(scene)},
        )

    def command(self, scene):
        raise NotImplementedError

    def environment(self, _scene):
        return {}

    def running(self):
        return self.process.running()

    def tail(self):
        return self.process.tail()

    def stop(self):
        return self.process.stop(30)

    def kill(self):
        if self.process:
            self.process.kill()


class WorkerSystem(System):
    """The worker itself, with its defaults but for what the workload asks for."""

    def __init__(self, delivery):
        super().__init__()
        self.name = f"worker-{delivery}"
        self.delivery = delivery
        self.worker = None

    def start(self, scene):
        load = scene.workload
        rate = dict(UNLIMITED)
        if load.call_rate:
            rate.update(call=load.call_rate, call_burst=1)
        config = configuration(
            scene.bootstrap, scene.graph_url, scene.login_url,
            {
                "delivery": self.delivery,
                "topics": scene.topics,
                "consumer": {"group": scene.group},
                "graph": {
                    "max_in_flight": load.in_flight,
                    "max_connections": load.in_flight,
                    "ca_file": scene.ca,
                },
                "batch": {
                    "max_participants": load.batch,
                    "window": 0 if load.batch == 1 else None,
                },
                "rate": rate,
            },
        )
        self.worker = Worker(scene.directory / self.name, config)
        self.worker.start()
        self.process = self.worker.process


class Floor(System):
    """The loop of floor.c."""

    name = "floor"

    def command(self, scene):
        return [
            binaries() / "bench-floor", scene.bootstrap, scene.topics["commands"],
            scene.topics["replies"], scene.group, scene.graph_url, scene.token,
            scene.in_flight, *([scene.ca] if scene.ca else []),
        ]
