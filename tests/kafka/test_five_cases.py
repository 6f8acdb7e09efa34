"""The five documented invites go from Kafka to Graph, and their replies come back."""

import json
import pathlib

import pytest

from deliveries import BOTH

CASES = sorted((pathlib.Path(__file__).parents[2] / "deploy" / "quickstart.d").glob("*.json"))


def read(path):
    command = json.loads(path.read_text())
    command["commandId"] = path.stem
    return command


def plain(user):
    return {"identity": {"user": {"id": user}}}


def ids(invites):
    """Of each invite that took effect, its participants' user ids."""
    return [[participant["id"] for participant in invite["participants"]] for invite in invites]


def assert_accepted(reply):
    assert reply["status"] == "accepted", reply
    assert reply["operations"], reply
    for operation in reply["operations"]:
        assert operation["id"] and operation["status"] == "running"
        assert operation["location"].endswith(f"/operations/{operation['id']}")
        assert operation["httpStatus"] == 200


def test_there_are_five_cases():
    assert len(CASES) == 5


@BOTH
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_case_is_accepted_with_one_request(pipeline, path):
    command = read(path)
    pipeline.worker().start()
    pipeline.commands.send(command)
    pipeline.commands.flush()
    (reply,) = pipeline.replies.replies(1)
    assert_accepted(reply)
    assert reply["commandId"] == command["commandId"]
    assert reply["clientContext"] == command["clientContext"]
    assert len(reply["operations"]) == 1
    (effect,) = pipeline.graph.effects()
    assert effect["path"].endswith(f"/calls/{command['callId']}/participants/invite")
    assert effect["body"] == {
        "participants": command["participants"],
        "clientContext": command["clientContext"],
    }


def test_all_five_at_once_are_accepted(pipeline):
    commands = [read(path) for path in CASES]
    pipeline.worker().start()
    for command in commands:
        pipeline.commands.send(command)
    pipeline.commands.flush()
    replies = pipeline.replies.replies(5)
    for reply in replies:
        assert_accepted(reply)
    assert {reply["commandId"] for reply in replies} == {path.stem for path in CASES}
    assert len(pipeline.graph.effects()) == 5


def test_the_second_example_as_documented_becomes_two_requests_and_one_reply(pipeline):
    command = read(CASES[1])
    for participant in command["participants"]:
        participant["replacesCallId"] = "a7ebfb2d-871e-419c-87af-27290b22e8db"
    pipeline.worker().start()
    pipeline.commands.send(command)
    pipeline.commands.flush()
    (reply,) = pipeline.replies.replies(1)
    assert_accepted(reply)
    assert len(reply["operations"]) == 2
    assert [item["operation"] for item in reply["participants"]] == [0, 1]
    assert len(pipeline.graph.effects()) == 2


@pytest.mark.parametrize("path", [CASES[2], CASES[4]], ids=lambda path: path.stem)
def test_a_solo_case_shares_no_request_amid_plain_invites_and_order_is_kept(pipeline, path):
    solo = read(path)
    expected = solo["participants"][0]["identity"]["user"]["id"]
    for number in range(3):
        before = {"callId": solo["callId"], "participants": [plain(f"before-{number}")]}
        pipeline.commands.send(before)
    pipeline.commands.send({**solo, "clientContext": None})
    for number in range(3):
        after = {"callId": solo["callId"], "participants": [plain(f"after-{number}")]}
        pipeline.commands.send(after)
    pipeline.commands.flush()
    pipeline.worker().start()
    for reply in pipeline.replies.replies(7):
        assert_accepted(reply)
    batches = ids(pipeline.graph.effects())
    sent = [user for batch in batches for user in batch]
    assert [expected] in batches
    assert sent == [*(f"before-{n}" for n in range(3)), expected, *(f"after-{n}" for n in range(3))]
