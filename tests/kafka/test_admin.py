"""What the worker says of itself: readiness, figures, and a log that keeps secrets."""

import re

from process import wait_until
from test_restarts import total_committed
from witness import command, person

LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) [a-z][a-z0-9._-]*( .*)?"
)


def send(pipeline, *commands):
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()


def test_a_worker_is_ready_only_with_its_group_and_a_token(pipeline):
    pipeline.graph.set_rules({"on": "token", "status": 503})
    worker = pipeline.worker().start(ready=False)
    assert worker.get("/livez")[0] == 200
    wait_until(lambda: "token" in worker.get("/readyz")[1], 20, "it lacks only the token")
    assert worker.get("/readyz")[0] == 503
    pipeline.graph.set_rules()
    wait_until(worker.ready, 30, "it is ready")


def test_a_worker_without_a_broker_is_alive_but_not_ready_and_stops_when_told(pipeline):
    worker = pipeline.worker(kafka={"bootstrap.servers": "127.0.0.1:1"}).start(ready=False)
    pipeline.graph.wait(lambda state: state["requests"] >= 1)
    assert worker.get("/livez")[0] == 200
    status, why = worker.get("/readyz")
    assert (status, "group" in why) == (503, True)
    assert worker.stop(30) == 0


def test_a_worker_that_drains_is_not_ready(pipeline):
    pipeline.graph.set_rules({"delay_ms": 1500})
    worker = pipeline.worker().start()
    send(pipeline, command("c", "u"))
    pipeline.graph.wait(lambda state: state["effects"] == 1)
    worker.process.signal(15)
    wait_until(lambda: worker.get("/readyz")[0] == 503, 1, "it is not ready")
    assert worker.get("/livez")[0] == 200
    assert worker.wait(20) == 0


def test_the_figures_match_what_happened(pipeline):
    pipeline.graph.set_rules(
        {"call": "throttled", "status": 429, "retry_after": "1", "count": 1},
        {"call": "lost", "reset": "after"},
        {"identity": "bad", "status": 403, "code": "7505"},
        {"call": "over", "status": 404},
    )
    worker = pipeline.worker(retry={"call_grace": 0, "settle": "1s"}).start()
    send(
        pipeline,
        command("many", *(f"u-{n}" for n in range(12))),
        command("throttled", "u"),
        command("lost", "u"),
        command("mixed", "good", "bad"),
        command("over", "u"),
        command("late", "u", expiresAt="2020-01-01T00:00:00Z"),
        command("wrong", "u", priority="none"),
    )
    pipeline.replies.replies(7)
    wait_until(lambda: total_committed(pipeline) == 7, 10, "all is committed")
    seen = worker.metrics()

    def figures(name):
        found = {key: value for key, value in seen.items() if key.startswith(name + "{") and value}
        return {re.search(r'="([^"]+)"', key)[1]: value for key, value in found.items()}

    assert seen["invite_worker_commands_total"] == 7
    assert figures("invite_worker_replies_total") == {
        "accepted": 2, "reconciled": 1, "partial": 1, "failed": 1, "expired": 1, "rejected": 1
    }
    assert figures("invite_worker_requests_total") == {
        "accepted": 3 + 1 + 1, "throttled": 1, "unknown": 1, "refused": 2, "call-over": 1
    }
    assert seen["invite_worker_participants_sent_total"] == 12 + 1 + 1
    assert seen["invite_worker_dead_letters_total"] == 1
    assert seen["invite_worker_commands_open"] == 0
    assert seen["invite_worker_requests_in_flight"] == 0
    assert seen["invite_worker_write_failures_total"] == 0
    assert seen['invite_worker_partitions{state="owned"}'] == 3
    assert seen["invite_worker_request_seconds_count"] == 10
    assert seen["invite_worker_command_seconds_count"] == 7
    assert len(pipeline.graph.invites()) == 10


def test_an_application_that_may_do_nothing_is_told_once_and_goes_on_when_it_may(pipeline):
    pipeline.graph.set_rules({"status": 403, "code": "7504"})
    worker = pipeline.worker(retry={"cap": "1s"}).start()
    send(pipeline, *(command(f"c-{n}", "u", commandId=str(n)) for n in range(10)))
    wait_until(lambda: len(pipeline.graph.invites()) >= 12, 60, "single requests try it again")
    assert worker.metrics()["invite_worker_application_refused"] == 1
    why = "Graph lets the application do nothing in tenant contoso.example: HTTP 403"
    assert worker.get("/readyz") == (200, f"degraded: {why}\n")
    pipeline.graph.set_rules()
    replies = pipeline.replies.replies(10)
    assert {reply["status"] for reply in replies} == {"accepted"}
    (line,) = [line for line in worker.log().splitlines() if "application.refused" in line]
    assert " error application.refused tenant=contoso.example http_status=403 " in line
    assert "graph_code=7504" in line.replace('"', "")
    assert "Calls.InitiateGroupCall.All" in line
    assert worker.log().count("application.allowed tenant=contoso.example") == 1
    assert worker.metrics()["invite_worker_application_refused"] == 0


def test_the_log_never_tells_phones_names_tokens_or_secrets(pipeline):
    phone, name, user = "+493012345678", "Grace Hopper", "5d1f9a51-user-of-the-test"
    pipeline.graph.set_rules(
        {"call": "throttled", "status": 429, "retry_after": "1", "count": 1},
        {"call": "refused", "status": 400, "message": f"{name} at {phone} is not known"},
        {"call": "lost", "reset": "after"},
    )
    worker = pipeline.worker(log={"level": "debug"}, retry={"settle": "1s"}).start()
    token = pipeline.graph.token()
    participants = [
        {"identity": {"phone": {"id": phone}}},
        {"identity": {"user": {"id": user, "displayName": name}}},
    ]
    for call in ("fine", "throttled", "refused", "lost"):
        send(pipeline, {"callId": call, "participants": participants})
    wrong = {"identity": {"phone": {"id": phone + "x"}}}
    send(pipeline, {"callId": "wrong", "participants": [wrong]})
    send(pipeline, {"callId": "wrong", "participants": [person(name, **{phone: name})], name: 1})
    pipeline.commands.send(f'{{"callId": "{phone}" "{name}"'.encode(), key=phone)
    pipeline.commands.flush()
    pipeline.replies.replies(7)
    pipeline.graph.revoke_tokens()
    send(pipeline, command("again", "u"))
    pipeline.replies.replies(8)
    assert worker.stop() == 0
    log = worker.log()
    assert "debug engine" in log and "throttled" in log
    for secret in (phone[1:-2], name, "Hopper", user, token, "not-a-secret", "Bearer", "eyJ"):
        assert secret not in log, secret


def test_every_line_of_the_log_has_the_same_form(pipeline):
    worker = pipeline.worker(log={"level": "debug"}).start()
    send(pipeline, command("c", "u"))
    pipeline.replies.replies(1)
    assert worker.stop() == 0
    odd = [line for line in worker.log().splitlines() if not LINE.fullmatch(line)]
    assert odd == []
