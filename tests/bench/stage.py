"""One run: a program, a workload, new topics, a new Graph; what came of it, judged and measured."""

import contextlib
import itertools
import json
import shutil
import subprocess
import time

from confluent_kafka.admin import AdminClient

import workloads
from front import Front
from peers import Bento, ParallelConsumer
from process import die_with_parent
from samples import Samples
from simulator import Simulator
from systems import Floor, Scene, WorkerSystem
from usage import MIB, peak_mib
from worker import binaries

# Which part of the replies is measured: before it is the warm-up, behind it little is in flight.
WARM, END = 40, 95
# Commands a second that warm up for an open loop: many in a short time, but no backlog.
WARM_PACE = 5_000
MICROSECONDS = 1e6
LATENCIES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
IDLE_SECONDS = 2
SETTLED_SECONDS = 1
HOLD_SECONDS = 20


PROGRAMS = {
    "worker-at-least-once": lambda: WorkerSystem("at-least-once"),
    "worker-exactly-once": lambda: WorkerSystem("exactly-once"),
    "parallel-consumer": ParallelConsumer,
    "bento": Bento,
    "floor": Floor,
}


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
            figures = Run(self, PROGRAMS[system](), scene, graph).figures()
        for future in self.admin.delete_topics(list(topics.values())).values():
            future.result(60)
        shutil.rmtree(directory)
        return figures

    def group(self, name):
        """The state of a consumer group, and its members."""
        for group in self.admin.list_groups(name, timeout=10):
            return group.state, frozenset(member.id for member in group.members)
        return None, frozenset()

    def _create(self, topics, workload):
        for name in topics.values():
            self.broker.create_topics(
                {name: workload.partitions}, {"message.timestamp.type": "LogAppendTime"}
            )


class Graph:
    """A simulated Graph. It keeps a journal only where that is read, when a rate is looked at."""

    def __init__(self, directory, workload):
        self.simulator = Simulator(
            directory / "graph", journal=workload.call_rate > 0, latency=workload.graph_ms,
            token_lifetime=86400,
        )
        self.front = None
        self.login_url, self.ca = self.simulator.http_url, None
        if workload.tls:
            self.front = Front(directory, self.simulator.http_port, keeps_log=False)
            self.login_url, self.ca = self.front.url, self.front.ca
        self.graph_url = f"{self.login_url}/v1.0"
        self.token = self.simulator.token()

    def pids(self):
        return [self.simulator.process.pid, *(self.front.pids() if self.front else [])]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.front:
            self.front.stop()
        self.simulator.stop()


