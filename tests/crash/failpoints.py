"""The table of failpoints, as it is declared in failpoint.h."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "worker" / "base" / "failpoint.h"
ROW = re.compile(r"FAILPOINT_ROW\((\w+), (\d+), \"([^\"]+)\"\)")
USE = re.compile(r"\bFAILPOINT\((\w+)\);")
STEPS = range(1, 8)


def table():
    """(name, step) of every row."""
    return [(name, int(step)) for name, step, _ in ROW.findall(HEADER.read_text())]


def plan(directory, name, action, nth=1):
    """The environment of a worker that does this at the nth hit; hits are counted there."""
    return {
        "INVITE_WORKER_FAILPOINTS_DIR": str(directory),
        "INVITE_WORKER_FAILPOINTS": f"{name}:{action}:{nth}",
    }


def used():
    """The names that stand in the sources, with the files in which they do."""
    found = {}
    for path in sorted((ROOT / "worker").rglob("*.c")):
        for name in USE.findall(path.read_text()):
            found.setdefault(name, []).append(path.name)
    return found
