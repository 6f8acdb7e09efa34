"""A broker for a whole file of tests; topics, a simulated Graph and workers for each test."""

import itertools
import os
import pathlib
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
sys.path.append(str(ROOT / "tests" / "crash"))
os.environ.setdefault("WORKER_BIN", str(ROOT / "build" / "release" / "bin"))
os.environ.setdefault("GRAPH_SIMULATOR", os.environ["WORKER_BIN"] + "/graph-simulator")

# pylint: disable=wrong-import-position
from broker import Broker
from deliveries import EXACTLY_ONCE
from front import Front
from kafka_client import Commands, Reader
from simulator import Simulator
from witness import assert_valid
from worker import Worker, configuration, merged

NUMBERS = itertools.count(1)


def pytest_addoption(parser):
    parser.addoption(
        "--kafka", default=os.environ.get("WORKER_KAFKA", "3.9"), help="version of the broker"
    )


@pytest.fixture(scope="session")
def broker(request, tmp_path_factory):
    """A running broker; tests that stop or kill it start it again before they end."""
    started = Broker(tmp_path_factory.mktemp("kafka"), request.config.getoption("--kafka"))
    try:
        yield started.start()
    finally:
        started.kill()


@pytest.fixture
def graph(tmp_path):
    """A simulated Graph that behaves until told otherwise."""
    with Simulator(tmp_path / "graph") as simulator:
        yield simulator


@pytest.fixture
def front(tmp_path, graph):
    """HTTP/2 over TLS before the simulator."""
    started = Front(tmp_path, graph.http_port)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def topics(broker):
    """Topics of this test's own, named as in the configuration; commands have 3 partitions."""
    prefix = f"test-{next(NUMBERS)}"
    names = {what: f"{prefix}-{what.replace('_', '-')}" for what in ("commands", "replies")}
    names["dead_letters"] = f"{prefix}-dead-letters"
    broker.create_topics({name: 3 for name in names.values()})
    return names


@pytest.fixture
def delivery(request):
    """The promise of the test's workers; see deliveries.py for tests of another, or of both."""
    return getattr(request, "param", EXACTLY_ONCE)


@pytest.fixture
def pipeline(broker, graph, topics, delivery, tmp_path):
    """All that a test needs: commands in, replies and dead letters out, and workers on demand.

    pipeline.worker(section={option: value} …) makes a worker, not yet started, for these topics.
    In the end every reply that a test saw must be as the contract says.
    """
    workers = []
    group = f"group-{topics['commands']}"
    ours = {"delivery": delivery, "topics": topics, "consumer": {"group": group}}

    def make_worker(**extra):
        config = configuration(broker.bootstrap, graph.graph_url, graph.http_url, ours)
        name = f"worker-{len(workers) + 1}"
        workers.append(Worker(tmp_path / name, merged(config, extra)))
        return workers[-1]

    commands = Commands(broker.bootstrap, topics["commands"])
    replies = Reader(broker.bootstrap, topics["replies"])
    dead_letters = Reader(broker.bootstrap, topics["dead_letters"])
    yield types.SimpleNamespace(
        broker=broker,
        graph=graph,
        topics=topics,
        group=group,
        delivery=delivery,
        worker=make_worker,
        commands=commands,
        replies=replies,
        dead_letters=dead_letters,
    )
    for reader in (replies, dead_letters):
        reader.close()
    for worker in workers:
        worker.kill()
    assert_valid(replies.json())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the worker's logs with a failure."""
    outcome = yield
    report = outcome.get_result()
    directory = item.funcargs.get("tmp_path") if hasattr(item, "funcargs") else None
    if report.failed and directory:
        for log in sorted(directory.glob("worker-*/worker.log")):
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-60:])
            report.sections.append((f"end of {log.parent.name}'s log", tail))
