"""A real Apache Kafka broker: one KRaft node on loopback, from Maven Central's jars."""

import base64
import pathlib
import subprocess
import tempfile
import uuid
from functools import partial

from confluent_kafka.admin import AdminClient, NewTopic

import cache
from process import NotReady, Process, free_port, listeners

VERSIONS = {"3.9": "3.9.1", "4.1": "4.1.1"}
SLF4J = "1.7.36"
MAVEN_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>invite-worker</groupId><artifactId>test-broker</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
      <version>{kafka}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
      <version>{slf4j}</version>
    </dependency>
  </dependencies>
</project>
"""
PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
log.cleaner.dedupe.buffer.size=4194304
controlled.shutdown.enable=false
"""
# Options of Java: one that serves for long, and one that has to start soon.
LASTING = ("-Xmx1g", "-XX:+UseZGC")
BRIEF = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def run(command, seconds):
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(command, timeout=seconds, check=False, **options)


def fetch(version, directory):
    """The jars of this version, by Maven."""
    directory.mkdir()
    (directory / "pom.xml").write_text(POM.format(kafka=version, slf4j=SLF4J))
    command = ["mvn", "-q", "-B", "-f", directory / "pom.xml", MAVEN_GOAL]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={directory}"]
    done = run(command, 600)
    if done.returncode != 0:
        said = done.stdout + done.stderr
        raise NotReady(f"Maven could not fetch Kafka {version}:\n{said}")


def archive_classes(version, path):
    """What a broker loads, as Java takes it in at once: it is there in half the time. Java goes
    without an archive that is empty, or another Java's."""
    with tempfile.TemporaryDirectory(prefix="kafka-") as directory:
        broker = Broker(directory, version, sharing=f"-XX:ArchiveClassesAtExit={path}")
        broker.start()
        broker.stop()
    path.touch()


class Broker:
    """Start it, stop it, kill it, start it again: the data and the port stay the same.

    `relays`: for each, a further listener that tells its clients to come to the relay's port; its
    own port is in `relay_targets`."""

    def __init__(self, directory, version="3.9", overrides=None, relays=(), lasting=False,
                 sharing=None):
        """One that is `lasting` is compiled as well as it can be and does not stop for its garbage,
        as where it serves for real; one of a test has to start soon. `sharing`: what to do about an
        archive of classes, if not to use the one that is kept."""
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.version = VERSIONS.get(version, version)
        self.jars = cache.made_once(f"kafka-{self.version}", partial(fetch, self.version))
        self.sharing = sharing or f"-XX:SharedArchiveFile={self._classes()}"
        self.port = free_port()
        self.relay_targets = [free_port() for _ in relays]
        self.process = None
        self.options = LASTING if lasting else BRIEF
        self._format({**self._listeners(relays), **(overrides or {})})

    def _classes(self):
        name = f"kafka-{self.version}.jsa"
        return cache.made_once(name, partial(archive_classes, self.version))

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def _java(self, *argv):
        options = [*self.options, self.sharing]
        options += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        options += ["-Dorg.slf4j.simpleLogger.showDateTime=true"]
        return ["java", *options, "-cp", f"{self.jars}/*", *argv]

    def _listeners(self, relays):
        """Properties that add the listeners behind the relays."""
        if not relays:
            return {}
        names = [f"RELAY{number}" for number in range(len(relays))]
        ours = f"PLAINTEXT://127.0.0.1:{self.port}"
        pairs = {"listeners": self.relay_targets, "advertised.listeners": relays}
        texts = {
            what: ",".join([ours, *(f"{n}://127.0.0.1:{p}" for n, p in zip(names, ports))])
            for what, ports in pairs.items()
        }
        texts["listeners"] += ",CONTROLLER://127.0.0.1:{controller}"
        kinds = ["CONTROLLER", "PLAINTEXT", *names]
        texts["listener.security.protocol.map"] = ",".join(f"{n}:PLAINTEXT" for n in kinds)
        texts["inter.broker.listener.name"] = "PLAINTEXT"
        return texts

    def _format(self, overrides):
        self.properties = self.directory / "server.properties"
        text = PROPERTIES + "".join(f"{name}={value}\n" for name, value in overrides.items())
        ports = {"port": self.port, "controller": free_port()}
        self.properties.write_text(text.format(**ports, data=self.directory / "data"))
        cluster = self._cluster_id()
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c")
        done = run([*command, self.properties], 60)
        if done.returncode != 0:
            raise NotReady(f"the storage was not formatted:\n{done.stdout}{done.stderr}")

    @staticmethod
    def _cluster_id():
        """A random UUID as the tool wants it; one that begins with a dash looks like an option."""
        while True:
            text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            if not text.startswith("-"):
                return text

    def start(self, seconds=60):
        """Ready to serve when it returns, and it is our process that listens."""
        command = self._java("kafka.Kafka", self.properties)
        self.process = Process("kafka", command, self.directory / "kafka.log")
        self.process.wait_for(
            lambda: self.port in listeners(self.process.pid), seconds, "listens on its port"
        )
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        self.process.wait_for(lambda: self._answers(admin), seconds, "answers a metadata request")
        return self

    @staticmethod
    def _answers(admin):
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except Exception:  # pylint: disable=broad-except
            return False

    def create_topics(self, topics, config=None):
        """`topics`: partitions by name. Ready to be written when it returns."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        wanted = [NewTopic(name, count, 1, config=config or {}) for name, count in topics.items()]
        for future in admin.create_topics(wanted, operation_timeout=30).values():
            future.result(60)

        def has_leaders():
            known = admin.list_topics(timeout=5).topics
            return all(
                name in known
                and len(known[name].partitions) == count
                and all(part.leader >= 0 for part in known[name].partitions.values())
                for name, count in topics.items()
            )

        self.process.wait_for(has_leaders, 30, "has leaders for the new topics")

    def stop(self):
        if self.process:
            self.process.stop()

    def kill(self):
        if self.process:
            self.process.kill()
