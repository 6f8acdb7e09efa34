"""`invite-worker ledger` shows what a group has committed, and mends what cannot be used."""

import itertools
import json
import subprocess

import pytest
import yaml
from confluent_kafka import Consumer

from kafka_client import Commands
from process import wait_until
from worker import binaries, configuration

OK, USAGE, UNAVAILABLE, REFUSED, CONFIG = 0, 64, 69, 77, 78
RECORDS = 20
GROUPS = itertools.count(1)


@pytest.fixture(scope="module", name="topic")
def make_topic(broker):
    """A topic of two partitions; 20 records in the first, none in the other."""
    broker.create_topics({"ledger-commands": 2})
    commands = Commands(broker.bootstrap, "ledger-commands")
    for number in range(RECORDS):
        commands.send({"callId": f"call-{number}"}, partition=0)
    commands.flush()
    return "ledger-commands"


class Ledger:
    """The command for one group of its own, and what a worker would have committed before."""

    def __init__(self, directory, bootstrap, topic, **options):
        self.bootstrap, self.topic = bootstrap, topic
        self.group = f"ledger-{next(GROUPS)}"
        self.path = directory / "worker.yaml"
        extra = {
            "topics": {"commands": topic},
            "consumer": {"group": self.group, "instance_id": "w-0"},
            **options,
        }
        config = configuration(bootstrap, "http://127.0.0.1:1", "http://127.0.0.1:1", extra)
        config["login"]["client_secret"] = "hush"
        self.path.write_text(yaml.safe_dump(config))

    def run(self, *arguments):
        command = [binaries() / "invite-worker", "ledger", *arguments, "-c", self.path]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False
        )

    def commit(self, offset, kind, value, partition=0):
        command = [binaries() / "commit-map", self.bootstrap, self.group, self.topic]
        command += [str(partition), str(offset), kind, value]
        subprocess.run(command, timeout=60, check=True)

    def show(self):
        """What is committed, by partition."""
        done = self.run("show", "--json")
        assert done.returncode == OK, done.stderr
        return {row["partition"]: row for row in json.loads(done.stdout)}


@pytest.fixture(name="ledger")
def make_ledger(broker, topic, tmp_path):
    return Ledger(tmp_path, broker.bootstrap, topic)


@pytest.fixture(name="member")
def make_member(broker, topic, ledger):
    """A member of the ledger's group that owns its partitions."""
    settings = {"bootstrap.servers": broker.bootstrap, "group.id": ledger.group}
    consumer = Consumer({**settings, "enable.auto.commit": False})
    assigned = []
    consumer.subscribe([topic], on_assign=lambda _, partitions: assigned.extend(partitions))

    def has_joined():
        consumer.poll(0.1)
        return assigned

    wait_until(has_joined, 30, "the member has its partitions")
    yield consumer
    consumer.close()


def rows(text):
    """The words of each row of the tables in it, headings left out."""
    words = [line.split() for line in text.splitlines()]
    return [row for row in words if row and row[0].isdigit()]


def test_shows_what_is_new_started_and_replied(ledger):
    ledger.commit(5, "map", "snrsspr")
    assert ledger.show()[0] == {
        "partition": 0, "committed": 5, "begin": 0, "end": RECORDS, "lag": 15, "map": "ok",
        "new": 9, "started": 4, "replied": 2, "startedOffsets": [5, 8, 9, 10],
    }


def test_shows_a_partition_without_a_commit(ledger):
    assert ledger.show()[1] == {
        "partition": 1, "committed": None, "begin": 0, "end": 0, "lag": None, "map": "none",
        "new": None, "started": None, "replied": None, "startedOffsets": [],
    }


def test_shows_a_table_with_the_started_offsets(ledger):
    ledger.commit(5, "map", "snrsspr")
    done = ledger.run("show")
    assert done.returncode == OK, done.stderr
    assert rows(done.stdout) == [
        ["0", "5", "20", "15", "ok", "9", "4", "2"],
        ["1", "-", "0", "-", "none", "-", "-", "-"],
    ]
    assert "started: 5, 8-9, 10 (2 participants settled, 1 in flight)\n" in done.stdout


def test_shows_one_partition_alone(ledger):
    done = ledger.run("show", "--partition", "1")
    assert (done.returncode, len(rows(done.stdout))) == (OK, 1)


@pytest.mark.parametrize(
    "text, problem",
    [("", "empty"), ("hello", "malformed"), ("7:5:00000000:dAAA", "version"),
     ("1:5:00000000:dAAA", "checksum")],
)
def test_names_what_is_wrong_with_a_map(ledger, text, problem):
    ledger.commit(5, "text", text)
    row = ledger.show()[0]
    assert (row["map"], row["lag"], row["started"]) == (problem, 15, None)


def test_accept_declares_that_nothing_behind_the_offset_was_begun(ledger):
    ledger.commit(5, "map", "snrs")
    done = ledger.run("accept", "--partition", "0")
    assert done.returncode == OK, done.stderr
    assert rows(done.stdout) == [
        ["0", "5", "20", "15", "ok", "12", "2", "1"],
        ["0", "5", "20", "15", "ok", "15", "0", "0"],
    ]
    row = ledger.show()[0]
    assert (row["committed"], row["map"], row["new"], row["started"]) == (5, "ok", 15, 0)


