"""What the simulator's journal and the topics say about a run, judged without the worker's code."""

import collections
import itertools
import json
import pathlib

import jsonschema

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "config"
MICROSECONDS = 1_000_000


def person(user, **more):
    """A participant with as little as the contract asks for."""
    return {"identity": {"user": {"id": user}}, **more}


def command(call, *users, **more):
    """A command of plain participants, who are named by the users' ids."""
    return {"callId": call, "participants": [person(user) for user in users], **more}


def load(calls, each, prefix="call"):
    """Commands in the order in which they are produced, the calls taking turns. The user's id
    names the call and the place of the command in it."""
    return [
        command(f"{prefix}-{call}", f"{prefix}-{call}-{place:05}", commandId=f"{call}-{place}")
        for place in range(each)
        for call in range(calls)
    ]


def schema(name):
    document = json.loads((CONFIG / f"{name}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft7Validator(document)


def assert_valid(replies):
    """Each is what the contract says of replies."""
    validator = schema("reply")
    for reply in replies:
        mistakes = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(reply)]
        assert not mistakes, (mistakes, reply)


def by_id(replies):
    """The replies by commandId; none may come twice."""
    counts = collections.Counter(reply["commandId"] for reply in replies)
    twice = [name for name, count in counts.items() if count > 1]
    assert not twice, f"{len(twice)} commands have more than one reply: {twice[:5]}"
    return {reply["commandId"]: reply for reply in replies}


def users(invite):
    """The ids of one request's participants."""
    return [participant["id"] for participant in invite["participants"]]


def sent_users(invites):
    """The ids of all participants, in the order in which they were sent."""
    return [user for invite in invites for user in users(invite)]


def by_call(invites):
    calls = collections.defaultdict(list)
    for invite in invites:
        calls[invite["call"]].append(invite)
    return calls


def assert_in_order(invites):
    """Within each call the ids of load() ascend: they were sent in the order of their offsets."""
    for call, sent in by_call(invites).items():
        names = sent_users(sent)
        assert names == sorted(names), f"{call} was not sent in order: {names[:20]}"


def assert_once(effects, commands):
    """Every participant of the commands was invited, and none of them twice."""
    counts = collections.Counter(sent_users(effects))
    wanted = {
        participant["identity"]["user"]["id"]
        for one in commands
        for participant in one["participants"]
    }
    assert set(counts) == wanted
    twice = [user for user, count in counts.items() if count > 1]
    assert not twice, f"{len(twice)} participants were invited twice: {twice[:5]}"


def excess(times_us, rate, burst):
    """How much later the worst request should have come, in seconds, for a token bucket that is
    full at first; 0 or less when the bucket was never exceeded."""
    times = [time / MICROSECONDS for time in sorted(times_us)]
    return max(
        (end - start + 1 - burst) / rate - (times[end] - times[start])
        for start, end in itertools.combinations_with_replacement(range(len(times)), 2)
    )
