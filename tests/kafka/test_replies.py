"""What goes through the worker unchanged, and what a reply says of Graph's answer."""

import pytest

from kafka_client import Reader
from witness import command, person

HEADERS = [
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("correlation-id", b"\x00\xff any bytes"),
]


def run(pipeline, *commands, **options):
    """The replies to these commands, in the order of the commands."""
    pipeline.worker(**options).start()
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()
    replies = {reply["callId"]: reply for reply in pipeline.replies.replies(len(commands))}
    return [replies[one["callId"]] for one in commands]


def participant_at_graph(pipeline):
    (effect,) = pipeline.graph.effects()
    (sent,) = effect["body"]["participants"]
    return sent


def test_members_that_the_worker_does_not_know_reach_graph_unchanged(pipeline):
    given = {
        "@odata.type": "#microsoft.graph.invitationParticipantInfo",
        "identity": {
            "@odata.type": "#microsoft.graph.identitySet",
            "user": {"id": "u", "tenantId": "t", "identityProvider": "AAD", "more": [1, "ö", 0.5]},
            "endpointType": "default",
        },
        "hidden": True,
        "removeFromDefaultAudioRoutingGroup": False,
        "newThing": {"deep": [{"er": "\u0001\u20ac \U0001f600 \"\\/"}, 12345678901, False]},
    }
    (reply,) = run(pipeline, {"callId": "c", "participants": [given]})
    assert reply["status"] == "accepted"
    assert participant_at_graph(pipeline) == given


@pytest.mark.parametrize("kind", ["user", "guest", "application", "applicationInstance"])
def test_types_that_are_missing_are_added_for_every_kind_of_identity(pipeline, kind):
    given = {"identity": {kind: {"id": "one", "displayName": "One"}}}
    (reply,) = run(pipeline, {"callId": "c", "participants": [given]})
    assert reply["status"] == "accepted"
    assert participant_at_graph(pipeline) == {
        "@odata.type": "#microsoft.graph.invitationParticipantInfo",
        "identity": {
            "@odata.type": "#microsoft.graph.identitySet",
            kind: {"id": "one", "displayName": "One"},
        },
    }


def test_headers_are_copied_to_the_reply_with_their_bytes_and_others_are_not(pipeline):
    pipeline.worker().start()
    pipeline.commands.send(command("c", "u"), headers=[*HEADERS, ("other", b"x")])
    pipeline.commands.flush()
    (record,) = pipeline.replies.wait_for(1)
    assert sorted(record.headers()) == sorted(HEADERS)
    assert record.key() == b"c"


def test_a_reply_goes_where_its_command_asks_only_when_that_topic_is_allowed(pipeline):
    allowed, forbidden = (pipeline.topics["replies"] + end for end in ("-allowed", "-forbidden"))
    pipeline.broker.create_topics({allowed: 1, forbidden: 1})
    pipeline.worker(commands={"reply_topics": [allowed]}).start()
    for topic in (allowed, forbidden):
        asked = [("reply-topic", topic.encode())]
        pipeline.commands.send(command("c", "u", commandId=topic), headers=asked)
    pipeline.commands.flush()
    elsewhere, nowhere = (Reader(pipeline.broker.bootstrap, name) for name in (allowed, forbidden))
    try:
        assert [reply["commandId"] for reply in elsewhere.replies(1)] == [allowed]
        assert [reply["commandId"] for reply in pipeline.replies.replies(1)] == [forbidden]
        assert pipeline.replies.poll(0) == elsewhere.poll(0) == nowhere.poll(0.1) == []
    finally:
        elsewhere.close()
        nowhere.close()


def test_a_reply_falls_back_to_the_usual_topic_when_the_allowed_one_does_not_exist(pipeline):
    missing = pipeline.topics["replies"] + "-missing"
    pipeline.worker(
        commands={"reply_topics": [missing]},
        kafka={"topic.metadata.propagation.max.ms": "1000"},
    ).start()
    pipeline.commands.send(command("c", "u"), headers=[("reply-topic", missing.encode())])
    pipeline.commands.flush()
    (reply,) = pipeline.replies.replies(1)
    assert reply["status"] == "accepted"


