"""The corpus of hostile texts, from end to end: each is rejected, or does nothing."""

import json
import re

import pytest
from confluent_kafka import KafkaException

from hostile import HEADER_PLACES, PLACES, records, texts
from test_admin import LINE

PATH = re.compile(r"/v1\.0/communications/calls/([A-Za-z0-9._~-]{1,128})/participants/invite")
COPIED = {"traceparent", "tracestate", "correlation-id"}
FAST = {
    "rate": {"call": 1000, "call_burst": 10000},
    "batch": {"window": 0, "max_participants": 1},
    "queue": {"commands_per_partition": 100000, "offsets_per_partition": 100000},
    "log": {"level": "debug"},
}


def call_id(number):
    return f"call-{number % 50}"


def send(pipeline, sent):
    """All that a producer can send; how many it was."""
    count = 0
    for record in sent:
        try:
            headers = list(record.headers)
            pipeline.commands.send(record.value, key=record.key, headers=headers, partition=0)
        except (KafkaException, TypeError, ValueError):
            continue  # Not even the producer takes it
        count += 1
    pipeline.commands.flush()
    return count


@pytest.fixture
def aftermath(pipeline):
    """Everything was sent and answered: the worker's log, and what each side saw."""
    worker = pipeline.worker(**FAST).start()
    count = send(pipeline, records(call_id))
    pipeline.replies.wait_for(count, seconds=120)
    assert worker.stop() == 0
    pipeline.dead_letters.wait_for(
        sum(reply["status"] == "rejected" for reply in pipeline.replies.json())
    )
    return count, worker.log()


def assert_rejected_or_inert(pipeline, count):
    replies = pipeline.replies.json()
    assert sorted(reply["source"]["offset"] for reply in replies) == list(range(count))
    refused = [one["error"] for one in replies if one["status"] not in ("accepted", "rejected")]
    assert {(error["code"], error["httpStatus"]) for error in refused} <= {("refused", 400)}
    rejected = {one["source"]["offset"] for one in replies if one["status"] == "rejected"}
    assert len(pipeline.dead_letters.records) == len(rejected) > count / 4


def assert_only_invites_of_valid_calls(pipeline, count):
    """The journal shows no path but that of invites, and no request that was not a command."""
    lines = pipeline.graph.journal()
    assert {line["route"] for line in lines} == {"token", "invite"}
    assert {line["path"] for line in lines if line["route"] == "token"} == {
        "/contoso.example/oauth2/v2.0/token"
    }
    invites = [line for line in lines if line["route"] == "invite"]
    calls = {PATH.fullmatch(line["path"])[1] for line in invites}
    assert not calls & {".", ".."}
    sent = [one for one in pipeline.replies.json() if one["status"] != "rejected"]
    assert len(invites) == len(sent)
    assert calls == {reply["callId"] for reply in sent}
    for line in invites:
        assert line["method"] == "POST" and line["status"] in (200, 400)
        assert set(line["body"]) == {"participants", "clientContext"}
        assert re.fullmatch(r"[0-9a-f-]{36}", line["client_request_id"])


def assert_no_header_was_injected(pipeline):
    for record in pipeline.replies.records:
        assert {name for name, _ in record.headers() or ()} <= COPIED
        json.loads(record.value())


def test_the_corpus_is_rejected_or_inert_in_every_place(pipeline, aftermath):
    count, log = aftermath
    assert len(texts()) >= 200
    assert count >= 0.95 * len(texts()) * len([*PLACES, *HEADER_PLACES])
    assert_rejected_or_inert(pipeline, count)
    assert_only_invites_of_valid_calls(pipeline, count)
    assert_no_header_was_injected(pipeline)
    odd = [line for line in log.split("\n") if line and not LINE.fullmatch(line)]
    assert odd == []
