"""What is made once on a machine, and kept outside of the source tree."""

import fcntl
import os
import pathlib
import shutil


def directory():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "invite-worker"


def made_once(name, make):
    """The path of `name`. What is not there yet is made by `make(partial)`, where `partial` is a
    path at which nothing is; once, even if several ask at a time."""
    path = directory() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = pathlib.Path(f"{path}.partial")
            if partial.is_dir():
                shutil.rmtree(partial)
            partial.unlink(missing_ok=True)
            make(partial)
            partial.rename(path)
    return path
