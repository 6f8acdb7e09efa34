"""The journal as a witness: what arrived is in it, as it arrived, whatever the client learnt."""

import http.client
import json
import os
import signal
import socket
import threading

from conftest import invite_body, invite_path, person
from process import wait_until
from simulator import Simulator


def test_a_line_tells_all_of_an_invite(client, simulator):
    participants = [
        person("u1"),
        person("+12345678901", "phone"),
        person("g", "guest", hidden=True),
    ]
    answer = client.invite(
        "call-1", *participants, context='x\u2028"y', headers={"client-request-id": "r-1"}
    )
    line = simulator.invites()[0]
    assert line["seq"] > 0 and line["connection"] > 0
    assert line["ended_us"] >= line["at_us"] > 0 and line["wall_us"] > 1_600_000_000_000_000
    assert (line["http"], line["tls"], line["method"]) == ("HTTP/1.1", False, "POST")
    assert (line["path"], line["route"], line["call"]) == (
        invite_path("call-1"),
        "invite",
        "call-1",
    )
    assert (line["client_request_id"], line["client_context"]) == ("r-1", 'x\u2028"y')
    assert [(p["kind"], p["type"], p["id"], p["read"]) for p in line["participants"]] == [
        ("plain", "user", "u1", True),
        ("phone", "phone", "+12345678901", True),
        ("plain", "guest", "g", True),
    ]
    assert line["body"] == invite_body(*participants, context='x\u2028"y')
    assert (line["bearer_ok"], line["overlap"], line["rule"], line["end"]) == (
        True,
        False,
        None,
        "sent",
    )
    assert (line["status"], line["effect"], line["operation"]) == (200, True, answer.json["id"])
    assert line["request_id"] == answer.headers["request-id"]


def test_kinds_are_told_apart(client, simulator):
    client.invite("c", person("u", replacesCallId="o"))
    client.invite("c", person("u", replacesCallId="o", participantId="p"))
    assert [line["participants"][0]["kind"] for line in simulator.effects()] == ["replace", "move"]


def test_line_feeds_in_a_body_stay_within_the_line(client, simulator):
    client.request(
        "POST",
        invite_path("c"),
        json.dumps(invite_body(person("u")), indent=2).replace("\n", "\r\n"),
    )
    client.request("POST", invite_path("c"), 'not\njson\u0001"')
    first, second = simulator.invites()
    assert first["effect"] and first["body"] == invite_body(person("u"))
    assert second["body_text"] == 'not\njson\u0001"'


def test_a_body_that_is_not_text_does_not_spoil_the_journal(client, simulator):
    client.request("POST", invite_path("c"), b"\xff\x00\xc3(")
    assert simulator.invites()[0]["effect"] is False


def test_paths_are_kept_as_on_the_wire(client, simulator):
    paths = [
        "/v1.0/communications/calls/../participants/invite",
        "/v1.0/communications/calls/a%2fb/participants/invite",
        "/v1.0/communications/calls/%2e%2e/participants/invite",
        "/v1.0/communications/calls//participants/invite",
        "/",
        "/x?y=/control/z",
        "/v1.0/communications/calls/c/participants/invite?q=1",
    ]
    for path in paths:
        client.request("POST", path, "{}")
    lines = [line for line in simulator.journal() if line["route"] != "token"]
    assert [line["path"] for line in lines] == paths
    assert [line["route"] for line in lines] == ["invite"] * 3 + ["other"] * 3 + ["invite"]
    assert [line.get("call") for line in lines[:3]] == ["..", "a%2fb", "%2e%2e"]


def test_control_requests_are_in_the_journal_but_set_apart(simulator):
    simulator.set_rules()
    assert simulator.journal() == []
    assert simulator.journal(control=True)[0]["path"] == "/control/rules"


def test_no_secret_is_in_the_journal(client, simulator):
    simulator.token(client_secret="do-not-tell")
    client.invite("c", person("u"))
    text = simulator.journal_path.read_text()
    assert "do-not-tell" not in text and client.token not in text


