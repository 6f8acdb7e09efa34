"""What a burst leaves behind in the process."""

from deliveries import BOTH
from process import wait_until
from test_throughput import CALLS, EACH, NO_LIMIT, produce, wait_for_answers
from usage import peak_mib, rss_mib
from witness import load


@BOTH
def test_the_memory_of_a_burst_goes_back_to_the_system(pipeline, capsys):
    worker = pipeline.worker(**NO_LIMIT).start()
    pid = worker.process.pid
    before = rss_mib(pid)
    commands = load(CALLS, EACH)
    produce(pipeline, commands)
    wait_for_answers(worker, len(commands))
    peak = peak_mib(pid)
    wait_until(lambda: rss_mib(pid) < before + (peak - before) / 2, 10, "half of it is back")
    with capsys.disabled():
        print(f"\n{pipeline.delivery}: {before:.0f}, {peak:.0f}, then {rss_mib(pid):.0f} MiB")
