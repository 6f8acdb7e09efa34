"""The goals, each computed from the medians of one report."""

WORKERS = ("worker-at-least-once", "worker-exactly-once")
PEERS = ("parallel-consumer", "bento")
SHORT = {"worker-at-least-once": "at-least-once", "worker-exactly-once": "exactly-once"}
BOUND = 256 / 0.020  # Requests a second of (a)


def figure(measured, load, system, name):
    """None when it was not measured."""
    figures = measured.get(load, {}).get(system, {})
    if name.startswith("p"):
        return (figures.get("latencyMs") or {}).get(name)
    return figures.get(name)


def best_peer(measured, load, name, best):
    values = [figure(measured, load, peer, name) for peer in PEERS]
    values = [value for value in values if value is not None]
    return best(values) if values else None


def ratio(value, to):
    return value / to if value is not None and to else None


def for_each(limits, goal, value_of):
    """One goal with a limit for each mode."""
    return [(goal.format(SHORT[system], limit), value_of(system), limit)
            for system, limit in zip(WORKERS, limits)]


def at_most(measured):
    """(goal, value, limit) of all that should be small."""
    def of(load, system, name):
        return figure(measured, load, system, name)

    cpu = "cpuMicrosPerInvite"
    yield from for_each((0.4, 0.5), "b: CPU of {}, part of the best peer's: at most {}",
                        lambda one: ratio(of("b", one, cpu), best_peer(measured, "b", cpu, min)))
    yield from for_each((1.0, 1.3), "b: CPU of {}, part of the floor's: at most {}",
                        lambda one: ratio(of("b", one, cpu), of("b", "floor", cpu)))
    yield from for_each((1.02, 1.02), "d: time of {} against the ideal: at most {}",
                        lambda one: of("d", one, "timeAgainstIdeal"))
    yield from for_each((5, 30), "e: p99 of {} at 500/s: at most {} ms",
                        lambda one: of("e", one, "p99"))
    yield ("e: p99 of at-least-once, part of the best peer's: below 1",
           ratio(of("e", WORKERS[0], "p99"), best_peer(measured, "e", "p99", min)), 1)
    yield ("e-5000: p99 of exactly-once: at most 60 ms", of("e-5000", WORKERS[1], "p99"), 60)
    yield ("e: CPU of exactly-once at 500/s: at most 0.2 of a core",
           of("e", WORKERS[1], "cpuCores"), 0.2)
    yield from for_each((24, 24), "e-5000: memory of {} without a backlog: at most {} MiB",
                        lambda one: of("e-5000", one, "rssMiB"))
    yield from for_each((48, 48), "a-backlog: memory of {} with 200,000 waiting: at most {} MiB",
                        lambda one: of("a-backlog", one, "rssMiB"))
    for system in WORKERS:
        record = of("f", system, "bytesPerRecord")
        limit = 1.5 * record + 256 if record else 0
        yield (f"f: bytes a command held, {SHORT[system]}: at most {limit:.0f}",
               of("f", system, "bytesPerHeldCommand"), limit)


def at_least(measured):
    """(goal, value, limit) of all that should be large."""
    def throughput(load, system):
        return figure(measured, load, system, "throughput")

    yield from for_each((0.95, 0.90), "a: {}, part of the bound of 12,800/s: at least {}",
                        lambda one: ratio(throughput("a", one), BOUND))
    yield from for_each((4, 4), "c: {}, times the best peer: at least {}",
                        lambda one: ratio(throughput("c", one),
                                          best_peer(measured, "c", "throughput", max)))


def judge(measured):
    """(goal, what was measured as text, whether it is met) of all that were measured."""
    for goal, value, limit in at_least(measured):
        if value is not None:
            yield goal, f"{value:.3g}", value >= limit
    for goal, value, limit in at_most(measured):
        if value is not None:
            yield goal, f"{value:.3g}", value <= limit
