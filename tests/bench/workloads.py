"""What is measured: one row a workload, in the order of the report.

The letters are those of the goals in README.md; a name with a suffix is a variation of its letter.
"""

import dataclasses

WORKERS = ("worker-at-least-once", "worker-exactly-once")
PEERS = ("parallel-consumer", "bento")
FLOOR = ("floor",)
ALL = WORKERS + FLOOR

BACKLOG = "backlog"  # All commands wait; the program takes them as fast as it can
PACED = "paced"  # Commands come at their times, whatever the program does
THROTTLED = "throttled"  # All commands wait while Graph takes none, and then it takes all


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    kind: str = BACKLOG
    systems: tuple = ALL
    rounds: int = 5  # At most so many
    count: int = 100_000  # Commands in all, of which the first are for warming up
    calls: int = 5_000
    zipf: float = 0.0
    partitions: int = 8
    graph_ms: int = 20
    in_flight: int = 256
    batch: int = 1  # Participants in a request, for those who can
    call_rate: float = 0.0  # Requests a second; 0: not limited
    pace: float = 0.0  # Commands a second
    seconds: float = 0.0
    tls: bool = False

    def ideal_seconds(self):
        """From the first request of a call to its last at the call's rate; 0 without a rate."""
        if not self.call_rate:
            return 0.0
        return (self.count / self.calls / self.batch - 1) / self.call_rate


WORKLOADS = (
    Workload("a", "unbatched, 5,000 calls, Graph takes 20 ms, 256 in flight"),
    Workload("b", "unbatched, 5,000 calls, Graph takes no time, 256 in flight", graph_ms=0),
)

# A sanity run: enough to see that all parts work together, and too little to measure anything.
QUICK = {
    "a": {"count": 4_000, "calls": 500},
    "b": {"count": 4_000, "calls": 500},
}


def choose(names, quick=False):
    """The workloads of these names, all when there are none; KeyError names an unknown one."""
    known = {workload.name: workload for workload in WORKLOADS}
    if quick:
        known = {name: dataclasses.replace(known[name], **less) for name, less in QUICK.items()}
    for name in names or ():
        if name not in known:
            raise KeyError(name)
    return [workload for name, workload in known.items() if not names or name in names]
