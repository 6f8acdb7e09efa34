"""A worker runs out of time while a transaction is being ended. What the transaction says is told
once, and what came too late for it is told by the next one."""

import signal

import failpoints
import pytest
from conftest import assert_sound
from process import wait_until
from rig import EXACTLY_ONCE, Rig
from worker import merged

DRAIN = {"drain": {"timeout": "200ms"}}
HELD_MS = 1500


def command(number, call):
    user = {"identity": {"user": {"id": f"settling-user-{number:08}"}}}
    return {"commandId": f"id-{number}", "callId": call, "participants": [user]}


def send(rig, *commands):
    for each in commands:
        rig.commands.send(each)
    rig.commands.flush(30)


POINTS = ["reply_after_flush", "reply_after_offsets", "reply_after_commit"]


@pytest.mark.parametrize("point", POINTS)
def test_what_is_committed_after_the_time_is_over_is_told_once(point, tmp_path, broker):
    hits = tmp_path / "hits"
    hits.mkdir()
    config = merged(EXACTLY_ONCE, DRAIN)
    with Rig(tmp_path, 1, 1, config, broker=broker, tag=f"settling-{point}") as rig:
        (member,) = rig.members
        member.env = failpoints.plan(hits, point, f"delay={HELD_MS}")
        rig.start()
        rig.simulator.set(latency_ms=1000, jitter_ms=0)
        send(rig, command(1, "call-slow"))
        rig.simulator.wait(lambda state: state["in_flight"] == 1)
        rig.simulator.set(latency_ms=0)
        send(rig, command(2, "call-quick"))
        wait_until((hits / point).exists, 10, "the transaction is held")
        member.worker.signal(signal.SIGTERM)
        assert member.worker.wait(20) == 75
        member.env = {}
        member.revive()
        send(rig, command(3, "call-slow"), command(4, "call-quick"))
        wait_until(lambda: rig.witnesses.poll() >= 4, 60, "all have replies")
        assert_sound(rig.take(), least=4)
