"""The simulated service when nothing goes wrong, and what it refuses by itself."""

import json
import ssl
import urllib.request

import pytest

from conftest import Client, invite_body, invite_path, person
from simulator import Simulator

SCOPE = "https%3A%2F%2Fgraph.microsoft.com%2F.default"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": None}


def get_token(client, form, tenant="tenant"):
    return client.request("POST", f"/{tenant}/oauth2/v2.0/token", form, FORM)


def test_a_plain_invite_is_answered_as_the_documentation_shows(client):
    user = person("278405a3-f568-4b3e-b684-009193463064")
    user["identity"]["user"]["displayName"] = "string"
    answer = client.invite("call-1", user, context="f2fa86af", headers={"client-request-id": "c-1"})
    body = answer.json
    assert answer.status == 200
    assert list(body) == [
        "@odata.type",
        "id",
        "status",
        "clientContext",
        "resultInfo",
        "participants",
    ]
    assert body["@odata.type"] == "#microsoft.graph.inviteParticipantsOperation"
    assert body["status"] == "Running"
    assert body["clientContext"] == "f2fa86af"
    assert body["resultInfo"] is None
    assert body["participants"] == [
        {
            "endpointType": None,
            "replacesCallId": None,
            "identity": {
                "user": user["identity"]["user"],
                "application": None,
                "device": None,
                "phone": None,
            },
        }
    ]
    assert answer.headers["Location"].endswith(
        "/v1.0/communications/calls/call-1/operations/" + body["id"]
    )
    assert answer.headers["client-request-id"] == "c-1"
    assert answer.headers["request-id"]


def test_a_phone_is_answered_with_the_wide_identity_set(client):
    participant = client.invite("call-1", person("+12345678901", "phone")).json["participants"][0]
    assert list(participant) == ["endpointType", "id", "replacesCallId", "identity"]
    assert participant["identity"]["phone"]["id"] == "+12345678901"
    others = {name: value for name, value in participant["identity"].items() if name != "phone"}
    assert set(others) == {
        "user",
        "guest",
        "encrypted",
        "onPremises",
        "applicationInstance",
        "application",
        "device",
    }
    assert set(others.values()) == {None}


def test_a_move_is_answered_with_its_participant_id(client):
    participant = client.invite("c", person("u", replacesCallId="old", participantId="p")).json[
        "participants"
    ][0]
    assert (participant["replacesCallId"], participant["participantId"]) == ("old", "p")


def test_without_a_client_context_the_answer_has_null(client):
    assert client.invite("c", person("u")).json["clientContext"] is None


def test_five_participants_are_invited_and_six_are_refused(client, simulator):
    people = [person(f"u{i}") for i in range(6)]
    assert len(client.invite("c", *people[:5]).json["participants"]) == 5
    assert client.invite("c", *people).status == 400
    assert len(simulator.effects()) == 1


def test_of_a_replacement_only_the_first_participant_is_read(client, simulator):
    answer = client.invite(
        "c", person("u1", replacesCallId="old"), person("u2"), {"not": "even valid"}
    )
    assert [p["identity"]["user"]["id"] for p in answer.json["participants"]] == ["u1"]
    assert [p["read"] for p in simulator.effects()[0]["participants"]] == [True, False, False]
    assert len(client.get("c", "participants").json["value"]) == 1


def without_type(participant, *path):
    target = participant
    for step in path:
        target = target[step]
    target.pop("@odata.type")
    return participant


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"participants":[],"participants":[]}',
        b"\xff\xfe",
        b'{"participants":"x"}',
        invite_body(),
        invite_body("text"),
        invite_body(without_type(person("u"))),
        invite_body(without_type(person("u"), "identity")),
        invite_body(person("u", **{"@odata.type": "#microsoft.graph.user"})),
        invite_body({"@odata.type": "#microsoft.graph.invitationParticipantInfo"}),
        invite_body(person("", "user")),
        invite_body(person("0123", "phone")),
        invite_body(person("+0123456", "phone")),
        invite_body(person("+1234567890123456", "phone")),
        invite_body(person("+12x", "phone")),
        invite_body(person("u", replacesCallId=1)),
        invite_body(person("u", hidden="yes")),
        invite_body(person("u"), context="x" * 257),
        invite_body(person("u"), context=7),
        {**invite_body(person("u")), "unknown": 1},
    ],
    ids=lambda body: repr(body)[:60],
)
def test_what_graph_would_refuse_is_refused_without_effect(client, simulator, body):
    answer = client.request("POST", invite_path("c"), body)
    assert answer.status == 400
    assert answer.json["error"]["code"] == "BadRequest"
    assert simulator.state()["effects"] == 0


