"""A bad day of Graph: what it does to how many requests, and how long the work takes at best."""

import dataclasses
import math

from witness import MICROSECONDS, by_call

# Share of the requests, and what the simulator does to them. The name tells what was told.
SHARES = (
    (0.05, {"status": 429, "retry_after": "1"}),
    (0.05, {"status": 429, "retry_after": "0.4"}),
    (0.05, {"status": 429, "retry_after_date_s": 1}),
    (0.05, {"status": 429}),
    (0.03, {"status": 503, "retry_after": "1"}),
    (0.02, {"status": 503, "retry_after": "0.7"}),
    (0.01, {"status": 500, "effect": True}),
    (0.01, {"status": 500}),
    (0.02, {"reset": "after"}),
    (0.01, {"status": 401}),
    (0.005, {"status": 403, "code": "7505"}),
    (0.005, {"status": 403, "code": "7505", "form": "wrapped"}),
)
HELD = (429, 503)
SENT_AGAIN = (*HELD, 401)
UNKNOWN = (500, 0)


def rules(seed):
    """The shares as rules: each applies to what the rules before it have left."""
    made, left = [], 1.0
    for number, (share, rule) in enumerate(SHARES):
        chance = {"probability": share / left, "seed": seed + number, "name": str(number)}
        made.append({**rule, **chance})
        left -= share
    return made


@dataclasses.dataclass(frozen=True)
class Pace:
    """What the configuration says of time, in seconds and requests a second."""

    rate: float
    burst: int
    base: float
    cap: float
    settle: float


def told(line):
    """The seconds that this answer asked for; None when it asked for nothing."""
    rule = SHARES[int(line["rule"])][1] if line["rule"] else {}
    if "retry_after" in rule:
        return float(rule["retry_after"])
    if "retry_after_date_s" in rule:
        answered = (line["wall_us"] + line["ended_us"] - line["at_us"]) / MICROSECONDS
        return max(0, math.floor(answered + rule["retry_after_date_s"]) - answered)
    return None


def ideal_of(lines, pace):
    """When the last of one call's requests and looks ends at the earliest, in seconds: each goes as
    soon as there is a token, what was asked for has passed, and what may have been sent has
    settled. Answers take no time, and jitter is as short as it can be."""
    ready, tokens, at, failures = 0.0, float(pace.burst), 0.0, 0
    for line in lines:
        now = max(ready, at + (1 - tokens) / pace.rate if tokens < 1 else at)
        tokens = min(pace.burst, tokens + (now - at) * pace.rate) - 1
        at = ready = now
        is_held = line["route"] == "invite" and line["status"] in HELD
        if is_held:
            pause = told(line)
            backoff = min(pace.cap, pace.base * 2**failures) * 3 / 4
            ready += backoff if pause is None else pause
        elif line["route"] == "invite" and line["status"] in UNKNOWN:
            ready += pace.settle
        if is_held:
            failures += 1
        elif line["status"] != 401:
            failures = 0
    return at


def ideal(journal, pace):
    """The schedule of the call that takes longest. Calls wait for nothing but themselves."""
    lines = sorted((line for line in journal if line.get("call")), key=lambda line: line["seq"])
    return max(ideal_of(one, pace) for one in by_call(lines).values())
