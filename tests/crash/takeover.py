"""How long a worker that was killed and started again at once takes to send something new."""


AFTER_US = 3_000_000  # A rebalance, or a transaction of a stopped worker, outlives its fault


def percentile(values, percent):
    """The nearest rank, rounded; None of nothing."""
    if not values:
        return None
    ranked = sorted(values)
    return round(ranked[min(len(ranked) - 1, len(ranked) * percent // 100)])


def takeovers(history, patience_us=3_000_000):
    """Milliseconds from each kill to the first request of the slot's next incarnation, as two
    lists: of those alone, and of those while another fault lasted (a stopped worker keeps the
    group in a rebalance; a broker was away). A worker that was itself ended before it had sent
    anything counts only when it had `patience_us` for it."""
    lasting = [(f["begin_us"], f["end_us"]) for f in history.faults if f["kind"] != "kill"]
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
    alone, disturbed = [], []
    for fault in history.faults:
        if fault["kind"] != "kill":
            continue
        slot, _, number = fault["client"].rpartition(".")
        successor = f"{slot}.{int(number) + 1}"
        until = first.get(successor, ended.get(successor))
        if until is None:
            continue
        took = until - fault["begin_us"]
        is_first = successor in first and until <= ended.get(successor, until)
        if is_first or took > patience_us:
            others = any(b <= until and fault["begin_us"] <= e + AFTER_US for b, e in lasting)
            (disturbed if others else alone).append(took / 1000)
    return alone, disturbed
