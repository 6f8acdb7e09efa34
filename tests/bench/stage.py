"""One run: a program, a workload, new topics, a new Graph; what came of it, judged and measured."""

import contextlib
import itertools
import json
import shutil
import subprocess

from confluent_kafka.admin import AdminClient

import workloads
from process import die_with_parent
from samples import Samples, peak_mib
from simulator import Simulator
from systems import Scene, make
from worker import binaries

# Which part of the replies is measured: before it is the warm-up, behind it little is in flight.
WARM, END = 40, 95
MICROSECONDS = 1e6


class Wrong(Exception):
    """A run whose figures mean nothing: a reply is missing, came twice, or says no."""


class Stage:
    """`broker` is there for all runs. `directory` has what belongs to one run, and is emptied."""

    def __init__(self, broker, directory):
        self.broker = broker
        self.directory = directory
        self.numbers = itertools.count(1)
        self.admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})

    def run(self, system, workload):
        """Figures by name, see report.py."""
        number = next(self.numbers)
        directory = self.directory / f"run-{number}"
        directory.mkdir(parents=True)
        names = ("commands", "replies", "dead_letters")
        topics = {what: f"bench-{number}-{what.replace('_', '-')}" for what in names}
        self._create(topics, workload)
        with Graph(directory, workload) as graph:
            scene = Scene(
                directory, self.broker.bootstrap, topics, f"bench-{number}", graph.graph_url,
                graph.login_url, graph.token, graph.ca, workload,
            )
            figures = Run(self, make(system), scene, graph).figures()
        for future in self.admin.delete_topics(list(topics.values())).values():
            future.result(60)
        shutil.rmtree(directory)
        return figures

    def _create(self, topics, workload):
        for name in topics.values():
            self.broker.create_topics(
                {name: workload.partitions}, {"message.timestamp.type": "LogAppendTime"}
            )


class Graph:
    """A simulated Graph that keeps no journal: nobody reads it."""

    def __init__(self, directory, workload):
        self.simulator = Simulator(
            directory / "graph", journal=False, latency=workload.graph_ms, token_lifetime=86400
        )
        self.token = self.simulator.token()
        self.graph_url = self.simulator.graph_url
        self.login_url = self.simulator.http_url
        self.ca = None

    def processes(self):
        return {"graph": self.simulator.process.pid}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.simulator.stop()


class Run:
    """The steps of one run."""

    def __init__(self, stage, system, scene, graph):
        self.stage, self.system, self.scene, self.graph = stage, system, scene, graph
        self.workload = scene.workload
        self.samples = None

    def figures(self):
        kinds = {workloads.BACKLOG: self._backlog}
        with contextlib.ExitStack() as undo:
            undo.callback(self.system.kill)
            figures = kinds[self.workload.kind]()
            figures["peakRssMiB"] = peak_mib(self.system.pid)
            self.system.stop()
        return figures

    def _start(self):
        self.system.start(self.scene)
        processes = {"system": self.system.pid, "broker": self.stage.broker.process.pid}
        self.samples = Samples({**processes, **self.graph.processes()}, memory_of="system")
        self.samples.take()

    def _load(self, verb, *arguments):
        """A command of bench-load, not yet ended."""
        load, topics = self.workload, self.scene.topics
        command = [binaries() / "bench-load", verb, "--brokers", self.scene.bootstrap]
        command += ["--commands", topics["commands"], "--replies", topics["replies"]]
        command += ["--calls", load.calls, "--zipf", load.zipf, *arguments]
        if load.batch > 1:
            command.append("--no-context")  # A context of its own keeps a command from company
        return subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, preexec_fn=die_with_parent
        )

    def _result(self, process):
        """What it printed, sampling meanwhile when the system runs."""
        if self.samples:
            self.samples.take_while(lambda: process.poll() is None and self.system.running())
            if not self.system.running():
                process.kill()
                raise Wrong(f"{self.system.name} ended\n{self.system.tail()}")
        text = process.communicate()[0]
        if process.returncode != 0:
            raise Wrong(f"bench-load ended with {process.returncode}")
        return json.loads(text)

    def _checked(self, count):
        """The judgement of all replies so far, which must be good."""
        said = self._result(self._load("check"))
        faults = {name: said[name] for name in ("repeated", "strange", "refused") if said[name]}
        if said["commands"] != count or said["unique"] != count or faults:
            raise Wrong(
                f"{said['unique']} of {count} commands have a reply; {faults}\n"
                f"{self.system.tail()}"
            )
        return said

    def _backlog(self):
        load = self.workload
        self._result(self._load("fill", "--count", load.count))
        self._start()
        said = self._checked(load.count)
        begin, end = said["times"][WARM], said["times"][END]
        replies = load.count * (END - WARM) / 100
        return {
            "throughput": replies / (end - begin),
            **self._usage(begin, end, replies),
            **self._requests(load.count),
        }

    def _usage(self, begin, end, replies):
        def micros(role):
            return self.samples.used(begin, end, role) / replies * MICROSECONDS

        known = sum(self.samples.used(begin, end, role) for role in self.samples.processes)
        return {
            "cpuMicrosPerInvite": micros("system"),
            "rssMiB": self.samples.memory(begin, end),
            "cpuCores": self.samples.used(begin, end, "system") / (end - begin),
            "brokerMicrosPerInvite": micros("broker"),
            "graphMicrosPerInvite": micros("graph"),
            "busyCores": self.samples.used(begin, end, "busy") / (end - begin),
            "otherCores": (self.samples.used(begin, end, "busy") - known) / (end - begin),
            "stolenCores": self.samples.used(begin, end, "stolen") / (end - begin),
        }

    def _requests(self, count):
        """Every command had its effect; how many requests that took."""
        state = self.graph.simulator.state()
        if self.workload.batch == 1 and state["effects"] != count:
            raise Wrong(f"Graph saw {state['effects']} effects of {count} commands")
        return {"requests": state["invites"], "requestsPerInvite": state["invites"] / count}
