"""What failed goes to the dead letters; `invite-worker redrive` puts dead letters back, once."""

import datetime
import json
import os
import subprocess
import time

import pytest
from confluent_kafka import Producer

from deliveries import BOTH
from kafka_client import Reader, committed
from test_bad_input import HEADERS
from witness import by_id, command, sent_users
from worker import binaries

OK, USAGE, UNAVAILABLE, REFUSED = 0, 64, 69, 77
SECRET = {"INVITE_WORKER_LOGIN_CLIENT_SECRET": "hush"}


class Redrive:
    """The command with the configuration of the pipeline's worker, and letters made by hand."""

    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.worker = pipeline.worker(commands={"dead_letter_failed": True})
        self.producer = Producer({"bootstrap.servers": pipeline.broker.bootstrap})
        self.commands = Reader(pipeline.broker.bootstrap, pipeline.topics["commands"])
        self.env = {**os.environ, **SECRET}

    def run(self, *arguments):
        line = [binaries() / "invite-worker", "redrive", "-c", self.worker.config_path]
        return subprocess.run(
            [*line, *arguments], env=self.env, capture_output=True, text=True, timeout=120,
            check=False,
        )

    def go(self, *arguments):
        """A run that must succeed; how many letters were put back, and its output."""
        done = self.run(*arguments)
        assert done.returncode == OK, done.stderr
        words = done.stdout.splitlines()[-2].split()
        assert words[1] == "read,"
        return int(words[2]), done

    def letter(self, call, number, reason="refused", **more):
        """A dead letter in partition 0; `more`: other headers, or where the command stood."""
        value = json.dumps(command(call, f"u-{number}", commandId=f"c-{number}")).encode()
        place = more.pop("place", (self.pipeline.topics["commands"], 0))
        headers = [
            ("correlation-id", b"x"),
            ("dead-letter-reason", reason.encode()),
            ("dead-letter-message", b"said so"),
            ("dead-letter-topic", place[0].encode()),
            ("dead-letter-partition", str(place[1]).encode()),
            ("dead-letter-offset", str(number).encode()),
        ]
        self.producer.produce(
            self.pipeline.topics["dead_letters"], more.get("value", value), key=call.encode(),
            headers=headers, partition=0, **({"timestamp": more["at"]} if "at" in more else {}),
        )

    def letters(self, reasons, call="call"):
        for number, reason in enumerate(reasons):
            self.letter(call, number, reason)
        self.flush()

    def flush(self):
        assert self.producer.flush(30) == 0

    def back(self, count):
        """The records in the command topic, by commandId: all that came, exactly `count`."""
        self.commands.wait_for(count)
        self.commands.poll(0.5)
        assert len(self.commands.records) == count
        return [json.loads(one.value())["commandId"] for one in self.commands.records]


@pytest.fixture(name="redrive")
def make_redrive(pipeline):
    made = Redrive(pipeline)
    yield made
    made.commands.close()


def headers_of(message):
    return [] if message.headers() is None else message.headers()


@BOTH
def test_what_failed_is_put_back_as_it_was_and_works_the_second_time(pipeline, redrive):
    pipeline.graph.set_rules({"call": "over", "status": 409, "code": "x", "count": 1})
    one = command("over", "ann", commandId="one", clientContext="é")
    value = json.dumps(one, indent=3).encode()
    pipeline.commands.send(value, key=b"over", partition=2, headers=HEADERS)
    pipeline.commands.send(command("fine", "bob", commandId="two"))
    pipeline.commands.flush()
    worker = redrive.worker.start()
    first = by_id(pipeline.replies.replies(2))
    assert (first["one"]["status"], first["two"]["status"]) == ("failed", "accepted")
    (letter,) = pipeline.dead_letters.wait_for(1)
    assert (letter.key(), letter.value()) == (b"over", value)
    told = dict(headers_of(letter)[len(HEADERS):])
    assert headers_of(letter)[: len(HEADERS)] == HEADERS
    assert told["dead-letter-reason"] == first["one"]["error"]["code"].encode() == b"refused"
    assert told["dead-letter-partition"] == b"2"
    assert redrive.go()[0] == 1
    again = redrive.commands.wait_for(3)[-1]
    assert (again.key(), again.value(), again.partition()) == (b"over", value, 2)
    place = f"{letter.topic()}-{letter.partition()}-{letter.offset()}"
    assert headers_of(again) == [*HEADERS, ("redrive", place.encode())]
    replies = pipeline.replies.replies(3)
    assert (replies[-1]["commandId"], replies[-1]["status"]) == ("one", "accepted")
    assert sorted(sent_users(pipeline.graph.effects())) == ["ann", "bob"]
    assert redrive.go()[0] == 0
    worker.stop()


