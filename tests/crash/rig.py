"""A broker, a simulated Graph and workers that are killed, stopped and cut off while commands
flow; every fault is written down."""

import pathlib
import random
import signal
import threading
import time

from confluent_kafka import Consumer, TopicPartition

from broker import Broker
from history import SETTINGS, History
from kafka_client import Commands
from process import Process, listeners
from record import Witnesses, assignments, now_us
from relay import Relay
from simulator import Simulator
from worker import Worker, configuration, merged

BROKER = {"log.cleaner.enable": "false", "offsets.topic.num.partitions": "1"}
RATE, BURST = 25, 5
# Short times, so that what they make possible happens often. They belong together as the
# defaults do: lease < session, settle covers lease and request.
TIMES = {
    "consumer": {"session_timeout": "3s"},
    "graph": {"timeout": "1500ms", "connect_timeout": "1s"},
    "retry": {"settle": "4s", "base": "100ms"},
    "rate": {"call": RATE, "call_burst": BURST},
    "drain": {"timeout": "10s"},
}
EXACTLY_ONCE = {
    "delivery": "exactly-once",
    "exactly_once": {"lease": "2s", "commit_deadline": "1s"},
}
AT_LEAST_ONCE = {"delivery": "at-least-once"}


class Member:
    """One slot of the worker; each start of it is an incarnation with a client id of its own, by
    which the journal tells who sent what."""

    def __init__(self, rig, name, config, env=None):
        self.rig = rig
        self.name = name
        self.config = merged(config, {"consumer": {"instance_id": name}})
        self.env = env or {}
        self.number = 0
        self.slots = 0
        self.worker = None
        self.ended = []
        self.stopped_at = None
        self.kafka = None
        self.graph = None

    @property
    def client(self):
        return f"{self.name}.{self.number}"

    def start(self):
        """Run it; does not wait until it is ready."""
        self.number += 1
        config = merged(self.config, {"login": {"client_id": self.client}})
        directory = self.rig.directory / self.name
        self.worker = Worker(directory, config, env=self.env)
        self.worker.log_path = directory / f"{self.number}.log"
        self.worker.process = Process(
            self.name, self.worker.command(), self.worker.log_path, env=self.worker.env
        )
        return self

    def running(self):
        return self.worker is not None and self.worker.process.running()

    def kill(self, restart=True):
        begin = now_us()
        if self.stopped_at:
            self.resume()
        self.worker.kill()
        self.rig.fault("kill", self.client, begin)
        self.ended.append((self.client, self.worker.log_path))
        if restart:
            self.start()

    def stop(self):
        self.stopped_at = now_us()
        self.worker.signal(signal.SIGSTOP)

    def rename(self):
        """Another slot takes its place, so that the group must share its partitions anew."""
        self.kill(restart=False)
        self.slots += 1
        slot = f"{self.name}-{self.slots}"
        self.config = merged(self.config, {"consumer": {"instance_id": slot}})
        self.start()

    def note_stop(self):
        """It was stopped by something else."""
        self.stopped_at = now_us()

    def resume(self):
        self.worker.signal(signal.SIGCONT)
        self.rig.fault("stop", self.client, self.stopped_at)
        self.stopped_at = None

    def disturb(self, relay, seconds, rng):
        """Cut, hold or refuse the connections of one relay for a moment."""
        begin, client = now_us(), self.client
        how = rng.choice(("cut", "refuse", "hold up", "hold down"))
        if how in ("cut", "refuse"):
            relay.cut(refuse=how == "refuse")
        else:
            relay.hold(how.split()[1])
        time.sleep(seconds)
        if how.startswith("hold") and rng.random() < 0.5:
            relay.cut()
        relay.allow()
        relay.release()
        self.rig.fault(how, client, begin)

    def revive(self):
        """Start it again if it has ended by itself; how it had, or None."""
        if self.running():
            return None
        status = self.worker.process.popen.returncode
        kind = "kill" if status == -signal.SIGKILL else f"exit {status}"
        self.rig.fault(kind, self.client, now_us())
        self.ended.append((self.client, self.worker.log_path))
        self.start()
        return kind

    def is_stopped(self):
        """True when the kernel says so, whoever has stopped it."""
        stat = pathlib.Path(f"/proc/{self.worker.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def starts(self):
        """The assignments of every incarnation since the last call; logs of dead ones go."""
        found = []
        for client, path in [*self.ended, (self.client, self.worker.log_path)]:
            found += assignments(client, path.read_text(errors="replace"))
        self.ended = []
        return found


class Load:
    """Commands of many kinds, produced by a thread at a steady pace, never too far ahead."""

    def __init__(self, rig, per_second, calls, most_open=3000, seed=1):
        self.rig = rig
        self.per_second = per_second
        self.calls = calls
        self.most_open = most_open
        self.random = random.Random(seed)
        self.count = 0
        self.produced = 0
        self.recent = []
        self.going = threading.Event()
        self.thread = None
        self.replied = 0
        self.settled = 0  # Commands of rounds that are over

    def participant(self, place):
        kind = self.random.random()
        user = f"{self.rig.tag}{self.count:08}{place:02}"
        if kind < 0.03:
            return {"identity": {"phone": {"id": f"+1{self.count:08}{place:02}"}}}
        if kind < 0.05:
            return {"identity": {"user": {"id": user}}, "replacesCallId": "call-replaced"}
        return {"identity": {"user": {"id": user}}}

    def call(self):
        """One in six commands is for one of a few busy calls; a call in doubt holds up what is
        behind it, so most calls are many."""
        busy = self.random.random() < 1 / 6
        return self.random.randrange(self.calls // 50 + 1 if busy else self.calls)

    def make(self):
        """The next command; some repeat an earlier one, some are split, some are not valid."""
        dice = self.random.random()
        if dice < 0.01 and self.recent:
            return self.random.choice(self.recent)
        self.count += 1
        size = self.random.choice((1, 1, 1, 1, 2, 3)) if dice > 0.03 else 12
        command = {
            "commandId": f"id-{self.count}",
            "callId": f"call-{self.call()}",
            "participants": [self.participant(place) for place in range(size)],
        }
        if dice > 0.99:
            command["expiresAd"] = "2020-01-01T00:00:00Z"
        elif dice > 0.97:
            command["onUnknown"] = "resend"
        elif dice > 0.96:
            command["priority"] = "high"
        elif dice > 0.95:
            command["expiresAt"] = "2020-01-01T00:00:00Z"
        self.recent = [*self.recent[-20:], command]
        return command

    def run(self):
        begin, given = time.monotonic(), 0
        while self.going.is_set():
            due = int((time.monotonic() - begin) * self.per_second) - given
            room = self.most_open - (self.produced - self.replied)
            for _ in range(min(due, max(room, 0))):
                self.rig.commands.send(self.make())
                self.produced += 1
            given += due
            self.rig.commands.producer.poll(0)
            time.sleep(0.02)

    def start(self):
        self.going.set()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.going.clear()
        self.thread.join()
        self.rig.commands.flush(60)


class Rig:
    """All of it. Use it in a with statement."""

    def __init__(self, directory, workers=2, partitions=6, config=None, env=None, **options):
        self.directory = pathlib.Path(directory)
        self.tag = options.pop("tag", "u")
        self.partitions = partitions
        self.faults = []
        self.open_faults = []
        self.lock = threading.Lock()
        self.relays = []
        self.broker = options.pop("broker", None)
        self.owns_broker = self.broker is None
        relayed = options.pop("relayed", False)
        if self.owns_broker:
            self.start_broker(workers if relayed else 0)
        self.simulator = Simulator(self.directory / "graph", **options)
        self.simulator.set(latency_ms=25, jitter_ms=15)
        self.topics = {
            what: f"{self.tag}-{what.replace('_', '-')}"
            for what in ("commands", "replies", "dead_letters")
        }
        self.group = f"{self.tag}-group"
        self.broker.create_topics({name: partitions for name in self.topics.values()})
        ours = {"topics": self.topics, "consumer": {"group": self.group}}
        base = merged(
            configuration(
                self.broker.bootstrap, self.simulator.graph_url, self.simulator.http_url, ours
            ),
            TIMES,
        )
        self.config = merged(base, config)
        self.members = [
            Member(self, f"worker-{n + 1}", self.config, env and env(n)) for n in range(workers)
        ]
        if relayed:
            self.relay_members()
        self.commands = Commands(self.broker.bootstrap, self.topics["commands"])
        self.witnesses = Witnesses(
            self.broker.bootstrap, self.topics, self.group, self.simulator
        )

    def start_broker(self, relayed):
        """With a relay for each of so many workers."""
        self.relays = [Relay(0) for _ in range(relayed)]
        self.broker = Broker(
            self.directory / "kafka", overrides=BROKER, relays=[r.port for r in self.relays]
        ).start()
        for relay, target in zip(self.relays, self.broker.relay_targets):
            relay.target_port = target

    def relay_members(self):
        """Each worker reaches Kafka and Graph through relays of its own."""
        for member, kafka in zip(self.members, self.relays):
            member.kafka, member.graph = kafka, Relay(self.simulator.http_port)
            url = f"http://127.0.0.1:{member.graph.port}"
            member.config = merged(member.config, {
                "kafka": {"bootstrap.servers": f"127.0.0.1:{kafka.port}"},
                "graph": {"url": f"{url}/v1.0"},
            })

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.witnesses.close()
        for member in self.members:
            if member.worker:
                member.worker.kill()
        for relay in [*self.relays, *(m.graph for m in self.members if m.graph)]:
            relay.close()
        self.simulator.stop()
        if self.owns_broker:
            self.broker.kill()

    def fault(self, kind, client, begin_us, end_us=None):
        with self.lock:
            self.faults.append(
                {"kind": kind, "client": client, "begin_us": begin_us,
                 "end_us": end_us or now_us()}
            )

    def start_all(self):
        """Without waiting for any."""
        for member in self.members:
            member.start()

    def start(self):
        self.start_all()
        for member in self.members:
            self.wait_ready(member)

    def forget_maps(self):
        """What a person does who moves the group: offsets without maps, while nobody is there."""
        settings = {"bootstrap.servers": self.broker.bootstrap, "group.id": self.group}
        consumer = Consumer({**settings, "enable.auto.commit": False})
        places = [TopicPartition(self.topics["commands"], n, 1) for n in range(self.partitions)]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()

    @staticmethod
    def wait_ready(member, seconds=40):
        """Ready for work, whatever port it chose."""
        process = member.worker.process
        (member.worker.admin_port,) = process.wait_for(
            lambda: listeners(process.pid), seconds, "its admin server listens"
        )
        process.wait_for(member.worker.ready, seconds, "is ready")

    def restart_broker(self):
        begin = now_us()
        self.broker.kill()
        self.broker.start()
        self.fault("broker", None, begin, now_us() + 3_000_000)

    def finish(self, load, seconds=120):
        """Everything produced has its reply; workers that ended are started again."""
        deadline = time.monotonic() + seconds
        while self.witnesses.n_replies < load.produced - load.settled:
            self.poll_replies()
            for member in self.members:
                if member.stopped_at:
                    member.resume()
                member.revive()
            if time.monotonic() > deadline:
                return False
        load.replied = load.settled = load.produced
        return True

    def poll_replies(self, seconds=0.05):
        before = self.witnesses.n_replies
        return self.witnesses.poll(seconds) - before

    def take(self, exactly_once=True, complete=True):
        """The history since the last call."""
        history = History(settings={
            **SETTINGS, "rate": RATE, "burst": BURST,
            "exactly_once": exactly_once, "complete": complete,
        })
        self.witnesses.take(history)
        with self.lock:
            history.faults, self.faults = self.faults, []
        for member in self.members:
            history.starts += member.starts()
        return history