def test_an_answer_without_location_gets_one_from_the_operations_id(pipeline):
    pipeline.graph.set(location=False)
    (reply,) = run(pipeline, command("a.call~1", "u"))
    (operation,) = reply["operations"]
    base = f"{pipeline.graph.graph_url}/communications/calls/a.call~1"
    assert operation["location"] == f"{base}/operations/{operation['id']}"
    assert operation["id"] == pipeline.graph.effects()[0]["operation"]


def test_an_answer_without_operation_is_accepted_when_it_has_a_location(pipeline):
    pipeline.graph.set_rules(
        {"call": "null", "body": "null"},
        {"call": "empty", "body": ""},
        {"call": "html", "body": "<html>", "content_type": "text/html"},
    )
    calls = ["null", "empty", "html"]
    replies = run(pipeline, *(command(call, f"u-{call}") for call in calls))
    made = {effect["call"]: effect["operation"] for effect in pipeline.graph.effects()}
    assert [reply["status"] for reply in replies] == ["accepted"] * 3
    assert [reply["operations"][0]["id"] for reply in replies] == [made[call] for call in calls]


def test_an_answer_that_names_no_operation_at_all_leaves_the_outcome_unknown(pipeline):
    pipeline.graph.set(location=False)
    pipeline.graph.set_rules({"body": "null"})
    (reply,) = run(
        pipeline, command("c", "u"), evidence={"operations": False, "roster": False},
        retry={"settle": "1s"},
    )
    assert reply["status"] == "unknown"
    assert reply["error"]["httpStatus"] == 200
    assert len(pipeline.graph.effects()) == 1


def test_an_answer_that_names_no_operation_is_found_among_the_calls_operations(pipeline):
    pipeline.graph.set(location=False)
    pipeline.graph.set_rules({"body": "null"})
    (reply,) = run(pipeline, command("c", "u"), retry={"settle": "1s"})
    (effect,) = pipeline.graph.effects()
    assert (reply["status"], reply["evidence"]) == ("reconciled", "operation")
    assert [one["id"] for one in reply["operations"]] == [effect["operation"]]


def test_a_reply_carries_graphs_ids_and_the_place_of_its_record(pipeline):
    (reply,) = run(pipeline, command("c", "u", commandId="mine", clientContext="context"))
    (effect,) = pipeline.graph.effects()
    (operation,) = reply["operations"]
    assert operation["requestId"] == effect["request_id"]
    assert operation["clientRequestId"] == effect["client_request_id"]
    assert operation["clientContext"] == effect["client_context"] == "context"
    assert (reply["commandId"], reply["tenantId"]) == ("mine", "contoso.example")
    assert reply["source"]["topic"] == pipeline.topics["commands"]
    assert (reply["source"]["offset"], reply["attempts"]) == (0, 1)
    assert reply["participants"] == [
        {"index": 0, "status": "accepted", "operation": 0, "error": None}
    ]


def test_a_command_is_named_by_its_place_and_its_request_gets_a_context(pipeline):
    (reply,) = run(pipeline, {"callId": "c", "participants": [person("u")]})
    source = reply["source"]
    assert reply["commandId"] == f"{source['topic']}-{source['partition']}-{source['offset']}"
    assert reply["clientContext"] is None
    assert 0 < len(pipeline.graph.effects()[0]["client_context"]) <= 256
    assert reply["operations"][0]["clientContext"] == pipeline.graph.effects()[0]["client_context"]


def test_a_command_whose_time_is_over_is_never_sent(pipeline):
    late = command("late", "u", expiresAt="2020-01-01T00:00:00Z")
    reply, other = run(pipeline, late, command("c", "v"))
    assert (reply["status"], reply["error"]["code"]) == ("expired", "expired")
    assert other["status"] == "accepted"
    assert [effect["call"] for effect in pipeline.graph.effects()] == ["c"]
