"""TLS and HTTP/2 between the worker and Graph."""

import json

import pytest

from process import wait_until
from simulator import Simulator
from test_five_cases import CASES, read
from witness import by_id, command, load


def send(pipeline, commands):
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()


def five_cases(pipeline):
    """The five documented cases; all must be accepted."""
    send(pipeline, [read(path) for path in CASES])
    replies = by_id(pipeline.replies.replies(5))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}


@pytest.fixture
def encrypted(tmp_path):
    with Simulator(tmp_path / "encrypted", https=True) as simulator:
        yield simulator


def test_a_graph_with_its_own_authority_is_trusted_when_that_is_named(pipeline, encrypted):
    url = encrypted.https_url
    worker = pipeline.worker(
        graph={"url": f"{url}/v1.0", "ca_file": encrypted.ca}, login={"url": url}
    ).start()
    five_cases(pipeline)
    assert len(encrypted.effects()) == 5
    assert all(one["tls"] for one in encrypted.journal())
    assert pipeline.graph.journal() == []
    assert worker.stop() == 0


def test_a_graph_that_nobody_vouches_for_gets_no_secret_and_no_invite(pipeline, encrypted):
    url = encrypted.https_url
    worker = pipeline.worker(graph={"url": f"{url}/v1.0"}, login={"url": url}).start(ready=False)
    worker.process.wait_for(
        lambda: "token.fetch_failed" in worker.log(), 20, "says that it has no token"
    )
    wait_until(lambda: "token" in worker.get("/readyz")[1], 20, "it lacks only the token")
    assert worker.get("/readyz")[0] == 503
    assert encrypted.journal() == []


def test_five_cases_and_a_load_go_over_http_2(pipeline, front):
    worker = pipeline.worker(
        graph={"url": f"{front.url}/v1.0", "ca_file": front.ca}, login={"url": front.url}
    ).start()
    five_cases(pipeline)
    pipeline.graph.set(latency_ms=20)
    send(pipeline, load(200, 1))
    replies = by_id(pipeline.replies.replies(205))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert worker.stop() == 0
    invites = [one for one in front.requests() if one[1].endswith("/participants/invite")]
    assert len(invites) == len(pipeline.graph.effects()) == 205
    assert {(method, version, status) for method, _, version, status in front.requests()} == {
        ("POST", "HTTP/2", "200")
    }


def test_a_redirect_is_not_followed(pipeline, tmp_path):
    with Simulator(tmp_path / "elsewhere") as elsewhere:
        pipeline.graph.set_rules({"status": 307, "count": 1, "body": json.dumps({})})
        pipeline.worker().start()
        send(pipeline, [command("c", "u")])
        (reply,) = pipeline.replies.replies(1)
        assert reply["status"] == "accepted"
        assert elsewhere.journal() == []
    assert [one["status"] for one in pipeline.graph.invites()] == [307, 200]