class Run:
    """The steps of one run."""

    def __init__(self, stage, system, scene, graph):
        self.stage, self.system, self.scene, self.graph = stage, system, scene, graph
        self.workload = scene.workload
        self.samples = None

    def figures(self):
        kinds = {
            workloads.BACKLOG: self._backlog,
            workloads.PACED: self._paced,
            workloads.THROTTLED: self._throttled,
        }
        with contextlib.ExitStack() as undo:
            undo.callback(self.system.kill)
            figures = kinds[self.workload.kind]()
            figures["peakRssMiB"] = peak_mib(self.system.pid)
            self.system.stop()
        return figures

    def _start(self):
        self.system.start(self.scene)
        processes = {
            "system": [self.system.pid],
            "broker": [self.stage.broker.process.pid],
            "graph": self.graph.pids(),
        }
        self.samples = Samples(processes, memory_of="system")
        self.samples.take()

    def _settle(self):
        """Until the group has stayed the same for a while: who joins later takes partitions away
        from others, and they may do twice what they had begun."""
        seen, since = None, time.monotonic()

        def is_settled():
            nonlocal seen, since
            now = self.stage.group(self.scene.group)
            if now != seen:
                seen, since = now, time.monotonic()
            state, members = now
            settled = state == "Stable" and len(members) >= self.system.members
            return settled and time.monotonic() - since >= SETTLED_SECONDS

        self.system.process.wait_for(is_settled, 60, lambda: f"its group settles: {seen}")

    def _load(self, verb, *arguments):
        """The result of a command of bench-load; while a system runs, samples are taken."""
        load, topics = self.workload, self.scene.topics
        command = [binaries() / "bench-load", verb, "--brokers", self.scene.bootstrap]
        command += ["--commands", topics["commands"], "--replies", topics["replies"]]
        command += ["--calls", load.calls, "--zipf", load.zipf, *arguments]
        if load.batch > 1:
            command.append("--no-context")  # A context of its own keeps a command from company
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, preexec_fn=die_with_parent
        )
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
        said = self._load("check")
        faults = {name: said[name] for name in ("repeated", "strange", "refused") if said[name]}
        if said["commands"] != count or said["unique"] != count or faults:
            raise Wrong(
                f"{said['unique']} of {count} commands have a reply; {faults}\n"
                f"{self.system.tail()}"
            )
        state = self.graph.simulator.state()
        if self.workload.batch == 1 and state["effects"] != count:
            raise Wrong(f"Graph saw {state['effects']} effects of {count} commands")
        return {**said, "requests": state["effects"]}

    def _backlog(self):
        load = self.workload
        self._start()
        self._settle()
        self._load("fill", "--count", load.count)
        said = self._checked(load.count)
        warm, end = (0, 100) if load.call_rate else (WARM, END)
        figures = self._rates(said, warm, end)
        if load.call_rate:
            sent = [invite["at_us"] / MICROSECONDS for invite in self.graph.simulator.invites()]
            figures["timeAgainstIdeal"] = (max(sent) - min(sent)) / load.ideal_seconds()
        return figures

    def _paced(self):
        load = self.workload
        count = int(load.pace * load.seconds)
        self._start()
        self._settle()
        linger = ("--linger", load.linger_ms)
        self._load("pace", "--rate", WARM_PACE, "--seconds", load.count / WARM_PACE, *linger)
        self._checked(load.count)
        begin = time.time()
        said = self._load("pace", "--rate", load.pace, "--seconds", load.seconds,
                          "--number", load.count, *linger)
        end = begin + load.seconds
        checked = self._checked(load.count + count)
        added = {share: ms - load.graph_ms for share, ms in said["quantiles"]}
        return {
            "throughput": load.pace,
            **self._usage(begin, end, count),
            "requestsPerInvite": checked["requests"] / checked["commands"],
            "latencyMs": {name: added[share] for name, share in LATENCIES.items()},
            "worstLateMs": said["worstLateMs"],
            "distribution": sorted(added.items()),
        }

    def _idle_memory(self):
        """What the program takes when there is nothing to do."""
        self._start()
        begin = self.samples.times[-1]
        self._sample_for(IDLE_SECONDS)
        self.system.stop()
        memory = self.samples.memory(begin + IDLE_SECONDS / 2, begin + IDLE_SECONDS)
        self.samples = None
        return memory

    def _sample_for(self, seconds):
        end = time.time() + seconds
        self.samples.take_while(lambda: time.time() < end)

    def _commands_open(self):
        return self.system.worker.metrics()["invite_worker_commands_open"]

    def _throttled(self):
        load, graph = self.workload, self.graph.simulator
        idle = self._idle_memory()
        bytes_each = self._load("fill", "--count", load.count)["bytes"] / load.count
        graph.set_rules({"status": 429, "retry_after": str(HOLD_SECONDS)})
        self._start()
        graph.wait(lambda state: state["invites"] > 0)
        begin = time.time()
        self._sample_for(HOLD_SECONDS / 4)
        waiting, held = time.time(), self._commands_open()
        self._sample_for(HOLD_SECONDS / 2)
        waited = time.time()
        if self._commands_open() != held:
            raise Wrong("the window was still being filled: memory by command is not known")
        graph.set_rules()
        said = self._checked(load.count)
        memory = self.samples.memory(waiting, waited)
        return {
            **self._rates(said, 5, END),
            "rssMiB": memory,
            "idleRssMiB": idle,
            "waitingCores": self.samples.used(waiting, waited, "system") / (waited - waiting),
            "heldCommands": held,
            "bytesPerHeldCommand": (memory - idle) * MIB / held,
            "bytesPerRecord": bytes_each,
            "drainSeconds": said["times"][-1] - begin - HOLD_SECONDS,
        }

    def _rates(self, said, warm, end):
        """Figures between two percentages of the replies."""
        begins, ends = said["times"][warm], said["times"][end]
        replies = said["commands"] * (end - warm) / 100
        return {
            "throughput": replies / (ends - begins),
            **self._usage(begins, ends, replies),
            "requestsPerInvite": said["requests"] / said["commands"],
        }

    def _usage(self, begin, end, replies):
        seconds = end - begin
        used = {
            what: self.samples.used(begin, end, what)
            for what in (*self.samples.processes, "busy", "stolen")
        }
        known = sum(used[role] for role in self.samples.processes)
        return {
            "cpuMicrosPerInvite": used["system"] / replies * MICROSECONDS,
            "cpuCores": used["system"] / seconds,
            "rssMiB": self.samples.memory(begin, end),
            "brokerMicrosPerInvite": used["broker"] / replies * MICROSECONDS,
            "graphMicrosPerInvite": used["graph"] / replies * MICROSECONDS,
            "busyCores": used["busy"] / seconds,
            "otherCores": (used["busy"] - known) / seconds,
            "stolenCores": used["stolen"] / seconds,
        }