def test_accept_moves_the_offset_where_it_is_told(ledger):
    ledger.commit(5, "text", "")
    assert ledger.run("accept", "--partition", "0", "--offset", "12").returncode == OK
    row = ledger.show()[0]
    assert (row["committed"], row["map"], row["new"]) == (12, "ok", 8)


def test_accept_sets_the_first_offset_of_a_group_that_has_none(ledger):
    assert ledger.run("accept", "--partition", "0").returncode == REFUSED
    assert ledger.run("accept", "--partition", "0", "--offset", "0").returncode == OK
    row = ledger.show()[0]
    assert (row["committed"], row["map"]) == (0, "ok")


def test_accept_refuses_an_offset_that_is_not_in_the_log(ledger):
    done = ledger.run("accept", "--partition", "0", "--offset", "21")
    assert done.returncode == REFUSED
    assert "offset 21 is not in the log, which has 0 to 20" in done.stderr
    assert ledger.show()[0]["committed"] is None


@pytest.mark.parametrize("text", ["", "hello", "1:5:00000000:dAAA"])
def test_repair_counts_all_behind_the_offset_as_started(ledger, text):
    ledger.commit(5, "text", text)
    done = ledger.run("repair", "--partition", "0")
    assert done.returncode == OK, done.stderr
    assert [row[6] for row in rows(done.stdout)] == ["-", "15"]
    row = ledger.show()[0]
    assert (row["committed"], row["map"], row["new"], row["replied"]) == (5, "ok", 0, 0)
    assert row["startedOffsets"] == list(range(5, RECORDS))


def test_repair_mends_a_map_that_was_made_for_another_offset(ledger):
    dry = ledger.run("accept", "--partition", "0", "--offset", "4", "--dry-run")
    ledger.commit(5, "text", dry.stdout.split("metadata: ")[1].strip())
    assert ledger.show()[0]["map"] == "base"
    assert ledger.run("repair", "--partition", "0").returncode == OK
    assert ledger.show()[0]["started"] == 15


def test_repair_leaves_a_map_in_order_alone(ledger):
    ledger.commit(5, "map", "sn")
    done = ledger.run("repair", "--partition", "0")
    assert (done.returncode, "the map is in order" in done.stdout) == (OK, True)
    assert ledger.show()[0]["startedOffsets"] == [5]


def test_repair_takes_no_more_than_a_worker_would(broker, topic, tmp_path):
    queue = {"offsets_per_partition": 4, "commands_per_partition": 4}
    ledger = Ledger(tmp_path, broker.bootstrap, topic, queue=queue)
    ledger.commit(5, "text", "")
    assert ledger.run("repair", "--partition", "0").returncode == OK
    row = ledger.show()[0]
    assert (row["startedOffsets"], row["new"]) == ([5, 6, 7, 8], 11)


def test_repair_needs_a_committed_offset(ledger):
    done = ledger.run("repair", "--partition", "0")
    assert (done.returncode, "use ledger accept" in done.stderr) == (REFUSED, True)


@pytest.mark.parametrize("action", ["accept", "repair"])
def test_a_dry_run_shows_what_would_be_written_and_writes_nothing(ledger, action):
    ledger.commit(5, "text", "hello")
    done = ledger.run(action, "--partition", "0", "--dry-run")
    assert done.returncode == OK, done.stderr
    assert "would be written:" in done.stdout
    assert "metadata: 1:5:" in done.stdout
    assert ledger.show()[0]["map"] == "malformed"


@pytest.mark.parametrize("action", ["accept", "repair"])
def test_nothing_is_written_while_the_group_has_a_member(ledger, member, action):
    assert member.assignment()
    done = ledger.run(action, "--partition", "0", *offset_of(action))
    assert done.returncode == REFUSED
    assert "has 1 active member: stop all workers" in done.stderr
    assert done.stdout == ""
    assert ledger.show()[0]["committed"] is None


def offset_of(action):
    return ("--offset", "3") if action == "accept" else ()


def test_a_partition_that_there_is_not_is_a_mistake_of_the_caller(ledger):
    done = ledger.run("show", "--partition", "2")
    assert done.returncode == USAGE
    assert "ledger-commands has 2 partitions: there is no partition 2" in done.stderr


def test_a_topic_that_there_is_not_is_refused(broker, tmp_path):
    done = Ledger(tmp_path, broker.bootstrap, "no-such-topic").run("show")
    assert (done.returncode, done.stdout) == (REFUSED, "")


def test_brokers_that_do_not_answer_end_it_with_69(tmp_path):
    done = Ledger(tmp_path, "127.0.0.1:1", "ledger-commands").run("show")
    assert (done.returncode, done.stdout) == (UNAVAILABLE, "")
    assert "127.0.0.1:1" in done.stderr