def test_a_context_of_256_characters_is_accepted_whatever_its_bytes(client):
    assert client.invite("c", person("u"), context="é" * 256).status == 200


def test_another_content_type_or_method_is_refused(client):
    assert client.invite("c", person("u"), headers={"Content-Type": "text/plain"}).status == 415
    assert client.request("GET", invite_path("c")).status == 405


def test_a_body_beyond_the_limit_is_refused(client, simulator):
    assert client.request("POST", invite_path("c"), b" " * (1 << 20) + b"{}").status == 413
    assert simulator.invites()[0]["effect"] is False


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer unknown", "Basic abc"])
def test_an_invite_needs_a_token(client, simulator, header):
    answer = client.invite("c", person("u"), headers={"Authorization": header})
    assert answer.status == 401
    assert answer.json["error"]["code"] == "InvalidAuthenticationToken"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (simulator.invites()[0]["bearer_ok"], simulator.invites()[0]["effect"]) == (False, False)


def test_a_revoked_token_is_refused_and_a_new_one_is_good(client, simulator):
    assert client.invite("c", person("u")).status == 200
    assert simulator.revoke_tokens() == 1
    assert client.invite("c", person("u")).status == 401
    client.token = simulator.token()
    assert client.invite("c", person("u")).status == 200


def test_a_token_ends_with_its_lifetime(client, simulator):
    simulator.set(token_lifetime_s=0)
    client.token = simulator.token()
    assert client.invite("c", person("u")).status == 401


def test_the_token_answer_has_entras_members(client, simulator):
    simulator.set(token_lifetime_s=77)
    answer = get_token(
        client, f"grant_type=client_credentials&client_id=a&client_secret=b%2B&scope={SCOPE}"
    )
    assert answer.status == 200
    assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 77)
    assert len(answer.json["access_token"]) > 40


@pytest.mark.parametrize(
    "form, tenant, status, error, number",
    [
        ("", "t", 400, "invalid_request", 900144),
        (f"client_id=id&client_secret=s&scope={SCOPE}", "t", 400, "invalid_request", 900144),
        (
            f"grant_type=password&client_id=id&client_secret=s&scope={SCOPE}",
            "t",
            400,
            "unsupported_grant_type",
            70003,
        ),
        (
            f"grant_type=client_credentials&client_secret=s&scope={SCOPE}",
            "t",
            400,
            "invalid_request",
            900144,
        ),
        (
            f"grant_type=client_credentials&client_id=no&client_secret=s&scope={SCOPE}",
            "t",
            400,
            "unauthorized_client",
            700016,
        ),
        (
            f"grant_type=client_credentials&client_id=id&scope={SCOPE}",
            "t",
            401,
            "invalid_client",
            7000218,
        ),
        (
            f"grant_type=client_credentials&client_id=id&client_secret=x&scope={SCOPE}",
            "t",
            401,
            "invalid_client",
            7000215,
        ),
        (
            "grant_type=client_credentials&client_id=id&client_secret=s",
            "t",
            400,
            "invalid_request",
            900144,
        ),
        (
            "grant_type=client_credentials&client_id=id&client_secret=s&scope=user.read",
            "t",
            400,
            "invalid_scope",
            70011,
        ),
        (
            f"grant_type=client_credentials&client_id=id&client_secret=s&scope={SCOPE}",
            "other",
            400,
            "invalid_request",
            90002,
        ),
    ],
)
def test_the_token_endpoint_refuses_as_entra_does(tmp_path, form, tenant, status, error, number):
    with Simulator(tmp_path, tenant="t", client_id="id", client_secret="s") as simulator:
        client = Client.__new__(Client)
        client.simulator, client.token = simulator, ""
        answer = get_token(client, form, tenant)
        assert answer.status == status
        assert (answer.json["error"], answer.json["error_codes"]) == (error, [number])
        assert answer.json["error_description"].startswith(f"AADSTS{number}:")