def test_nothing_is_put_back_twice_unless_asked_for(redrive):
    redrive.letters(["refused"] * 5)
    assert redrive.go()[0] == 5
    put, done = redrive.go()
    assert (put, done.stdout.splitlines()[0]) == (0, "0 read, 0 put back, 0 were before")
    redrive.letter("call", 5)
    redrive.flush()
    assert redrive.go()[0] == 1
    assert redrive.back(6) == [f"c-{number}" for number in range(6)]
    assert redrive.go("--from-beginning")[0] == 6
    redrive.back(12)
    assert redrive.go()[0] == 0


def test_what_a_filter_left_out_is_there_for_the_next_run(redrive):
    redrive.letters(["refused", "throttled", "refused", "call-over", "throttled"])
    assert redrive.go("--reason", "throttled")[0] == 2
    assert redrive.back(2) == ["c-1", "c-4"]
    assert redrive.go("--reason", "throttled")[0] == 0
    assert redrive.go("--reason", "refused", "--reason", "call-over", "--limit", "1")[0] == 1
    assert redrive.back(3)[-1] == "c-0"
    assert redrive.go()[0] == 2
    assert redrive.back(5)[3:] == ["c-2", "c-3"]
    assert redrive.go()[0] == 0


def test_filters_by_call_and_by_time(redrive):
    now = int(time.time() * 1000)
    for number, (call, age_s) in enumerate([("a", 7200), ("b", 7200), ("a", 0), ("b", 0)]):
        redrive.letter(call, number, at=now - age_s * 1000)
    redrive.flush()
    hour_ago = datetime.datetime.fromtimestamp(now / 1000 - 3600, datetime.timezone.utc)
    text = hour_ago.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert redrive.go("--call", "b", "--until", text)[0] == 1
    assert redrive.back(1) == ["c-1"]
    assert redrive.go("--since", text)[0] == 2
    assert redrive.back(3)[1:] == ["c-2", "c-3"]
    assert redrive.go("--call", "nobody")[0] == 0


def test_what_is_unknown_needs_a_word(redrive):
    redrive.letters(["outcome-unknown", "refused"])
    put, done = redrive.go()
    assert (put, " 1 unknown," in done.stdout) == (1, True)
    assert redrive.go("--include-unknown")[0] == 1
    assert redrive.back(2) == ["c-1", "c-0"]


def test_what_is_cut_short_or_of_another_topic_is_never_put_back(redrive):
    redrive.letter("call", 0, value=b"", reason="accepted")
    redrive.letter("call", 1, place=("another-topic", 0))
    redrive.letter("call", 2)
    redrive.flush()
    put, done = redrive.go("--include-unknown")
    assert put == 1
    assert "1 cut short, 1 of other topics" in done.stdout
    assert "offset 0 has no value: the record stood at" in done.stderr
    assert redrive.back(1) == ["c-2"]


