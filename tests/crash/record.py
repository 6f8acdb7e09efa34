"""Collects what the witnesses of a run say, piece by piece, into histories."""

import calendar
import json
import re
import time

import offsets
from kafka_client import Reader

OFFSETS_TOPIC = "__consumer_offsets"
ASSIGNED = re.compile(r"^(\S+)\.(\d{3,6})Z \S+ driver\.assigned ", re.M)


def now_us():
    return time.time_ns() // 1000


def time_us(message):
    return message.timestamp()[1] * 1000


def as_json(data):
    try:
        return json.loads(data)
    except ValueError:
        return None


def wall_us(seconds, fraction):
    parsed = time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed) * 1_000_000 + int(fraction.ljust(6, "0"))


class Journal:
    """The lines of the simulator's journal that are new since the last look."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.at = 0

    def read(self):
        self.simulator.control("POST", "flush")
        lines, self.at = self.simulator.read_journal(self.at)
        kept = [line for line in lines if line["route"] not in ("control", "token")]
        for line in kept:
            line.pop("body", None)
        return kept


class Witnesses:
    """Readers of all topics of one pipeline. `poll` often, `take` at a quiet moment."""

    def __init__(self, bootstrap, topics, group, simulator):
        self.group = group
        self.topic = topics["commands"]
        self.commands = Reader(bootstrap, topics["commands"])
        self.replies = Reader(bootstrap, topics["replies"])
        self.dead_letters = Reader(bootstrap, topics["dead_letters"])
        self.offsets = None
        self.bootstrap = bootstrap
        self.journal = Journal(simulator)
        self.n_replies = 0

    def poll(self, seconds=0.1):
        """Take replies as they come; the number seen so far."""
        self.n_replies += len(self.replies.poll(seconds))
        return self.n_replies

    @staticmethod
    def drain(reader):
        """Everything up to the end of the topic as it is now."""
        places = reader.consumer.assignment()
        ends = {
            place.partition: reader.consumer.get_watermark_offsets(place, timeout=30)[1]
            for place in places
        }
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            at = {p.partition: p.offset for p in reader.consumer.position(places)}
            if all(at[number] >= end or end == 0 for number, end in ends.items()):
                break
            reader.poll(0.05)
        taken, reader.records = reader.records, []
        return taken

    def read_commits(self):
        self.offsets = self.offsets or Reader(self.bootstrap, OFFSETS_TOPIC)
        commits = []
        for message in self.drain(self.offsets):
            found = offsets.parse_commit(message.key(), message.value())
            if found and found[:2] == (self.group, self.topic):
                names = ("partition", "offset", "metadata", "at_us")
                commits.append(dict(zip(names, found[2:])))
        return commits

    def take(self, history):
        """Add what is new to the history."""
        history.commands += [
            {
                "partition": message.partition(),
                "offset": message.offset(),
                "at_us": time_us(message),
                "key": (message.key() or b"").decode("utf-8", "replace"),
                "value": as_json(message.value()),
                "text": message.value().decode("utf-8", "replace"),
            }
            for message in self.drain(self.commands)
        ]
        replies = self.drain(self.replies)
        self.n_replies = 0
        history.replies += [
            {
                "partition": message.partition(),
                "offset": message.offset(),
                "at_us": time_us(message),
                "value": json.loads(message.value()),
            }
            for message in replies
        ]
        history.dead_letters += [
            {"at_us": time_us(message), "text": message.value().decode("utf-8", "replace")}
            for message in self.drain(self.dead_letters)
        ]
        history.commits += self.read_commits()
        history.requests += self.journal.read()

    def close(self):
        for reader in (self.commands, self.replies, self.dead_letters, self.offsets):
            if reader:
                reader.close()


def assignments(client, log):
    """When this incarnation was given partitions, from its log."""
    return [
        {"client": client, "at_us": wall_us(*match)}
        for match in ASSIGNED.findall(log)
    ]
