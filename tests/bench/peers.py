"""The peers, built by their own tools from peers/ and cached outside of the source tree."""

import hashlib
import os
import pathlib
import shutil
import subprocess

import cache
from broker import MAVEN_GOAL
from systems import System
from workloads import PACED

SOURCES = pathlib.Path(__file__).resolve().parent / "peers"
HEAP = "768m"


class NotBuilt(Exception):
    """A peer cannot be had here."""


def build(command, directory, seconds, **environment):
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=directory, timeout=seconds, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuilt(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        raise NotBuilt(f"{command[0]} ended with {done.returncode}\n{done.stdout[-2000:]}")


def fingerprint(source):
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(source)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Peer(System):
    """A directory of peers/, and what is built from it."""

    def build_name(self):
        """In the cache: it follows from the sources."""
        return f"bench-{self.name}-{fingerprint(SOURCES / self.name)}"

    def directory(self):
        """Where the build is, or will be."""
        return cache.directory() / self.build_name()

    def is_built(self):
        return self.directory().is_dir()

    def prepare(self):
        """Build it unless that is done; NotBuilt says why it cannot be."""

        def make(work):
            shutil.copytree(SOURCES / self.name, work)
            self.compile(work)

        cache.made_once(self.build_name(), make)

    def compile(self, work):
        raise NotImplementedError

    def environment(self, scene):
        return {
            "BROKERS": scene.bootstrap,
            "COMMANDS": scene.topics["commands"],
            "REPLIES": scene.topics["replies"],
            "GROUP": scene.group,
            "GRAPH_URL": scene.graph_url,
            "GRAPH_TOKEN": scene.token,
            "IN_FLIGHT": str(scene.in_flight),
            # Tuned for throughput, but where latency is what counts.
            **({"LINGER_MS": "0", "BATCH_PERIOD": "1ms"} if scene.workload.kind == PACED else {}),
            **({"CA_FILE": scene.ca, "TLS": "true"} if scene.ca else {}),
        }


class ParallelConsumer(Peer):
    """Confluent's Parallel Consumer with Vert.x: order by key, one request a command."""

    name = "parallel-consumer"

    def compile(self, work):
        jars = ["mvn", "-q", "-B", MAVEN_GOAL, "-DincludeScope=runtime", "-DoutputDirectory=lib"]
        build(jars, work, 600)
        sources = sorted(work.rglob("*.java"))
        build(["javac", "-d", "classes", "-cp", "lib/*", *sources], work, 300)

    def command(self, scene):
        place = self.directory()
        return [
            "java", f"-Xmx{HEAP}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp", f"{place}/classes:{place}/lib/*", "peer.ParallelConsumer",
        ]


class Bento(Peer):
    """Bento, the free fork of Benthos: order by batches that are grouped by key."""

    name = "bento"
    members = 8

    def compile(self, work):
        build(
            ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", "bento", "."], work, 1200,
            GOTOOLCHAIN="local",
        )

    def environment(self, scene):
        return {**super().environment(scene), "CONSUMERS": str(self.members)}

    def command(self, scene):
        place = self.directory()
        return [place / "bento", "-c", place / "bento.yaml"]
