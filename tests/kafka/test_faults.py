"""A Graph that misbehaves: what is sent again, what never is, and whom it concerns."""

import pytest

from deliveries import BOTH
from process import wait_until
from witness import MICROSECONDS, by_id, command, sent_users, users


def send(pipeline, *commands):
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()


def invites_of(pipeline, call):
    return [one for one in pipeline.graph.invites() if one["call"] == call]


def is_held(pipeline):
    return pipeline.graph.wait(lambda state: state["invites"] >= 1)


# How Graph throttles, and for how many seconds the call must then be left alone.
THROTTLING = {
    "seconds": ({"status": 429, "retry_after": "1"}, 1.0),
    "a decimal": ({"status": 429, "retry_after": "1.4"}, 1.4),
    "a date": ({"status": 429, "retry_after_date_s": 2}, 1.0),
    "no header": ({"status": 429}, 0.75),
    "no sense": ({"status": 429, "retry_after": "soon"}, 0.75),
    "503 with seconds": ({"status": 503, "retry_after": "1"}, 1.0),
}


@pytest.mark.parametrize("rule, seconds", THROTTLING.values(), ids=THROTTLING)
def test_a_throttled_call_is_left_alone_for_so_long_and_others_go_on(pipeline, rule, seconds):
    pipeline.graph.set_rules({"call": "held", "count": 1, **rule})
    pipeline.worker().start()
    send(pipeline, command("held", "a", commandId="held"))
    is_held(pipeline)
    send(pipeline, command("held", "b", commandId="behind"), command("other", "c", commandId="o"))
    replies = by_id(pipeline.replies.replies(3))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    refused, first, *_ = invites_of(pipeline, "held")
    (other,) = invites_of(pipeline, "other")
    assert first["at_us"] - refused["ended_us"] >= seconds * MICROSECONDS
    assert first["at_us"] - refused["ended_us"] <= (seconds + 1.5) * MICROSECONDS
    assert other["at_us"] < first["at_us"]
    effects = [one for one in pipeline.graph.effects() if one["call"] == "held"]
    assert sent_users(effects) == ["a", "b"]
    assert replies["held"]["attempts"] == 2
    assert replies["held"]["timing"]["waitedFor"]["hold"] >= 700


def test_a_throttle_that_does_not_end_fails_the_command(pipeline):
    pipeline.graph.set_rules({"call": "held", "status": 429, "retry_after": "1"})
    pipeline.worker(retry={"max_hold": "2s"}).start()
    send(pipeline, command("held", "a"))
    (reply,) = pipeline.replies.replies(1)
    assert (reply["status"], reply["error"]["code"]) == ("failed", "throttled")
    assert reply["timing"]["waitedFor"]["hold"] <= 2000
    invites = pipeline.graph.invites()
    assert {one["status"] for one in invites} == {429}
    assert len(invites) == reply["attempts"]


def test_a_revoked_token_costs_one_fetch_and_one_more_request(pipeline):
    worker = pipeline.worker().start()
    assert pipeline.graph.revoke_tokens() == 1
    send(pipeline, command("c", "u"))
    (reply,) = pipeline.replies.replies(1)
    assert reply["status"] == "accepted"
    journal = [one for one in pipeline.graph.journal() if one["route"] in ("token", "invite")]
    assert [(one["route"], one["status"]) for one in journal] == [
        ("token", 200),
        ("invite", 401),
        ("token", 200),
        ("invite", 200),
    ]
    assert worker.metrics()['invite_worker_token_fetches_total{result="ok"}'] == 2


def test_many_requests_with_a_revoked_token_cost_one_fetch_together(pipeline):
    pipeline.worker().start()
    pipeline.graph.revoke_tokens()
    send(pipeline, *(command(f"c-{n}", f"u-{n}", commandId=f"{n}") for n in range(50)))
    replies = by_id(pipeline.replies.replies(50))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    assert sum(one["route"] == "token" for one in pipeline.graph.journal()) == 2
    assert sorted(sent_users(pipeline.graph.effects())) == sorted(f"u-{n}" for n in range(50))


def test_one_bad_identity_costs_only_itself(pipeline):
    pipeline.graph.set_rules({"identity": "bad", "status": 403, "code": "7505"})
    send(pipeline, *(command("c", user, commandId=user) for user in ("a", "b", "bad", "d", "e")))
    pipeline.worker().start()
    replies = by_id(pipeline.replies.replies(5))
    statuses = {name: reply["status"] for name, reply in replies.items()}
    assert statuses == {**dict.fromkeys("abde", "accepted"), "bad": "failed"}
    error = replies["bad"]["error"]
    assert (error["code"], error["graphCode"], error["httpStatus"]) == ("refused", "7505", 403)
    requests = [users(one) for one in pipeline.graph.invites()]
    assert requests == [["a", "b", "bad", "d", "e"], ["a"], ["b"], ["bad"], ["d"], ["e"]]


