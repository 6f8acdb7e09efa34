"""Every way in which the simulator can be made to misbehave."""

import email.utils
import http.client
import json
import socket
import ssl
import struct
import time

import pytest

from conftest import Client, invite_body, invite_path, person
from simulator import Simulator, SimulatorError


def raw_request(client, call="c"):
    body = json.dumps(invite_body(person("u")))
    return (
        f"POST {invite_path(call)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def exchange(client, call="c"):
    """Send an invite; return all bytes that come, and whether the end was a reset."""
    with socket.create_connection(("127.0.0.1", client.simulator.http_port), 20) as connection:
        connection.sendall(raw_request(client, call))
        received = b""
        try:
            while block := connection.recv(65536):
                received += block
            return received, False
        except ConnectionResetError:
            return received, True


@pytest.mark.parametrize(
    "status, code",
    [
        (400, "BadRequest"),
        (401, "InvalidAuthenticationToken"),
        (403, "7503"),
        (403, "7504"),
        (403, "7505"),
        (404, "8522"),
        (409, "Conflict"),
        (429, "TooManyRequests"),
        (500, "9999"),
        (502, "BadGateway"),
        (503, "serviceNotAvailable"),
        (504, "UnknownError"),
    ],
)
def test_a_rule_answers_with_any_status_and_code_and_no_effect(client, simulator, status, code):
    simulator.set_rules({"name": "refused", "status": status, "code": code})
    answer = client.invite("c", person("u"), headers={"client-request-id": "r"})
    assert answer.status == status
    assert answer.json["error"]["code"] == code
    assert answer.json["error"]["innerError"]["client-request-id"] == "r"
    assert "Location" not in answer.headers
    line = simulator.invites()[0]
    assert (line["rule"], line["effect"], line["status"]) == ("refused", False, status)


@pytest.mark.parametrize(
    "status, code",
    [
        (401, "InvalidAuthenticationToken"),
        (403, "7505"),
        (404, "8522"),
        (429, "TooManyRequests"),
        (503, "serviceNotAvailable"),
    ],
)
def test_a_status_alone_brings_its_usual_code(client, simulator, status, code):
    simulator.set_rules({"status": status})
    assert client.invite("c", person("u")).json["error"]["code"] == code


def test_errors_come_in_each_spelling(client, simulator):
    simulator.set_rules(
        {"status": 403, "form": "innererror", "count": 1},
        {"status": 403, "form": "bare", "count": 1},
        {"status": 403, "code": "7503", "form": "wrapped", "count": 1},
    )
    errors = [client.invite("c", person("u")).json["error"] for _ in range(3)]
    assert set(errors[0]) == {"code", "message", "innererror"}
    assert set(errors[1]) == {"code", "message"}
    assert errors[2]["code"] == "UnknownError"
    assert json.loads(errors[2]["message"])["errorCode"] == "7503"


@pytest.mark.parametrize("value", ["3", "2.128", "", "soon", "-1", "99999999999999999999"])
def test_retry_after_is_sent_as_given(client, simulator, value):
    simulator.set_rules({"status": 429, "retry_after": value})
    answer = client.invite("c", person("u"))
    assert (answer.status, answer.headers.get("Retry-After", "")) == (429, value)


def test_retry_after_can_be_a_date_or_missing(client, simulator):
    simulator.set_rules({"status": 429, "retry_after_date_s": 100, "count": 1}, {"status": 429})
    until = email.utils.parsedate_to_datetime(
        client.invite("c", person("u")).headers["Retry-After"]
    )
    assert 95 < until.timestamp() - time.time() < 105
    assert "Retry-After" not in client.invite("c", person("u")).headers


def test_a_refusal_can_hide_an_effect(client, simulator):
    simulator.set_rules({"status": 504, "effect": True})
    assert client.invite("c", person("u")).status == 504
    assert len(client.get("c", "participants").json["value"]) == 1
    line = simulator.invites()[0]
    assert (line["status"], line["effect"], bool(line["operation"])) == (504, True, True)


@pytest.mark.parametrize("when, effects", [("before", 0), ("after", 1)])
def test_the_connection_is_reset_before_or_after_the_effect(client, simulator, when, effects):
    simulator.set_rules({"reset": when})
    assert exchange(client) == (b"", True)
    assert len(client.get("c", "participants").json["value"]) == effects
    line = simulator.invites()[0]
    assert (line["end"], line["effect"], line["status"]) == ("reset", bool(effects), 0)


def shake_hands(connection, tls, incoming, outgoing):
    while True:
        try:
            tls.do_handshake()
            connection.sendall(outgoing.read())
            return
        except ssl.SSLWantReadError:
            connection.sendall(outgoing.read())
            incoming.write(connection.recv(65536))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_tls_connection_is_reset_too(tmp_path, when):
    with Simulator(tmp_path, https=True, rules=[{"reset": when}]) as simulator:
        client = Client(simulator)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        trust = ssl.create_default_context(cafile=simulator.ca)
        tls = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", simulator.https_port), 20) as connection:
            shake_hands(connection, tls, incoming, outgoing)
            tls.write(raw_request(client))
            connection.sendall(outgoing.read())
            with pytest.raises(ConnectionResetError):
                while connection.recv(65536):
                    pass
        assert simulator.invites()[0]["effect"] is (when == "after")


def test_a_rule_delays_the_answer_but_not_the_effect(client, simulator):
    simulator.set_rules({"delay_ms": 1000})
    with socket.create_connection(("127.0.0.1", simulator.http_port), 20) as connection:
        connection.sendall(raw_request(client))
        state = simulator.wait(lambda state: state["effects"] == 1)
        assert state["in_flight"] == 1
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
    line = simulator.invites()[0]
    assert line["ended_us"] - line["at_us"] >= 1_000_000


def test_latency_and_jitter_hold_for_all_of_graph_but_not_for_tokens(client, simulator):
    simulator.set(latency_ms=200, jitter_ms=100)
    for _ in range(3):
        client.invite("c", person("u"))
    client.get("c", "participants")
    simulator.token()
    lines = simulator.journal()
    took = {
        route: [line["ended_us"] - line["at_us"] for line in lines if line["route"] == route]
        for route in ("invite", "participants", "token")
    }
    assert min(took["invite"] + took["participants"]) >= 200_000
    assert len(set(us // 1000 for us in took["invite"])) > 1
    assert max(took["token"]) < 200_000


def test_a_delayed_refusal_and_a_delayed_reset(client, simulator):
    simulator.set_rules(
        {"status": 503, "delay_ms": 50, "count": 1}, {"reset": "after", "delay_ms": 50}
    )
    assert client.invite("c", person("u")).status == 503
    assert exchange(client) == (b"", True)
    assert all(line["ended_us"] - line["at_us"] >= 50_000 for line in simulator.invites())


def test_a_body_drips(client, simulator):
    simulator.set_rules({"drip_bytes": 100, "drip_ms": 20})
    answer = client.invite("c", person("u"))
    assert answer.json["status"] == "Running"
    line = simulator.invites()[0]
    pieces = -(-len(answer.body) // 100)
    assert line["ended_us"] - line["at_us"] >= pieces * 20_000
    assert line["end"] == "sent"


def test_a_body_is_truncated_and_the_connection_closed(client, simulator):
    simulator.set_rules({"cut_at": 40})
    received, reset = exchange(client)
    head, body = received.split(b"\r\n\r\n", 1)
    assert not reset
    assert len(body) == 40
    assert int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) > 40
    line = simulator.invites()[0]
    assert (line["end"], line["effect"]) == ("cut", True)


def test_a_body_is_huge_with_and_without_its_length(client, simulator):
    simulator.set_rules(
        {"huge_bytes": 3_000_000, "count": 1}, {"huge_bytes": 3_000_000, "chunked": True}
    )
    told, chunked = client.invite("c", person("u")), client.invite("c", person("u"))
    assert len(told.body) == int(told.headers["Content-Length"]) > 3_000_000
    assert "Content-Length" not in chunked.headers
    assert len(chunked.body) == len(told.body)
    assert told.json["status"] == chunked.json["status"] == "Running"


@pytest.mark.parametrize("body", ["", "null", "<html>", "{", "{}"])
def test_a_body_is_replaced_after_the_effect_and_keeps_its_location(client, simulator, body):
    simulator.set_rules({"body": body})
    answer = client.invite("c", person("u"))
    assert (answer.status, answer.body) == (200, body.encode())
    assert answer.headers["Location"].endswith(simulator.effects()[0]["operation"])


def test_the_location_can_be_left_out_by_rule_or_for_all(client, simulator):
    simulator.set_rules({"location": False, "count": 1})
    assert "Location" not in client.invite("c", person("u")).headers
    assert "Location" in client.invite("c", person("u")).headers
    simulator.set(location=False)
    assert "Location" not in client.invite("c", person("u")).headers


def test_the_content_type_can_be_wrong(client, simulator):
    simulator.set_rules({"content_type": "text/html", "body": "<html>"})
    assert client.invite("c", person("u")).headers["Content-Type"] == "text/html"


def test_a_success_can_have_another_status(client, simulator):
    simulator.set_rules({"status": 202, "effect": True})
    answer = client.invite("c", person("u"))
    assert (answer.status, answer.json["status"]) == (202, "Running")


def test_one_identity_spoils_a_batch_but_not_the_others_alone(client, simulator):
    simulator.set_rules({"identity": "bad", "status": 400})
    people = [person(name) for name in ("a", "b", "bad", "c", "d")]
    assert client.invite("c", *people).status == 400
    assert [client.invite("c", one).status for one in people] == [200, 200, 400, 200, 200]


def test_a_call_that_is_no_group_call_takes_one_participant_at_a_time(client, simulator):
    simulator.set_rules({"call": "pair", "participants_above": 1, "status": 400})
    assert client.invite("pair", person("a"), person("b")).status == 400
    assert client.invite("pair", person("a")).status == 200
    assert client.invite("group", person("a"), person("b")).status == 200


def statuses(client, n, call="c"):
    return [client.invite(call, person("u")).status for _ in range(n)]


def test_rules_match_by_call_or_prefix(client, simulator):
    simulator.set_rules({"call": "c1", "status": 404}, {"call_prefix": "bad-", "status": 503})
    assert [statuses(client, 1, call)[0] for call in ("c1", "c11", "bad-1", "bad", "x-bad-")] == [
        404,
        200,
        503,
        200,
        200,
    ]


def test_rules_match_the_nth_request_or_a_number_of_them_after_some(client, simulator):
    simulator.set_rules({"nth": 2, "status": 503})
    assert statuses(client, 4) == [200, 503, 200, 200]
    simulator.set_rules({"skip": 1, "count": 2, "status": 429})
    assert statuses(client, 5) == [200, 429, 429, 200, 200]
    assert (simulator.rules()[0]["fitting"], simulator.rules()[0]["applied"]) == (5, 2)


def test_a_probability_with_a_seed_gives_the_same_history_again(client, simulator):
    histories = []
    for seed in (7, 7, 8):
        simulator.set_rules({"probability": 0.5, "seed": seed, "status": 503})
        histories.append(statuses(client, 60))
    assert histories[0] == histories[1] != histories[2]
    assert 10 < histories[0].count(503) < 50


def test_the_first_rule_that_matches_is_the_one(client, simulator):
    simulator.set_rules({"status": 503, "count": 1})
    simulator.add_rules({"status": 429, "count": 1})
    assert statuses(client, 3) == [503, 429, 200]


def test_rules_for_other_paths(client, simulator):
    simulator.set_rules(
        {"on": "participants", "status": 404},
        {"on": "operations", "status": 500},
        {"on": "operation", "status": 502},
        {"on": "token", "status": 503},
        {"on": "other", "status": 418},
    )
    assert [
        client.get("c", what).status for what in ("participants", "operations", "operations/x")
    ] == [404, 500, 502]
    assert client.request("GET", "/elsewhere").status == 418
    assert client.invite("c", person("u")).status == 200
    with pytest.raises(SimulatorError, match="temporarily_unavailable"):
        simulator.token()
    simulator.set_rules({"on": "token", "status": 401})
    with pytest.raises(SimulatorError, match="invalid_client"):
        simulator.token()


def test_rules_in_use_may_be_replaced(client, simulator):
    simulator.set_rules({"name": "old", "drip_bytes": 50, "drip_ms": 10})
    connection = http.client.HTTPConnection("127.0.0.1", simulator.http_port, timeout=20)
    connection.putrequest("POST", invite_path("c"))
    body = json.dumps(invite_body(person("u"))).encode()
    connection.putheader("Authorization", "Bearer " + client.token)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    simulator.set_rules()
    assert json.loads(response.read())["status"] == "Running"
    connection.close()
    assert simulator.invites()[0]["rule"] == "old"


@pytest.mark.parametrize(
    "rule, reason",
    [
        ({"statsu": 400}, "statsu: unknown member"),
        ({"status": 99}, "status: must be an integer from 200 to 999"),
        ({"status": "400"}, "status: must be an integer"),
        ({"reset": "maybe"}, "reset: must be"),
        ({"form": "odd"}, "form: must be"),
        ({"on": "nothing"}, "on: must be"),
        ({"probability": 2}, "probability: must be a number"),
        ({"effect": 1}, "effect: must be true or false"),
        ({"name": None}, "name: must be a string"),
        ({"drip_bytes": 1}, "drip_ms: needed"),
        ("text", "must be an object"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place_and_changes_nothing(simulator, rule, reason):
    simulator.set_rules({"name": "kept"})
    with pytest.raises(SimulatorError, match=r"rules\[1\]: .*" + reason):
        simulator.set_rules({}, rule)
    assert [kept["name"] for kept in simulator.rules()] == ["kept"]


def test_a_wrong_setting_is_refused_and_changes_nothing(simulator):
    with pytest.raises(SimulatorError, match="jitter_ms: must be an integer"):
        simulator.set(latency_ms=5, jitter_ms=-1)
    assert simulator.set()["latency_ms"] == 0
    with pytest.raises(SimulatorError, match="no such action"):
        simulator.control("GET", "nothing")


def test_a_client_that_breaks_off_is_survived(client, simulator):
    simulator.set(latency_ms=50)
    for cut in (10, 200, 10_000):
        connection = socket.create_connection(("127.0.0.1", simulator.http_port), 20)
        connection.sendall(raw_request(client)[:cut])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    simulator.wait(lambda state: state["connections"] >= 4)
    simulator.wait_idle()
    assert client.invite("c", person("u")).status == 200
