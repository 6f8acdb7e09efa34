"""Calls that Graph keeps away, among a steady load on their partition: the others do not feel it.

The load goes on while a call is held, then for as long without, and so on. A shared machine makes
some of these stretches slower and none faster: so a hold is felt when it is felt every time. This
test measures time, nothing else should run meanwhile. HELD=TIMESxSECONDSxRATE sets its size."""

import array
import json
import os
import statistics
import threading
import time

import pytest

from kafka_client import Commands, Reader, committed
from process import wait_until
from witness import command

TIMES, SECONDS, RATE = (float(part) for part in os.environ.get("HELD", "5x2x300").split("x"))
TIMES = int(TIMES)
BETWEEN = min(SECONDS, 120)
CALLS = 40
SLOWER = 1.05
STRETCH = 2  # Seconds of which the 99th percentile is taken
WINDOW = 500
PAUSED, OPEN = 'invite_worker_partitions{state="paused"}', "invite_worker_commands_open"
# More commands pass a held call than the partition's window has offsets.
CONFIGURATION = {
    "rate": {"call": 1000, "call_burst": 1000, "application": 100000, "application_burst": 100000},
    "queue": {"offsets_per_partition": WINDOW, "commands_per_partition": WINDOW},
    "retry": {"max_hold": "2h"},
}


class Load(threading.Thread):
    """Sends commands at a steady rate until it is told to stop; when each was sent is its name."""

    def __init__(self, bootstrap, topic):
        super().__init__(daemon=True)
        self.commands = Commands(bootstrap, topic)
        self.ends = threading.Event()
        self.sent = 0

    def run(self):
        began = time.monotonic()
        while not self.ends.is_set():
            due = int((time.monotonic() - began) * RATE)
            for number in range(self.sent, due):
                call = f"call-{number % CALLS}"
                one = command(call, f"user-{number}", commandId=f"{time.time():.6f}-{number}")
                self.commands.send(one, partition=0)
            self.sent = max(self.sent, due)
            self.ends.wait(0.005)
        self.commands.flush()

    def stop(self):
        self.ends.set()
        self.join()


class Replies(threading.Thread):
    """Reads the replies, and keeps of each when its command was sent and when the worker wrote it:
    both by their own clocks, so that it does not matter how slowly they are read here."""

    def __init__(self, bootstrap, topic):
        super().__init__(daemon=True)
        self.reader = Reader(bootstrap, topic)
        self.ends = threading.Event()
        self.sent, self.written = array.array("d"), array.array("d")
        self.held = {}

    def run(self):
        while not self.ends.is_set():
            for message in self.reader.poll(0.1):
                self.note(json.loads(message.value()), message.timestamp()[1] / 1000)
            self.reader.records.clear()

    def note(self, reply, written):
        if reply["callId"].startswith("held-"):
            self.held[reply["callId"]] = {**reply, "written": written}
        elif reply["status"] == "accepted":
            self.sent.append(float(reply["commandId"].partition("-")[0]))
            self.written.append(written)

    def stop(self):
        self.ends.set()
        self.join()
        self.reader.close()

    def p99(self, begin, end):
        """Of what was sent between the two; over longer times that of a usual stretch."""
        rows = [[] for _ in range(int((end - begin) / STRETCH) + 1)]
        for sent, written in zip(self.sent, self.written):
            if begin <= sent < end:
                rows[int((sent - begin) / STRETCH)].append(written - sent)
        most = max(len(row) for row in rows)
        whole = [row for row in rows if len(row) > most / 2]
        return statistics.median(statistics.quantiles(row, n=100)[98] for row in whole)

    def passed(self, begin, end):
        """How many were sent and answered between the two."""
        both = zip(self.sent, self.written)
        return sum(begin <= sent and written < end for sent, written in both)


@pytest.fixture
def load(pipeline):
    made = Load(pipeline.broker.bootstrap, pipeline.topics["commands"])
    yield made
    made.stop()


@pytest.fixture
def replies(pipeline):
    made = Replies(pipeline.broker.bootstrap, pipeline.topics["replies"])
    yield made
    made.stop()


def hold(pipeline, replies, name):
    """Send a command to a call that Graph then keeps away; when it began and when it was over."""
    pipeline.commands.send(command(name, "ann", commandId=name), partition=0)
    pipeline.commands.flush()
    began = time.time()
    reply = wait_until(lambda: replies.held.get(name), SECONDS + 30, f"{name} has its reply")
    return began, reply["written"]


def live(pipeline, load, replies):
    """Load with and without a held call in turn: the times of both, the first without."""
    load.start()
    replies.start()
    wait_until(lambda: len(replies.sent) >= 2 * RATE, 30, "everything is warm")
    began, free, held = time.time(), [], []
    for number in range(TIMES):
        time.sleep(BETWEEN)
        held.append(hold(pipeline, replies, f"held-{number}"))
        free.append((began, held[-1][0]))
        began = held[-1][1]
    time.sleep(BETWEEN)
    free.append((began, time.time()))
    load.stop()
    wait_until(lambda: len(replies.sent) == load.sent, 60, "all others are accepted")
    return free, held


class Watch(threading.Thread):
    """Asks the worker again and again whether the partition is paused, and how much is open then: a
    slow machine may fill it, a held call must not."""

    def __init__(self, worker):
        super().__init__(daemon=True)
        self.worker = worker
        self.ends = threading.Event()
        self.open_when_paused = []

    def run(self):
        while not self.ends.wait(0.2):
            metrics = self.worker.metrics()
            if metrics[PAUSED]:
                self.open_when_paused.append(metrics[OPEN])

    def stop(self):
        self.ends.set()
        self.join()


def positions(pipeline):
    return committed(pipeline.broker.bootstrap, pipeline.group, pipeline.topics["commands"])


def test_a_held_call_is_not_felt_by_the_others_of_its_partition(pipeline, load, replies, capsys):
    pipeline.graph.set_rules(
        *(
            {"call": f"held-{number}", "status": 429, "retry_after": f"{SECONDS:g}", "count": 1}
            for number in range(TIMES)
        )
    )
    worker = pipeline.worker(**CONFIGURATION).start()
    watch = Watch(worker)
    watch.start()
    free, held = live(pipeline, load, replies)
    watch.stop()
    without = [replies.p99(*times) for times in free]
    during = [replies.p99(*times) for times in held]
    felt = [own / max(pair) for own, *pair in zip(during, without, without[1:])]
    passed = [replies.passed(*times) for times in held]
    with capsys.disabled():
        print(
            f"\n{load.sent} commands at {RATE:g}/s, {TIMES} holds of {SECONDS:g} s that {passed} "
            f"commands passed: p99 {statistics.median(without) * 1000:.1f} ms without, "
            f"{statistics.median(during) * 1000:.1f} ms with them; each by the slower of its "
            f"neighbours: {' '.join(f'{ratio:.2f}' for ratio in felt)}"
        )
    assert min(passed) > WINDOW
    assert min(watch.open_when_paused, default=WINDOW) > WINDOW / 2
    assert worker.log().count("driver.assigned") == 1
    for reply in replies.held.values():
        assert (reply["status"], reply["attempts"]) == ("accepted", 2)
        assert reply["timing"]["waitedFor"]["hold"] >= SECONDS * 1000 - 10
    assert min(felt) <= SLOWER
    wait_until(lambda: positions(pipeline) == {0: load.sent + TIMES}, 20, "all is committed")
    assert worker.stop() == 0
