"""Every numbered step of the protocol has failpoints, every failpoint has its place, and a build
that did not ask for them has none."""

import os
import pathlib
import re

import failpoints
import pytest

BIN = pathlib.Path(os.environ["WORKER_BIN"])


def has_failpoints():
    cache = BIN.parent / "CMakeCache.txt"
    return "WORKER_FAILPOINTS:BOOL=ON" in cache.read_text()


@pytest.mark.parametrize("step", failpoints.STEPS)
def test_every_step_has_a_failpoint(step):
    assert step in {at for _, at in failpoints.table()}


def test_no_failpoint_is_declared_twice():
    names = [name for name, _ in failpoints.table()]
    assert len(names) == len(set(names)) > 0


def test_every_failpoint_stands_at_one_place_of_the_sources():
    places = failpoints.used()
    assert set(places) == {name for name, _ in failpoints.table()}
    assert all(len(files) == 1 for files in places.values()), places


def test_only_a_build_that_asks_for_them_has_them():
    binary = (BIN / "invite-worker").read_bytes()
    names = [name.encode() for name, _ in failpoints.table()]
    words = [b"failpoint_hit", b"INVITE_WORKER_FAILPOINTS"]
    found = [word for word in names + words if re.search(rb"\b" + word + rb"\b", binary)]
    assert bool(found) == has_failpoints(), found
