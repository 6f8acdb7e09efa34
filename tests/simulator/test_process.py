"""The simulator as a program: its options, its ready line and its end."""

import json
import signal
import socket
import subprocess

import pytest

from conftest import Client, person
from simulator import Simulator, SimulatorError, find_executable


def run(*args):
    return subprocess.run(
        [find_executable(), *args], capture_output=True, text=True, timeout=20, check=False
    )


def test_help_names_every_option():
    done = run("--help")
    assert done.returncode == 0
    for option in (
        "http",
        "https",
        "cert",
        "key",
        "address",
        "journal",
        "rules",
        "latency",
        "tenant",
        "client-id",
        "client-secret",
        "token-lifetime",
        "seed",
        "keep",
    ):
        assert f"--{option}=" in done.stdout


@pytest.mark.parametrize(
    "args, reason",
    [
        ([], "--http or --https is needed"),
        (["--http", "x"], "must be a number from 0 to 65535"),
        (["--http", "65536"], "must be a number from 0 to 65535"),
        (["--https", "0"], "--https needs --cert and --key"),
        (["--http", "0", "--address", "localhost"], "not an IPv4 address"),
        (["--http", "0", "--journal", "/nonexistent/j"], "open journal /nonexistent/j"),
        (["--http", "0", "--rules", "/nonexistent/r"], "read /nonexistent/r"),
        (
            ["--https", "0", "--cert", "/nonexistent/c", "--key", "/nonexistent/k"],
            "open /nonexistent/k",
        ),
        (["--unknown"], "unrecognized option"),
    ],
)
def test_what_cannot_work_ends_with_a_reason(args, reason):
    done = run(*args)
    assert done.returncode != 0
    assert reason in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_ends_with_a_reason(simulator):
    done = run("--http", str(simulator.http_port))
    assert done.returncode == 1
    assert f"listen on 127.0.0.1 port {simulator.http_port}" in done.stderr


def test_wrong_rules_in_the_file_end_with_a_reason(tmp_path):
    with pytest.raises(SimulatorError, match=r"rules\[0\]: statsu: unknown member"):
        Simulator(tmp_path, rules=[{"statsu": 1}])


def test_rules_and_latency_hold_from_the_start(tmp_path):
    with Simulator(tmp_path, rules={"rules": [{"status": 503}]}, latency=30) as simulator:
        assert Client(simulator).invite("c", person("u")).status == 503
        line = simulator.invites()[0]
        assert line["ended_us"] - line["at_us"] >= 30_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_and_one_line_was_printed(number):
    process = subprocess.Popen(
        [find_executable(), "--http", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    ready = json.loads(process.stdout.readline())
    assert (ready["ready"], ready["https"], ready["pid"]) == (True, 0, process.pid)
    socket.create_connection(("127.0.0.1", ready["http"]), 20).close()
    process.send_signal(number)
    rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, b"", b"")


def test_it_listens_on_loopback_alone(simulator):
    listening = [
        line.split()[1]
        for line in open("/proc/net/tcp", encoding="ascii")
        if line.split()[3] == "0A"
    ]
    port = f"{simulator.http_port:04X}"
    assert [address for address in listening if address.endswith(":" + port)] == [
        "0100007F:" + port
    ]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n: \r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["binary", "version", "no version", "length", "header", "long"],
)
def test_garbage_is_survived(client, simulator, garbage):
    with socket.create_connection(("127.0.0.1", simulator.http_port), 20) as connection:
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:
            pass
    assert client.invite("c", person("u")).status == 200
    assert simulator.wait_idle()["in_flight"] == 0
