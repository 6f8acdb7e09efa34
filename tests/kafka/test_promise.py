"""Commit, then send: whatever dies at whatever moment, no invite is sent twice, and every command
has one reply."""

import collections
import json
import signal
import subprocess

import pytest

from deliveries import AT_LEAST_ONCE, BOTH, EXACTLY_ONCE
from process import wait_until
from test_groups import owned
from test_restarts import FAST, in_the_middle, send, wait_for_all
from witness import assert_once, by_id, command, load, sent_users
from worker import binaries

CALLS, EACH = 60, 20
SHORT = {
    **FAST,
    "consumer": {"session_timeout": "2s"},
    "exactly_once": {"lease": "1s", "commit_deadline": "500ms"},
    "graph": {"timeout": "1s", "connect_timeout": "500ms", "max_in_flight": 4},
    "retry": {"settle": "2s"},
}


def begin(pipeline):
    commands = load(CALLS, EACH)
    pipeline.graph.set(latency_ms=20, jitter_ms=20)
    send(pipeline, commands)
    return commands


def user_of(one):
    return one["participants"][0]["identity"]["user"]["id"]


def assert_promise(pipeline, commands):
    """One reply for each command, an effect for each but the unknown; what is unknown had none,
    for Graph would have told. The numbers by status."""
    replies = by_id(pipeline.replies.json())
    effects = collections.Counter(sent_users(pipeline.graph.effects()))
    for one in commands:
        status = replies[one["commandId"]]["status"]
        assert status in ("accepted", "reconciled", "unknown"), replies[one["commandId"]]
        assert effects[user_of(one)] == (status != "unknown"), (status, one)
    return collections.Counter(reply["status"] for reply in replies.values())


def test_a_worker_that_is_killed_three_times_sends_nothing_twice(pipeline):
    commands = begin(pipeline)
    worker = pipeline.worker(**SHORT).start()
    for _ in range(3):
        in_the_middle(pipeline, pipeline.graph.state()["effects"] + 40)
        worker.signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
        worker.start()
    wait_for_all(pipeline, commands)
    assert assert_promise(pipeline, commands)["accepted"] > len(commands) / 2
    assert worker.stop() == 0


def test_a_worker_that_wakes_up_behind_its_session_sends_nothing_more(pipeline):
    commands = begin(pipeline)
    first, second = (pipeline.worker(**SHORT).start() for _ in range(2))
    wait_until(lambda: owned(first) > 0 and owned(second) > 0, 20, "both own some")
    in_the_middle(pipeline, pipeline.graph.state()["effects"] + 20)
    first.signal(signal.SIGSTOP)
    wait_until(lambda: owned(second) == 3, 20, "the second owns all")
    first.signal(signal.SIGCONT)
    wait_for_all(pipeline, commands)
    assert_promise(pipeline, commands)
    assert (first.stop(), second.stop()) == (0, 0)


def test_a_broker_that_is_killed_during_work_makes_nothing_happen_twice(pipeline):
    commands = begin(pipeline)
    worker = pipeline.worker(**{**SHORT, "consumer": {"session_timeout": "60s"}}).start()
    for end in (pipeline.broker.stop, pipeline.broker.kill):
        in_the_middle(pipeline, pipeline.graph.state()["effects"] + 20)
        end()
        pipeline.broker.start()
    wait_for_all(pipeline, commands)
    assert_promise(pipeline, commands)
    assert worker.stop() == 0


def test_the_promise_may_change_at_every_restart(pipeline):
    commands = begin(pipeline)
    slot = {**SHORT, "consumer": {**SHORT["consumer"], "instance_id": "slot"}}
    for promise in (EXACTLY_ONCE, AT_LEAST_ONCE, EXACTLY_ONCE):
        worker = pipeline.worker(**slot, delivery=promise).start()
        in_the_middle(pipeline, pipeline.graph.state()["effects"] + 20)
        assert worker.stop() == 0
        assert len(pipeline.graph.effects()) < CALLS * EACH / 5, "it was not stopped in the middle"
    worker.start()
    wait_for_all(pipeline, commands)
    assert {reply["status"] for reply in by_id(pipeline.replies.json()).values()} == {"accepted"}
    assert_once(pipeline.graph.effects(), commands)
    assert worker.stop() == 0


@BOTH
def test_a_command_that_comes_twice_is_sent_once_and_another_of_its_id_is_rejected(pipeline):
    pipeline.worker().start()
    first = command("c", "u", commandId="one")
    send(pipeline, [first, first, command("c", "v", commandId="one")])
    replies = pipeline.replies.replies(3)
    found = {reply["status"]: reply for reply in replies}
    assert set(found) == {"accepted", "duplicate", "rejected"}
    assert found["duplicate"]["duplicateOf"] == found["accepted"]["source"]
    assert found["rejected"]["error"]["code"] == "reused-id"
    assert sent_users(pipeline.graph.effects()) == ["u"]


def ledger(worker, *arguments):
    return subprocess.run(
        [binaries() / "invite-worker", "ledger", *arguments, "-c", worker.config_path],
        env=worker.env, capture_output=True, text=True, timeout=60, check=False,
    )


def test_the_ledger_can_be_read_during_work(pipeline):
    commands = begin(pipeline)
    worker = pipeline.worker(**SHORT).start()
    in_the_middle(pipeline, 20)

    def shows(first, last):
        """Every partition has a map, and so many commands are left."""
        done = ledger(worker, "show", "--json")
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        return {row["map"] for row in rows} == {"ok"} and (
            first <= sum(row["lag"] for row in rows) <= last
        )

    wait_until(lambda: shows(1, len(commands) - 1), 10, "it shows that a part is done")
    wait_for_all(pipeline, commands)
    assert worker.stop() == 0
    assert shows(0, 0)


@pytest.mark.parametrize("way, status", [("repair", "unknown"), ("accept", "accepted")])
def test_a_bad_map_stops_its_partition_alone_until_it_is_mended(pipeline, way, status):
    for partition in range(3):
        for place in range(2):
            name = f"{partition}-{place}"
            one = command(f"call-{name}", f"u-{name}", commandId=name)
            pipeline.commands.send(one, partition=partition)
    pipeline.commands.flush()
    words = [pipeline.broker.bootstrap, pipeline.group, pipeline.topics["commands"]]
    bad = [binaries() / "commit-map", *words, "1", "1", "text", "nonsense"]
    subprocess.run(bad, timeout=60, check=True)
    worker = pipeline.worker(**SHORT).start()
    replies = by_id(pipeline.replies.replies(4))
    assert set(replies) == {"0-0", "0-1", "2-0", "2-1"}
    assert "ledger.bad-map" in worker.log()
    assert worker.stop() == 0
    wait_until(lambda: ledger(worker, way, "--partition", "1").returncode == 0, 20, "it is mended")
    worker.start()
    (reply,) = [one for one in pipeline.replies.replies(5) if one["commandId"] == "1-1"]
    assert reply["status"] == status
    assert ("u-1-1" in sent_users(pipeline.graph.effects())) == (status == "accepted")
    assert worker.stop() == 0
