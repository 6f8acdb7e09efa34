"""The broker of the tests itself: what it keeps, and that it is really ours."""

from broker import VERSIONS
from kafka_client import Commands, Reader, committed
from process import listeners


def test_it_is_our_own_process_that_listens(broker):
    assert broker.port in listeners(broker.process.pid)
    assert broker.version in VERSIONS.values()


def test_records_survive_a_kill_of_the_broker(broker, topics):
    commands = Commands(broker.bootstrap, topics["commands"])
    for number in range(10):
        commands.send({"callId": f"call-{number}"})
    commands.flush()
    broker.kill()
    broker.start()
    reader = Reader(broker.bootstrap, topics["commands"])
    found = reader.replies(10)
    reader.close()
    assert {value["callId"] for value in found} == {f"call-{number}" for number in range(10)}


def test_a_group_that_committed_nothing_has_no_offsets(broker, topics):
    assert committed(broker.bootstrap, "nobody", topics["commands"]) == {}