def test_a_command_with_one_bad_identity_is_partly_accepted(pipeline):
    pipeline.graph.set_rules({"identity": "bad", "status": 400})
    pipeline.worker().start()
    send(pipeline, command("c", "a", "bad", "d"))
    (reply,) = pipeline.replies.replies(1)
    assert reply["status"] == "partial"
    assert [one["status"] for one in reply["participants"]] == ["accepted", "failed", "accepted"]
    assert reply["error"] == reply["participants"][1]["error"]


def test_a_call_that_is_over_fails_all_that_waits_for_it_and_nothing_else(pipeline):
    pipeline.graph.set_rules({"call": "over", "status": 404, "code": "8522"})
    send(pipeline, *(command("over", f"u-{n}", commandId=f"{n}") for n in range(20)))
    send(pipeline, command("c", "u", commandId="other"))
    pipeline.worker(retry={"call_grace": 0}).start()
    replies = by_id(pipeline.replies.replies(21))
    assert replies.pop("other")["status"] == "accepted"
    for reply in replies.values():
        assert (reply["status"], reply["error"]["code"]) == ("failed", "call-over")
    assert replies["0"]["error"]["graphCode"] == "8522"
    assert len(invites_of(pipeline, "over")) == 1


def test_that_a_call_is_over_is_remembered_for_a_while_and_then_forgotten(pipeline):
    pipeline.graph.set_rules({"call": "over", "status": 404, "code": "8522", "count": 1})
    worker = pipeline.worker(retry={"call_grace": 0, "call_over_memory": "6s"}).start()
    send(pipeline, command("over", "u-0", commandId="0"))
    pipeline.replies.replies(1)
    send(pipeline, command("over", "u-1", commandId="1"))
    reply = by_id(pipeline.replies.replies(2))["1"]
    assert (reply["status"], reply["error"]["code"]) == ("failed", "call-over")
    assert (reply["attempts"], len(invites_of(pipeline, "over"))) == (0, 1)
    assert worker.metrics()["invite_worker_commands_call_over_total"] == 1
    wait_until(lambda: worker.metrics()["invite_worker_calls_over"] == 0, 30, "it is forgotten")
    send(pipeline, command("over", "u-2", commandId="2"))
    assert by_id(pipeline.replies.replies(3))["2"]["status"] == "accepted"


def test_a_call_that_is_only_just_beginning_is_given_its_grace(pipeline):
    pipeline.graph.set_rules({"call": "young", "status": 404, "count": 2})
    pipeline.worker(retry={"call_grace": "4s"}).start()
    send(pipeline, command("young", "u"))
    (reply,) = pipeline.replies.replies(1)
    assert (reply["status"], reply["attempts"]) == ("accepted", 3)
    first, second, third = pipeline.graph.invites()
    assert second["at_us"] - first["ended_us"] >= MICROSECONDS
    assert third["at_us"] - second["ended_us"] >= MICROSECONDS


def test_an_application_that_may_not_call_holds_everything_until_it_may(pipeline):
    pipeline.graph.set_rules({"status": 403, "code": "7503", "count": 1})
    pipeline.worker().start()
    send(pipeline, command("c", "a", commandId="a"))
    is_held(pipeline)
    send(pipeline, command("d", "b", commandId="b"))
    replies = by_id(pipeline.replies.replies(2))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    refused, *later = pipeline.graph.invites()
    assert min(one["at_us"] for one in later) - refused["ended_us"] >= 0.7 * MICROSECONDS


# What goes wrong after the request has left: the rule, and whether Graph did it all the same.
UNKNOWN = {
    "500": ({"status": 500, "effect": True}, 1),
    "502": ({"status": 502}, 0),
    "503-without-header": ({"status": 503, "effect": True}, 1),
    "504": ({"status": 504, "effect": True}, 1),
    "408": ({"status": 408, "effect": True}, 1),
    "reset-after": ({"reset": "after"}, 1),
    "reset-before": ({"reset": "before"}, 0),
    "late-reset-after": ({"reset": "after", "delay_ms": 200}, 1),
    "truncated": ({"cut_at": 40}, 1),
    "huge": ({"huge_bytes": 3_000_000}, 1),
    "huge-chunked": ({"huge_bytes": 3_000_000, "chunked": True}, 1),
    "too-slow": ({"delay_ms": 4000}, 1),
    "dripping-too-slowly": ({"drip_bytes": 1, "drip_ms": 200}, 1),
    "no-json": ({"body": "<html>", "location": False}, 1),
    "other-json": ({"body": "[5]", "location": False}, 1),
}