def test_operations_and_roster_follow_from_effects(client):
    operation = client.invite("c", person("u1"), person("u2"), context="x").json
    client.invite("c", person("u3", hidden=True))
    client.invite("other", person("u4"))
    assert client.get("c", "operations/" + operation["id"]).json == operation
    assert client.get("other", "operations/" + operation["id"]).status == 404
    listed = client.get("c", "operations").json["value"]
    assert (len(listed), listed[0]) == (2, operation)
    roster = client.get("c", "participants").json["value"]
    assert [entry["info"]["identity"]["user"]["id"] for entry in roster] == ["u1", "u2"]
    assert client.get("nobody", "participants").json["value"] == []


def test_each_tenant_has_its_own_tokens_calls_and_rules(client, simulator):
    other = Client(simulator)
    other.token = simulator.token(tenant="other")
    simulator.set_rules({"tenant": "other", "identity": "u2", "status": 400})
    operation = client.invite("c", person("u1")).json["id"]
    assert other.invite("c", person("u2")).status == 400
    assert client.invite("c", person("u2")).status == 200
    assert [one["tenant"] for one in simulator.invites()] == ["tenant", "other", "tenant"]
    assert other.get("c", "participants").json["value"] == []
    assert other.get("c", "operations/" + operation).status == 404
    assert client.get("c", "operations/" + operation).status == 200


def test_the_roster_can_be_empty_or_late(client, simulator):
    client.invite("c", person("u1"))
    simulator.set(roster_empty=True)
    assert client.get("c", "participants").json["value"] == []
    simulator.set(roster_empty=False, roster_delay_ms=3_600_000)
    assert client.get("c", "participants").json["value"] == []
    simulator.set(roster_delay_ms=0)
    assert len(client.get("c", "participants").json["value"]) == 1


def test_operations_can_complete_fail_or_be_gone(client, simulator):
    operation = "operations/" + client.invite("c", person("u")).json["id"]
    simulator.set(complete_after_ms=0)
    assert client.get("c", operation).json["status"] == "completed"
    simulator.set(operations_fail=True)
    failed = client.get("c", operation).json
    assert (failed["status"], failed["resultInfo"]["code"]) == ("failed", 412)
    simulator.set(operations_gone=True)
    assert client.get("c", operation).status == 404
    assert client.get("c", "operations").json["value"] == []


def test_the_newest_operations_are_kept(tmp_path):
    with Simulator(tmp_path, keep=2) as simulator:
        client = Client(simulator)
        ids = [client.invite(f"c{i}", person("u")).json["id"] for i in range(3)]
        assert client.get("c0", "operations/" + ids[0]).status == 404
        assert client.get("c2", "operations/" + ids[2]).status == 200
        assert simulator.state()["calls"] == 2
        assert simulator.forget_calls()["operations"] == 0


def test_https_serves_the_same_with_a_certificate_that_holds(tmp_path):
    with Simulator(tmp_path, https=True) as simulator:
        request = urllib.request.Request(
            simulator.https_url + invite_path("c"),
            json.dumps(invite_body(person("u"))).encode(),
            {"Authorization": "Bearer " + simulator.token(), "Content-Type": "application/json"},
        )
        trust = ssl.create_default_context(cafile=simulator.ca)
        with urllib.request.urlopen(request, context=trust, timeout=20) as answer:
            assert answer.status == 200
            assert answer.headers["Location"].startswith(simulator.https_url)
        assert simulator.effects()[0]["tls"] is True
