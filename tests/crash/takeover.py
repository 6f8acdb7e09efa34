"""How long a worker that was killed and started again at once takes to send something new."""

import bisect
import dataclasses

AFTER_US = 3_000_000  # A rebalance, or a transaction of a stopped worker, outlives its fault
STARVED_US = 250_000  # The load gives hundreds of commands a second, unless it is held back


@dataclasses.dataclass
class Takeovers:
    """Milliseconds, by what else was going on."""

    alone: list = dataclasses.field(default_factory=list)
    disturbed: list = dataclasses.field(default_factory=list)  # Another fault lasted
    starved: list = dataclasses.field(default_factory=list)  # Before it the load was held back

    def add(self, other):
        self.alone += other.alone
        self.disturbed += other.disturbed
        self.starved += other.starved


def percentile(values, percent):
    """The nearest rank, rounded; None of nothing."""
    if not values:
        return None
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, len(ranked) * percent // 100)])


def first_requests(history):
    first = {}
    for request in history.requests:
        if request["route"] == "invite":
            at = first.setdefault(request["client"], request["wall_us"])
            first[request["client"]] = min(at, request["wall_us"])
    return first


def first_ends(history):
    ended = {}
    for fault in history.faults:
        if fault["client"]:
            at = ended.setdefault(fault["client"], fault["begin_us"])
            ended[fault["client"]] = min(at, fault["begin_us"])
    return ended


class Produced:
    """When the load gave commands."""

    def __init__(self, history):
        self.times = sorted(command["at_us"] for command in history.commands)

    def was_held_back(self, at):
        """True when it gave none for a while before: it does so when too many wait already."""
        last = bisect.bisect(self.times, at)
        return last == 0 or at - self.times[last - 1] > STARVED_US


def takeovers(history, patience_us=3_000_000):
    """Of each kill: the time to the first request of the slot's next incarnation. Told apart are
    those while another fault lasted (a stopped worker keeps the group in a rebalance; a broker was
    away), and those before which the load was held back already: what waits then is in doubt, or
    behind what is, and waits for its settle time. A worker that was itself ended before it had
    sent anything counts only when it had `patience_us` for it."""
    lasting = [(f["begin_us"], f["end_us"]) for f in history.faults if f["kind"] != "kill"]
    first, ended = first_requests(history), first_ends(history)
    produced = Produced(history)
    found = Takeovers()
    for fault in history.faults:
        if fault["kind"] != "kill":
            continue
        begin = fault["begin_us"]
        slot, _, number = fault["client"].rpartition(".")
        successor = f"{slot}.{int(number) + 1}"
        until = first.get(successor, ended.get(successor))
        if until is None:
            continue
        is_first = successor in first and until <= ended.get(successor, until)
        if not is_first and until - begin <= patience_us:
            continue
        if any(b <= until and begin <= e + AFTER_US for b, e in lasting):
            found.disturbed.append((until - begin) / 1000)
        elif produced.was_held_back(begin):
            found.starved.append((until - begin) / 1000)
        else:
            found.alone.append((until - begin) / 1000)
    return found