def lose_answers(pipeline, **options):
    """Two commands to each call of UNKNOWN, whose first answer gets lost; the first replies."""
    pipeline.graph.set_rules(
        *({"call": call, "count": 1, **rule} for call, (rule, _) in UNKNOWN.items())
    )
    times = {"timeout": "2s", "connect_timeout": "1s"}
    pipeline.worker(graph=times, retry={"settle": "1s"}, **options).start()
    send(pipeline, *(command(call, f"1-{call}", commandId=f"1-{call}") for call in UNKNOWN))
    first = by_id(pipeline.replies.replies(len(UNKNOWN)))
    send(pipeline, *(command(call, f"2-{call}", commandId=f"2-{call}") for call in UNKNOWN))
    second = by_id(pipeline.replies.replies(2 * len(UNKNOWN)))
    assert {second[f"2-{call}"]["status"] for call in UNKNOWN} == {"accepted"}
    pipeline.graph.wait_idle()
    for call, (_, effects) in UNKNOWN.items():
        sent = invites_of(pipeline, call)
        assert [users(one) for one in sent] == [[f"1-{call}"], [f"2-{call}"]], call
        assert [one["effect"] for one in sent] == [bool(effects), True], call
    return first


def assert_unknown(pipeline, reply):
    assert (reply["status"], reply["error"]["code"]) == ("unknown", "outcome-unknown")
    sent, _ = invites_of(pipeline, reply["callId"])
    assert f'"{sent["client_context"]}"' in reply["error"]["message"], reply["error"]


@BOTH
def test_what_may_have_happened_is_looked_for_and_never_sent_twice(pipeline):
    first = lose_answers(pipeline)
    for call, (_, effects) in UNKNOWN.items():
        reply = first[f"1-{call}"]
        if not effects:
            assert_unknown(pipeline, reply)
            continue
        assert (reply["status"], reply["evidence"]) == ("reconciled", "operation"), call
        sent, _ = invites_of(pipeline, call)
        assert [one["id"] for one in reply["operations"]] == [sent["operation"]], call


def test_what_may_have_happened_is_unknown_where_nothing_may_be_asked(pipeline):
    first = lose_answers(pipeline, evidence={"operations": False, "roster": False})
    for reply in first.values():
        assert_unknown(pipeline, reply)


def test_who_allows_a_second_ring_gets_one_more_request(pipeline):
    pipeline.graph.set_rules({"reset": "before", "count": 1})
    pipeline.worker(retry={"settle": "100ms"}).start()
    send(pipeline, command("c", "u", onUnknown="resend"))
    (reply,) = pipeline.replies.replies(1)
    assert (reply["status"], reply["attempts"]) == ("accepted", 2)
    first, second = pipeline.graph.invites()
    assert second["at_us"] - first["ended_us"] >= 0.1 * MICROSECONDS
    assert sent_users(pipeline.graph.effects()) == ["u"]
    assert [one["id"] for one in reply["operations"]] == [second["operation"]]


def test_a_slow_answer_in_many_pieces_is_read_to_its_end(pipeline):
    pipeline.graph.set_rules({"drip_bytes": 20, "drip_ms": 5})
    pipeline.worker().start()
    send(pipeline, command("c", "u"))
    (reply,) = pipeline.replies.replies(1)
    (sent,) = pipeline.graph.invites()
    assert (reply["status"], reply["operations"][0]["id"]) == ("accepted", sent["operation"])


def test_a_login_service_that_is_down_holds_all_and_loses_nothing(pipeline):
    pipeline.graph.set_rules({"on": "token", "status": 503, "count": 1})
    worker = pipeline.worker().start(ready=False)
    send(pipeline, command("c", "u"))
    pipeline.graph.wait(lambda state: state["requests"] >= 1)
    assert worker.get("/readyz")[0] == 503
    (reply,) = pipeline.replies.replies(1)
    assert reply["status"] == "accepted"
    assert [(one["route"], one["status"]) for one in pipeline.graph.journal()] == [
        ("token", 503),
        ("token", 200),
        ("invite", 200),
    ]
    assert worker.ready()


def test_an_ill_graph_is_probed_and_not_hammered(pipeline):
    pipeline.graph.set_rules({"status": 500})
    worker = pipeline.worker(
        graph={"max_in_flight": 4, "breaker_pause": "1s"},
        evidence={"operations": False, "roster": False},
    ).start()
    send(pipeline, *(command(f"c-{n}", "u", commandId=str(n)) for n in range(60)))
    wait_until(lambda: "graph.probe" in worker.log(), 60, "a probe")
    metrics = worker.metrics()
    assert metrics["invite_worker_breaker_openings_total"] >= 1
    assert metrics['invite_worker_commands_waiting{reason="breaker"}'] >= 30
    pipeline.graph.set_rules()
    replies = by_id(pipeline.replies.replies(60))
    assert "graph.ill" in worker.log() and "graph.well" in worker.log()
    statuses = [reply["status"] for reply in replies.values()]
    failed = [one for one in pipeline.graph.invites() if one["status"] == 500]
    assert statuses.count("unknown") == len(failed)
    assert statuses.count("accepted") == 60 - len(failed)
    # The row, what was in flight beside its last one, and a few probes.
    assert 10 <= len(failed) <= 20
    waited = max(reply["timing"]["waitedFor"]["breaker"] for reply in replies.values())
    assert waited >= 700