def test_a_dry_run_shows_what_it_would_do_and_nothing_of_people(pipeline, redrive):
    redrive.letters(["refused", "outcome-unknown", "throttled"], call="call-7")
    for _ in range(2):
        put, done = redrive.go("--dry-run", "--limit", "5")
        assert put == 2
        rows = [line.split() for line in done.stdout.splitlines()[1:3]]
        assert [[row[0], row[1], row[3], row[5]] for row in rows] == [
            ["0", "0", "refused", "call-7"], ["0", "2", "throttled", "call-7"]]
        assert "u-0" not in done.stdout + done.stderr
    assert committed(
        pipeline.broker.bootstrap, pipeline.group + "-redrive", pipeline.topics["dead_letters"]
    ) == {}
    assert redrive.go()[0] == 2
    redrive.back(2)


def test_a_partition_that_is_not_there_any_more_gives_way_to_the_key(redrive):
    redrive.letter("call", 0, place=(redrive.pipeline.topics["commands"], 99))
    redrive.letter("call", 1, place=(redrive.pipeline.topics["commands"], 1))
    redrive.flush()
    assert redrive.go()[0] == 2
    redrive.back(2)
    places = {json.loads(one.value())["commandId"]: one.partition()
              for one in redrive.commands.records}
    assert places["c-1"] == 1 and 0 <= places["c-0"] < 3


def test_a_run_that_is_killed_leaves_nothing_half_done(redrive):
    count = 3000
    redrive.letters(["refused"] * count)
    line = [binaries() / "invite-worker", "redrive", "-c", redrive.worker.config_path]
    with subprocess.Popen(line, env=redrive.env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        assert "put back" in process.stderr.readline()
        process.kill()
    put, _ = redrive.go()
    assert 0 < put < count
    assert sorted(redrive.back(count)) == sorted(f"c-{number}" for number in range(count))


def test_what_was_put_back_does_not_wait_for_letters_that_come_slowly(pipeline, redrive):
    """A broker answers at once with the first letter, which is large; each of the rest, which are
    small, takes it all of its time. Only a commit before the second one says "1 read"."""
    slow = {"fetch.min.bytes": 2000, "fetch.wait.max.ms": 25000, "max.partition.fetch.bytes": 1}
    redrive.worker = pipeline.worker(
        kafka={name: str(value) for name, value in slow.items()},
        commands={"dead_letter_failed": True},
    )
    large = json.dumps(command("call", "u-0", commandId="c-0", clientContext="x" * 4000)).encode()
    redrive.letter("call", 0, value=large)
    redrive.flush()
    for number in (1, 2):
        redrive.letter("another", number)
        redrive.flush()
    line = [binaries() / "invite-worker", "redrive", "-c", redrive.worker.config_path]
    with subprocess.Popen([*line, "--call", "call"], env=redrive.env, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr.readline() == "invite-worker: 1 read, 1 put back\n"
            assert redrive.commands.wait_for(1)[0].value() == large
            assert process.poll() is None
        finally:
            process.kill()
    redrive.worker = pipeline.worker(commands={"dead_letter_failed": True})
    assert redrive.go()[0] == 2


def test_many_gaps_are_forgotten_from_the_oldest_on_and_it_says_so(redrive):
    redrive.letters(["refused", "throttled"] * 3000)
    put, done = redrive.go("--reason", "throttled")
    assert put == 3000
    assert "only --from-beginning reads them again" in done.stderr
    left, _ = redrive.go()
    assert 500 < left < 3000
    assert len(set(redrive.back(3000 + left))) == 3000 + left


def test_what_cannot_be_reached_or_is_not_there_ends_it(redrive, pipeline):
    redrive.env["INVITE_WORKER_TOPICS_DEAD_LETTERS"] = "no-such-topic"
    done = redrive.run()
    assert (done.returncode, done.stdout) == (REFUSED, "")
    del redrive.env["INVITE_WORKER_TOPICS_DEAD_LETTERS"]
    redrive.letters(["refused"])
    assert redrive.go()[0] == 1
    position = committed(
        pipeline.broker.bootstrap, pipeline.group + "-redrive", pipeline.topics["dead_letters"])
    assert position[0] == 1
