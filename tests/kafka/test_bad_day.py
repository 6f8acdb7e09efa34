"""A day on which Graph throttles, fails and forgets: nothing is lost, nothing is sent twice, and it
takes little longer than Graph asks for. This test measures time, so nothing else should run
meanwhile. BAD_DAY=CALLSxEACHxTOGETHER sets its size: calls, commands of each, and how many of them
may share a request."""

import collections
import os
import time

import bad_day
from history import History, figures, judge, report
from process import wait_until
from record import Witnesses
from witness import MICROSECONDS, assert_in_order, by_id, load, users

CALLS, EACH, TOGETHER = map(int, os.environ.get("BAD_DAY", "300x8x1").split("x"))
PACE = bad_day.Pace(rate=2, burst=1, base=0.2, cap=1.6, settle=1)
LONGER = 1.3  # Than the ideal
CONFIGURATION = {
    "rate": {"call": PACE.rate, "call_burst": PACE.burst},
    "retry": {"base": "200ms", "cap": "1600ms", "settle": "1s"},
    "batch": {"max_participants": TOGETHER, "window": 0},
    "queue": {"commands_per_partition": 5000},
}


class Witness(Witnesses):
    """The commits are judged elsewhere: there are too many of them here."""

    def read_commits(self):
        return []


def live(pipeline, commands):
    """All the commands are answered; the history of it."""
    witness = Witness(
        pipeline.broker.bootstrap, pipeline.topics, pipeline.group, pipeline.graph
    )
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()
    pipeline.graph.set_rules(*bad_day.rules(seed=1))
    worker = pipeline.worker(**CONFIGURATION).start()
    wait_until(lambda: witness.poll(0.5) >= len(commands), 150, "all are answered")
    history = History()
    history.settings.update(rate=PACE.rate, burst=PACE.burst)
    witness.take(history)
    witness.close()
    assert worker.stop() == 0
    return history


def seconds_of(history):
    """From the first request to the last reply."""
    first = min(line["wall_us"] for line in history.requests)
    return (max(reply["at_us"] for reply in history.replies) - first) / MICROSECONDS


def may_be_sent_again(line):
    is_split = line["status"] == 403 and len(users(line)) > 1
    return not line["effect"] and (line["status"] in bad_day.SENT_AGAIN or is_split)


def assert_sent_again_only_when_safe(invites):
    """What the requests of a participant met, but for the last, had no effect."""
    met = collections.defaultdict(list)
    for line in invites:
        for user in users(line):
            met[user].append(line)
    for user, lines in met.items():
        assert all(map(may_be_sent_again, lines[:-1])), (user, lines)


def test_a_bad_day_costs_only_the_time_that_graph_asks_for(pipeline, capsys):
    commands = load(CALLS, EACH)
    began = time.monotonic()
    history = live(pipeline, commands)
    invites = [line for line in history.requests if line["route"] == "invite"]
    replies = by_id([reply["value"] for reply in history.replies])
    statuses = collections.Counter(line["status"] for line in invites)
    wanted, took = bad_day.ideal(history.requests, PACE), seconds_of(history)
    violations = judge(history)
    found = figures(history, violations)
    with capsys.disabled():
        print(
            f"\n{len(commands)} commands of {CALLS} calls, up to {TOGETHER} together: "
            f"{len(invites)} requests {dict(statuses)}, "
            f"{found['statuses']}; {took:.2f} s, ideal {wanted:.2f} s, {took / wanted:.3f} times; "
            f"{time.monotonic() - began:.0f} s in all"
        )
    assert not violations, report(history, violations)
    assert set(replies) == {one["commandId"] for one in commands}
    assert_in_order([line for line in invites if line["effect"]])
    assert_sent_again_only_when_safe(invites)
    for reply in replies.values():
        if reply["status"] == "failed":
            assert (reply["error"]["code"], reply["error"]["graphCode"]) == ("refused", "7505")
        elif reply["status"] == "unknown":
            assert reply["error"]["httpStatus"] == 500
        else:
            assert reply["status"] in ("accepted", "reconciled")
    assert 0.15 < statuses[429] / len(invites) < 0.25
    assert min(statuses[status] for status in (0, 401, 403, 500, 503)) > 0
    assert took <= LONGER * wanted
