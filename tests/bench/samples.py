"""What processes use, read from /proc every few milliseconds, and looked up later by the time."""

import bisect
import pathlib
import time

from usage import TICK, cpu_seconds, rss_mib

INTERVAL = 0.05


def busy_seconds():
    """Of all processors together, and what a hypervisor took from them."""
    line = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq) / TICK, steal / TICK


class Samples:
    """`processes`: lists of pids by role. Values are of one moment; between two moments they are
    on a line."""

    def __init__(self, processes, memory_of):
        self.processes = processes
        self.memory_of = memory_of
        self.times, self.rows = [], []

    def take(self):
        row = {role: sum(map(cpu_seconds, pids)) for role, pids in self.processes.items()}
        row["busy"], row["stolen"] = busy_seconds()
        row["rss"] = sum(map(rss_mib, self.processes[self.memory_of]))
        self.times.append(time.time())
        self.rows.append(row)

    def take_while(self, condition):
        while condition():
            self.take()
            time.sleep(INTERVAL)
        self.take()

    def at(self, moment, what):
        """The value at this date, in seconds."""
        after = min(max(bisect.bisect_left(self.times, moment), 1), len(self.times) - 1)
        begin, end = self.times[after - 1], self.times[after]
        share = min(max((moment - begin) / (end - begin), 0), 1)
        low, high = self.rows[after - 1][what], self.rows[after][what]
        return low + (high - low) * share

    def used(self, begin, end, what):
        return self.at(end, what) - self.at(begin, what)

    def memory(self, begin, end):
        """The median resident memory meanwhile."""
        values = [
            row["rss"] for moment, row in zip(self.times, self.rows) if begin <= moment <= end
        ]
        return sorted(values)[len(values) // 2] if values else self.at(end, "rss")