def test_requests_of_a_connection_carry_its_number(client, simulator):
    connection = http.client.HTTPConnection("127.0.0.1", simulator.http_port, timeout=20)
    for call in ("a", "b"):
        connection.request(
            "POST",
            invite_path(call),
            json.dumps(invite_body(person("u"))),
            {"Authorization": "Bearer " + client.token, "Content-Type": "application/json"},
        )
        connection.getresponse().read()
    connection.close()
    client.invite("c", person("u"))
    numbers = [line["connection"] for line in simulator.invites()]
    assert numbers[0] == numbers[1] != numbers[2]


def invite_at_once(client, calls):
    threads = [threading.Thread(target=client.invite, args=(call, person("u"))) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_requests_of_a_call_in_flight_are_an_overlap(client, simulator):
    simulator.set(latency_ms=700)
    invite_at_once(client, ["c", "c", "d"])
    lines = sorted(simulator.invites(), key=lambda line: line["seq"])
    assert [line["overlap"] for line in lines if line["call"] == "c"] == [False, True]
    assert [line["overlap"] for line in lines if line["call"] == "d"] == [False]
    client.invite("c", person("u"))
    assert simulator.invites()[-1]["overlap"] is False


def test_an_invite_whose_sender_went_away_is_in_the_journal(client, simulator):
    simulator.set(latency_ms=100)
    body = json.dumps(invite_body(person("u")))
    with socket.create_connection(("127.0.0.1", simulator.http_port), 20) as connection:
        connection.sendall(
            (
                f"POST {invite_path('c')} HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {client.token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        simulator.wait(lambda state: state["effects"] == 1)
    simulator.wait_idle()
    assert [line["effect"] for line in simulator.invites()] == [True]


def test_half_an_invite_is_in_the_journal_without_effect(client, simulator):
    with socket.create_connection(("127.0.0.1", simulator.http_port), 20) as connection:
        connection.sendall(
            f"POST {invite_path('c')} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode()
        )
        simulator.wait(lambda state: state["in_flight"] == 1)
    simulator.wait_idle()
    line = simulator.invites()[0]
    assert (line["status"], line["effect"], line["end"]) == (0, False, "lost")


def test_sigterm_writes_what_is_in_flight(tmp_path, client):
    other = Simulator(tmp_path / "other", latency=60_000)
    token = other.token()
    connection = http.client.HTTPConnection("127.0.0.1", other.http_port, timeout=20)
    connection.request(
        "POST",
        invite_path("c"),
        json.dumps(invite_body(person("u"))),
        {"Authorization": "Bearer " + token, "Content-Type": "application/json"},
    )
    other.wait(lambda state: state["effects"] == 1)
    assert other.stop() == 0, other.stderr_path.read_text()
    connection.close()
    assert [(line["effect"], line["end"]) for line in other.effects()] == [(True, "lost")]


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(client, simulator):
    client.invite("c", person("u"))
    assert len(simulator.invites()) == 1
    simulator.process.send_signal(signal.SIGSTOP)
    os.waitpid(simulator.process.pid, os.WUNTRACED)
    try:
        lines, end = simulator.read_journal()
        with open(simulator.journal_path, "ab", buffering=0) as file:
            file.write(b'{"route":"inv')
            assert simulator.read_journal() == (lines, end)
            file.write(b'ite"}\n')
        assert simulator.read_journal(end)[0] == [{"route": "invite"}]
    finally:
        simulator.process.send_signal(signal.SIGCONT)


def test_the_journal_reaches_the_file_by_itself(client, simulator):
    client.invite("c", person("u"))
    written = simulator.journal_path.read_bytes
    wait_until(lambda: b'"route":"invite"' in written(), 20, "the invite is not in the file")
    simulator.process.send_signal(signal.SIGKILL)
    simulator.process.wait()
    assert len(simulator.effects()) == 1
    simulator.exit_code = 0
    simulator.stop = lambda: None
