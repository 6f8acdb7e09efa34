"""A small sound history, made up: what two workers and a Graph that behave would leave."""

import json

import offsets
from history import SECOND, SETTINGS, History

START = 1_700_000_000 * SECOND
GAP = SECOND
CALLS = 3
RATE, BURST = 5, 3


def operation(number):
    return f"operation-{number}"


def command(number):
    value = {
        "commandId": f"id-{number}",
        "callId": f"call-{number % CALLS}",
        "participants": [{"identity": {"user": {"id": f"user-{number}"}}}],
    }
    return {
        "partition": 0,
        "offset": number,
        "at_us": START + number * GAP,
        "key": value["callId"],
        "value": value,
        "text": json.dumps(value),
    }


def request(number, client="worker-1.1"):
    at = START + number * GAP + 20_000
    return {
        "route": "invite",
        "seq": number + 1,
        "call": f"call-{number % CALLS}",
        "client": client,
        "wall_us": at,
        "at_us": at - START,
        "ended_us": at - START + 30_000,
        "status": 200,
        "end": "sent",
        "effect": True,
        "operation": operation(number),
        "participants": [{"id": f"user-{number}", "kind": "plain", "type": "user", "read": True}],
    }


def reply(number):
    return {
        "partition": 0,
        "offset": 2 * number,
        "at_us": START + number * GAP + 60_000,
        "value": {
            "commandId": f"id-{number}",
            "status": "accepted",
            "duplicateOf": None,
            "evidence": None,
            "operations": [{"id": operation(number), "location": "/somewhere"}],
            "participants": [
                {"index": 0, "status": "accepted", "operation": 0, "error": None}
            ],
            "source": {"topic": "commands", "partition": 0, "offset": number},
        },
    }


def commit(number, milliseconds, base, size, states=()):
    return {
        "partition": 0,
        "offset": base,
        "metadata": offsets.encode(base, size, states),
        "at_us": START + number * GAP + milliseconds * 1000,
    }


def commits(number):
    """Started, then replied; every third command keeps the frontier back for a moment, as a
    slower one before it would."""
    base = number - number % 3
    held = {base: offsets.STARTED}
    own = {number: offsets.STARTED}
    if number % 3 == 0:
        return [commit(number, 10, number, 1, own)]
    if number % 3 == 1:
        return [
            commit(number, 10, base, 2, {**held, **own}),
            commit(number, 65, base, 2, held),
        ]
    return [commit(number, 10, base, 3, {**held, **own}), commit(number, 65, number + 1, 0)]


def rejected(number):
    made = command(number)
    made["value"] = {**made["value"], "expiresAd": "never"}
    made["text"] = json.dumps(made["value"])
    answer = reply(number)
    answer["value"].update(status="rejected", participants=[], operations=[])
    return made, answer, {"at_us": answer["at_us"], "text": made["text"]}


def sound(size=30):
    """One partition, three calls, a kill now and then, all replied; the last one is rejected."""
    history = History(settings={**SETTINGS, "rate": RATE, "burst": BURST})
    for number in range(size):
        history.commands.append(command(number))
        history.requests.append(request(number))
        history.replies.append(reply(number))
        history.commits += commits(number)
    made, answer, letter = rejected(size)
    history.commands.append(made)
    history.replies.append(answer)
    history.dead_letters.append(letter)
    history.starts = [{"client": "worker-1.1", "at_us": START - SECOND}]
    at = START + 5 * GAP + 30_000
    history.faults = [{"kind": "kill", "client": "worker-1.1", "begin_us": at, "end_us": at}]
    return history
