"""What is measured: one row a workload, in the order of the report.

The letters are those of the goals in README.md; a name with a suffix is a variation of its letter.
"""

import dataclasses

WORKERS = ("worker-at-least-once", "worker-exactly-once")
PEERS = ("parallel-consumer", "bento")
FLOOR = ("floor",)
ALL = WORKERS + PEERS + FLOOR

BACKLOG = "backlog"  # All commands wait; the program takes them as fast as it can
PACED = "paced"  # Commands come at their times, whatever the program does
THROTTLED = "throttled"  # Graph takes none for a while, and then it takes all


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    kind: str = BACKLOG
    systems: tuple = ALL
    rounds: int = 5  # At most so many
    count: int = 80_000  # Commands that wait at first; of a pace: that warm up
    calls: int = 5_000
    zipf: float = 0.0
    partitions: int = 8
    graph_ms: int = 20
    in_flight: int = 256
    batch: int = 1  # Participants in a request, for those who can
    call_rate: float = 0.0  # Requests a second; 0: not limited
    pace: float = 0.0  # Commands a second
    seconds: float = 0.0
    linger_ms: int = 0  # How long a producer waits for company, of a pace
    tls: bool = False

    def ideal_seconds(self):
        """From the first request of a call to its last at the call's rate; 0 without a rate."""
        if not self.call_rate:
            return 0.0
        return (self.count / self.calls / self.batch - 1) / self.call_rate


WORKLOADS = (
    Workload("a", "5,000 calls, one request each command, Graph takes 20 ms, 256 in flight"),
    Workload("a-backlog", "as a, with 200,000 commands waiting at first", count=200_000, rounds=1,
             systems=WORKERS + FLOOR),
    Workload("b", "as a, but Graph takes no time", graph_ms=0),
    Workload("b-zipf", "as b, with calls of very different size (Zipf, exponent 0.8)", graph_ms=0,
             zipf=0.8, count=50_000, rounds=1),
    Workload("c", "100 hot calls, Graph takes 20 ms, up to 5 commands in one request",
             calls=100, batch=5, count=50_000),
    Workload("d", "1,000 commands for one call at 10 requests a second", systems=WORKERS,
             calls=1, count=1_000, batch=5, call_rate=10, rounds=1),
    Workload("e", "open loop, 500 commands a second, Graph takes 20 ms", kind=PACED, pace=500,
             seconds=10, count=15_000),
    Workload("e-5000", "open loop, 5,000 commands a second, Graph takes 20 ms", kind=PACED,
             pace=5_000, seconds=8, linger_ms=5, count=15_000),
    Workload("f", "commands for 100,000 calls wait until Graph takes them", kind=THROTTLED,
             systems=WORKERS, count=1_000_000, calls=100_000, partitions=16, batch=5, rounds=1),
    Workload("g", "as a, over TLS and HTTP/2", tls=True, count=50_000, rounds=1),
)

# What the broker does first, and nobody measures: all that it has to do for any program.
WARM_UP = 2 * (("b", WORKERS[1]), ("e", WORKERS[1]), ("b", WORKERS[0]))

# A sanity run: enough to see that all parts work together and to use some time of a processor, and
# too little to measure anything.
QUICK = {
    "b": {"count": 16_000, "calls": 500},
    "e": {"count": 1_000, "calls": 500, "seconds": 1, "systems": WORKERS + FLOOR},
}


def choose(names, quick=False, backlog=None):
    """The workloads of these names, all when there are none; KeyError names an unknown one."""
    known = {workload.name: workload for workload in WORKLOADS}
    if backlog:
        known["f"] = dataclasses.replace(known["f"], count=backlog)
    if quick:
        known = {name: dataclasses.replace(known[name], **less) for name, less in QUICK.items()}
    for name in names or ():
        if name not in known:
            raise KeyError(name)
    return [workload for name, workload in known.items() if not names or name in names]
