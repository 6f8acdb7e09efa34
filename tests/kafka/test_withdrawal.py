"""Commands that are withdrawn before they leave: through a real broker, and through a crash."""

import signal

from deliveries import BOTH
from witness import by_id, command, sent_users

CALL, COUNT = "call", 40
SLOW = {"rate": {"call": 10, "call_burst": 1}, "batch": {"max_participants": 1}}


def blast(pipeline):
    """Commands for one call, and a cancel for every other one right behind them."""
    for number in range(COUNT):
        pipeline.commands.send(command(CALL, f"u-{number}", commandId=f"c-{number}"))
    for number in range(0, COUNT, 2):
        pipeline.commands.send(
            {"callId": CALL, "cancel": f"c-{number}", "commandId": f"stop-{number}"})
    pipeline.commands.flush()


def assert_agreed(pipeline, replies, *others):
    """What is canceled was never sent, and what is unknown neither: Graph would have told. The rest
    was sent once, and each cancel says what its command says. How many were withdrawn."""
    sent = sent_users(pipeline.graph.effects())
    statuses = {number: replies[f"c-{number}"]["status"] for number in range(COUNT)}
    canceled = {f"c-{number}" for number, status in statuses.items() if status == "canceled"}
    assert sorted(sent) == sorted(
        f"u-{number}" for number, status in statuses.items()
        if status in ("accepted", "reconciled"))
    assert set(statuses.values()) <= {"accepted", "reconciled", "canceled", *others}
    for number in range(0, COUNT, 2):
        cancel = replies[f"stop-{number}"]
        assert cancel["cancel"] == f"c-{number}"
        if cancel["status"] == "canceled":
            assert f"c-{number}" in canceled
        else:
            assert (cancel["status"], cancel["error"]["code"]) == ("failed", "too-late")
    assert not any(f"c-{number}" in canceled for number in range(1, COUNT, 2))
    return len(canceled)


@BOTH
def test_what_is_withdrawn_is_never_sent_and_both_are_replied_to(pipeline):
    blast(pipeline)
    worker = pipeline.worker(**SLOW).start()
    replies = by_id(pipeline.replies.replies(COUNT + COUNT // 2, seconds=90))
    withdrawn = assert_agreed(pipeline, replies)
    assert withdrawn > COUNT // 4
    stopped = [name for name in replies if name.startswith("stop-")]
    assert sum(replies[name]["status"] == "canceled" for name in stopped) == withdrawn
    worker.stop()


def test_a_crash_among_withdrawals_sends_nothing_that_was_withdrawn(pipeline):
    worker = pipeline.worker(
        **SLOW, consumer={"session_timeout": "2s"}, retry={"settle": "3s"},
        exactly_once={"lease": "1s", "commit_deadline": "500ms"},
        graph={"timeout": "1s", "connect_timeout": "500ms"},
    ).start()
    blast(pipeline)
    pipeline.replies.replies(3)
    worker.signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    worker.start()
    replies = by_id(pipeline.replies.replies(COUNT + COUNT // 2, seconds=120))
    assert assert_agreed(pipeline, replies, "unknown") > COUNT // 4
    worker.stop()
