"""Several workers in one group: partitions move in the middle of work."""

from deliveries import AT_LEAST_ONCE, BOTH, only
from process import wait_until
from test_restarts import FAST, in_the_middle, send, total_committed, wait_for_all
from witness import assert_in_order, assert_once, by_id, load

OWNED = 'invite_worker_partitions{state="owned"}'


def owned(worker):
    return int(worker.metrics()[OWNED])


@BOTH
def test_a_second_worker_joins_and_leaves_and_every_command_is_done_once_in_order(pipeline):
    commands = load(60, 40)
    pipeline.graph.set(latency_ms=30, jitter_ms=20)
    send(pipeline, commands)
    first = pipeline.worker(**FAST, graph={"max_in_flight": 3}).start()
    second = pipeline.worker(**FAST, graph={"max_in_flight": 3})
    in_the_middle(pipeline, 40)
    second.start()
    wait_until(lambda: owned(first) + owned(second) == 3 and owned(second) > 0, 20, "both own some")
    in_the_middle(pipeline, pipeline.graph.state()["effects"] + 60)
    assert second.stop() == 0
    wait_until(lambda: owned(first) == 3, 20, "the first owns all again")
    wait_for_all(pipeline, commands)
    replies = by_id(pipeline.replies.json())
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert_once(pipeline.graph.effects(), commands)
    assert_in_order(pipeline.graph.effects())
    assert not any(invite["overlap"] for invite in pipeline.graph.invites())
    assert first.stop() == 0
    assert total_committed(pipeline) == len(commands)


def test_a_worker_of_a_fixed_slot_that_restarts_has_its_partitions_back_at_once(pipeline):
    slot = {"consumer": {"instance_id": "slot-1", "session_timeout": "60s"}}
    worker = pipeline.worker(**FAST, **slot).start()
    wait_until(lambda: owned(worker) == 3, 10, "it owns all")
    assert worker.kill() is not None
    send(pipeline, load(10, 1))
    worker.start()
    wait_until(lambda: owned(worker) == 3, 10, "it owns all again")
    pipeline.replies.replies(10, seconds=10)


@only(AT_LEAST_ONCE)
def test_workers_of_one_group_share_the_applications_rate(pipeline):
    workers = [
        pipeline.worker(
            rate={"application": 30, "application_burst": 3, "call": 1000, "call_burst": 1000},
            batch={"max_participants": 1, "window": 0},
            consumer={"session_timeout": "2s"},
        )
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    wait_until(lambda: sorted(map(owned, workers)) == [1, 2], 20, "both own some")
    commands = load(30, 5)
    send(pipeline, commands)
    wait_for_all(pipeline, commands)
    requests = pipeline.graph.invites()
    times = sorted(one["at_us"] / 1e6 for one in requests)
    for start in range(len(times) - 60):
        assert times[start + 60] - times[start] >= (61 - 2 * 3) / 30 - 0.1
