"""Token buckets as the journal shows them: never exceeded, never slower than they allow, and no
call waits for another. These tests measure time, so nothing else should run meanwhile.

A shared machine may let one request arrive late and the next in time, which brings them closer
together than they were sent. So the bucket is judged by the times at which the worker says that it
sent them, and these by the journal: no request comes before that time, and few come long after."""

import datetime

from process import wait_until
from witness import MICROSECONDS, command, excess, load, sent_users, users

SLACK = 0.006  # Seconds: the limiter credits a late timer with 5 ms, and sentAt has whole ones
LATE = 0.05  # Seconds after which one request in fifty may arrive at most


def send(pipeline, commands):
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()


def arrivals(invites):
    return [invite["at_us"] for invite in invites]


def departures(requests, replies):
    """When each request of load() was sent, in microseconds, as the replies say and the journal
    bears out."""
    sent = {(reply["callId"], reply["commandId"]): sent_at(reply) for reply in replies}
    times = [sent[one["call"], command_id(one)] for one in requests]
    late = sorted(one["wall_us"] - time for one, time in zip(requests, times))
    assert late[0] >= -1000, f"a request came {-late[0]} us before it was sent"
    assert late[len(late) * 98 // 100 - 1] <= LATE * MICROSECONDS, late[-20:]
    return times


def sent_at(reply):
    moment = datetime.datetime.fromisoformat(reply["timing"]["sentAt"])
    return round(moment.timestamp() * MICROSECONDS)


def command_id(request):
    """Of the command whose participant is the first: load() names both by the call and a place."""
    _, call, place = users(request)[0].split("-")
    return f"{call}-{int(place)}"


def assert_never_exceeded(requests, replies, rate, burst):
    assert excess(departures(requests, replies), rate, burst) <= SLACK


def span(invites):
    """Seconds from the first request to the last."""
    times = arrivals(invites)
    return (max(times) - min(times)) / MICROSECONDS


def test_a_thousand_invites_for_one_call_take_their_ideal_time_and_others_wait_for_no_one(pipeline):
    hot = load(calls=1, each=1000, prefix="hot")
    send(pipeline, hot)
    pipeline.worker(rate={"call": 10, "call_burst": 1}).start()
    for number in range(5):
        done = 30 * (number + 1)
        pipeline.graph.wait(lambda state, done=done: state["invites"] >= done)
        send(pipeline, [command(f"other-{number}", "u", commandId=f"other-{number}")])
        wait_until(
            lambda name=f"other-{number}": pipeline.replies.poll() is not None
            and any(reply["commandId"] == name for reply in pipeline.replies.json()),
            1,
            "the reply to another call's command",
        )
    replies = pipeline.replies.replies(1005, seconds=60)
    assert {reply["status"] for reply in replies} == {"accepted"}
    requests = [one for one in pipeline.graph.invites() if one["call"] == "hot-0"]
    assert [len(users(one)) for one in requests] == [5] * 200
    assert sent_users(requests) == [f"hot-0-{n:05}" for n in range(1000)]
    ideal = (len(requests) - 1) / 10
    assert abs(span(requests) - ideal) <= 0.02 * ideal, f"{span(requests):.3f} s"
    assert_never_exceeded(requests, replies, rate=10, burst=1)


def test_a_burst_is_sent_at_once_and_the_rest_at_the_calls_rate(pipeline):
    pipeline.worker(
        rate={"call": 20, "call_burst": 4}, batch={"max_participants": 1, "window": 0}
    ).start()
    send(pipeline, load(calls=1, each=12, prefix="before"))  # A new owner has no burst at first
    pipeline.replies.replies(12)
    send(pipeline, load(calls=3, each=20))
    replies = pipeline.replies.replies(72)
    for call in range(3):
        requests = [one for one in pipeline.graph.invites() if one["call"] == f"call-{call}"]
        assert len(requests) == 20
        assert_never_exceeded(requests, replies, rate=20, burst=4)
        assert abs(span(requests) - 16 / 20) <= 0.1


def test_the_application_is_held_to_its_rate_and_serves_its_calls_in_turn(pipeline):
    send(pipeline, load(calls=1, each=200, prefix="long"))
    send(pipeline, load(calls=20, each=1, prefix="short"))
    pipeline.worker(
        rate={"application": 50, "application_burst": 5, "call": 1000, "call_burst": 1000},
        batch={"max_participants": 1, "window": 0},
    ).start()
    replies = pipeline.replies.replies(220)
    requests = pipeline.graph.invites()
    assert_never_exceeded(requests, replies, rate=50, burst=5)
    assert abs(span(requests) - (220 - 5) / 50) <= 0.25
    last_short = max(n for n, one in enumerate(requests) if one["call"].startswith("short"))
    assert last_short < 110, "one long call kept the others waiting"
