"""One application that signs in to several tenants."""

import collections

import pytest

from process import wait_until
from witness import command

HOME = "contoso.example"
OTHER = "fabrikam.example"
TENANTS = {"login": {"other_tenants": [OTHER]}}


def send(pipeline, *commands):
    for one in commands:
        pipeline.commands.send(one)
    pipeline.commands.flush()


def by_command(replies):
    return {reply["commandId"]: reply for reply in replies}


def test_every_request_carries_the_token_of_its_commands_tenant(pipeline):
    pipeline.worker(**TENANTS).start()
    given = [
        command("same-call", f"user-{n}", commandId=f"c-{n}", **tenant)
        for n, tenant in enumerate([{}, {"tenantId": HOME}, {"tenantId": OTHER}] * 4)
    ]
    send(pipeline, *given)
    replies = by_command(pipeline.replies.replies(len(given)))
    assert {reply["status"] for reply in replies.values()} == {"accepted"}
    sent = {
        user["id"]: effect["tenant"]
        for effect in pipeline.graph.effects()
        for user in effect["participants"]
    }
    for n, one in enumerate(given):
        tenant = one.get("tenantId", HOME)
        assert replies[f"c-{n}"]["tenantId"] == tenant
        assert sent[f"user-{n}"] == tenant
    journal = pipeline.graph.journal()
    asked = collections.Counter(line["path"] for line in journal if line["route"] == "token")
    assert asked == {f"/{tenant}/oauth2/v2.0/token": 1 for tenant in (HOME, OTHER)}


def test_a_tenant_is_named_in_any_case_and_another_one_is_rejected(pipeline):
    pipeline.worker(**TENANTS).start()
    send(
        pipeline,
        command("c", "u-1", commandId="known", tenantId=OTHER.upper()),
        command("c", "u-2", commandId="unknown", tenantId="elsewhere.example"),
    )
    replies = by_command(pipeline.replies.replies(2))
    assert (replies["known"]["status"], replies["known"]["tenantId"]) == ("accepted", OTHER)
    assert replies["unknown"]["status"] == "rejected"
    assert replies["unknown"]["error"]["code"] == "unknown-tenant"
    assert "configured tenant" in replies["unknown"]["error"]["message"]
    assert len(pipeline.dead_letters.wait_for(1)) == 1


@pytest.mark.parametrize(
    "rule",
    [
        {"status": 403, "code": "7504"},
        {"status": 401},
        {"on": "token", "status": 401, "code": "invalid_client"},
    ],
    ids=["not-allowed", "token-refused", "no-token"],
)
def test_a_tenant_in_which_nothing_may_be_sent_holds_no_other(pipeline, rule):
    pipeline.graph.set_rules({"tenant": OTHER, **rule})
    worker = pipeline.worker(**TENANTS, retry={"cap": "1s"}).start()
    send(pipeline, command("c", "u-0", commandId="held", tenantId=OTHER))
    wait_until(
        lambda: worker.metrics()["invite_worker_application_held"] == 1,
        30, lambda: "the other tenant is held",
    )
    here = [command(f"c-{n}", f"u-{n}", commandId=f"c-{n}") for n in range(1, 21)]
    send(pipeline, *here)
    replies = pipeline.replies.replies(len(here))
    assert {reply["tenantId"] for reply in replies} == {HOME}
    assert {reply["status"] for reply in replies} == {"accepted"}
    assert worker.ready()
    pipeline.graph.set_rules()
    held = by_command(pipeline.replies.replies(len(here) + 1))["held"]
    assert (held["status"], held["tenantId"]) == ("accepted", OTHER)
    assert worker.metrics()["invite_worker_application_held"] == 0


def test_a_throttled_tenant_leaves_the_others_their_rate(pipeline):
    pipeline.graph.set_rules({"tenant": OTHER, "status": 429, "retry_after": "2", "count": 6})
    pipeline.worker(**TENANTS).start()
    given = [
        command(f"c-{n}", f"u-{n}-{tenant}", commandId=f"{tenant}-{n}", tenantId=tenant)
        for n in range(20)
        for tenant in (OTHER, HOME)
    ]
    send(pipeline, *given)
    replies = pipeline.replies.replies(len(given))
    assert {reply["status"] for reply in replies} == {"accepted"}
    last = {reply["tenantId"]: place for place, reply in enumerate(replies)}
    assert last[HOME] < last[OTHER]
    throttled = [one for one in pipeline.graph.invites() if one["status"] == 429]
    assert {one["tenant"] for one in throttled} == {OTHER}


def test_what_is_in_doubt_is_looked_for_in_the_tenant_of_its_command(pipeline):
    pipeline.graph.set_rules({"tenant": OTHER, "reset": "after"})
    pipeline.worker(**TENANTS, retry={"settle": "1s"}).start()
    send(
        pipeline,
        command("c", "u", commandId="here"),
        command("c", "u", commandId="there", tenantId=OTHER),
    )
    replies = by_command(pipeline.replies.replies(2))
    assert replies["here"]["status"] == "accepted"
    assert (replies["there"]["status"], replies["there"]["evidence"]) == ("reconciled", "operation")
    looks = [line for line in pipeline.graph.journal() if line["route"] == "operations"]
    assert {line["tenant"] for line in looks} == {OTHER}
