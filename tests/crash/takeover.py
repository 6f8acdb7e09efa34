"""How long a worker that was killed and started again at once takes to send something new."""


def percentile(values, percent):
    """The nearest rank, rounded; None of nothing."""
    if not values:
        return None
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, len(ranked) * percent // 100)])


def takeovers(history, patience_us=3_000_000):
    """Milliseconds from each kill to the first request of the slot's next incarnation. One that
    was itself ended before it had sent anything counts only when it had `patience_us` for it; a
    kill while the broker was away does not count."""
    away = [(f["begin_us"], f["end_us"]) for f in history.faults if f["kind"] == "broker"]
    first = {}
    for request in history.requests:
        if request["route"] == "invite":
            at = first.setdefault(request["client"], request["wall_us"])
            first[request["client"]] = min(at, request["wall_us"])
    ended = {}
    for fault in history.faults:
        if fault["client"]:
            at = ended.setdefault(fault["client"], fault["begin_us"])
            ended[fault["client"]] = min(at, fault["begin_us"])
    found = []
    for fault in history.faults:
        if fault["kind"] != "kill":
            continue
        slot, _, number = fault["client"].rpartition(".")
        successor = f"{slot}.{int(number) + 1}"
        until = first.get(successor, ended.get(successor))
        if until is None:
            continue
        if any(begin <= until and fault["begin_us"] <= end for begin, end in away):
            continue
        if successor in first and until <= ended.get(successor, until):
            found.append((until - fault["begin_us"]) / 1000)
        elif until - fault["begin_us"] > patience_us:
            found.append((until - fault["begin_us"]) / 1000)
    return found
