"""What the intent mark costs: from producing a command to its request at Graph, on a worker that
has nothing else to do, with and without the mark."""

import time

from process import wait_until
from record import now_us
from rig import AT_LEAST_ONCE, EXACTLY_ONCE, Rig
from takeover import percentile
from worker import merged

ALONE = {"batch": {"window": "0"}}
WARM_UP = 200  # Most of all the broker's


def latencies(directory, broker, delivery, tag, count):
    """Microseconds of each command; the next one comes when the reply to the last is there."""
    options = {"broker": broker, "config": merged(delivery, ALONE), "tag": tag}
    produced = {}
    with Rig(directory, workers=1, partitions=1, **options) as rig:
        rig.simulator.set(latency_ms=0, jitter_ms=0)
        rig.start()
        for number in range(WARM_UP + count):
            user = f"{tag}-{number}"
            person = {"identity": {"user": {"id": user}}}
            produced[user] = now_us()
            rig.commands.send({"callId": user, "participants": [person]})
            rig.commands.flush()
            wait_until(lambda: rig.witnesses.poll(0.001) > number, 10, "the reply comes")
            time.sleep(0.01)
        sent = rig.simulator.effects()
    took = {i["participants"][0]["id"]: i["wall_us"] for i in sent}
    return [took[user] - at for user, at in list(produced.items())[WARM_UP:]]


def mark_cost(directory, broker, count=300):
    """Milliseconds: 50th and 99th percentile with the mark, without, and what it adds."""
    found = {}
    for name, delivery in (("marked", EXACTLY_ONCE), ("unmarked", AT_LEAST_ONCE)):
        values = latencies(directory / name, broker, delivery, name, count)
        found[name] = [round(percentile(values, p) / 1000, 2) for p in (50, 99)]
    added = [round(a - b, 2) for a, b in zip(found["marked"], found["unmarked"])]
    return {"markedMs": found["marked"], "unmarkedMs": found["unmarked"], "addedMs": added}
