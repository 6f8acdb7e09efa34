"""The files of the project: what git tracks, and what is new and not ignored."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files():
    """Paths relative to ROOT, as text."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in done.stdout.split("\0") if name]
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def with_ending(*endings):
    return [name for name in files() if name.endswith(endings)]


def scripts():
    """Shell scripts, known by their first line."""
    found = []
    for name in files():
        with open(ROOT / name, "rb") as file:
            first = file.readline(80)
        if first.startswith(b"#!") and (b"bash" in first or b"/sh" in first):
            found.append(name)
    return found


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")
