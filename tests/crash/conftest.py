"""A broker for each file of tests; a rig for each test, judged by the history that it leaves."""

import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(HERE)]
os.environ.setdefault("WORKER_BIN", str(ROOT / "build" / "release" / "bin"))

# pylint: disable=wrong-import-position
from broker import Broker
from history import figures, judge, report
from rig import BROKER


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    started = Broker(tmp_path_factory.mktemp("kafka"), overrides=BROKER)
    try:
        yield started.start()
    finally:
        started.kill()


def assert_sound(history, least=1):
    """At least so many commands, and no violation."""
    violations = judge(history)
    counted = figures(history, violations)
    print(counted)
    assert not violations, report(history, violations)
    assert counted["commands"] >= least
    return counted
