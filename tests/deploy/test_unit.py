"""The systemd unit is sound and tight, and the worker speaks to systemd as it promises."""

import json
import pathlib
import re
import socket
import subprocess

import pytest

from simulator import Simulator
from process import Process, wait_until
from worker import Worker, binaries, configuration

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "invite-worker.service"
SLOT = ROOT / "deploy" / "invite-worker@.service.d" / "slot.conf"
MAX_EXPOSURE = 20  # In tenths: systemd-analyze wants it so


def analyze(*arguments):
    command = ["systemd-analyze", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def exposure(path):
    return analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE}", path)


def verify(directory, text):
    """What systemd finds wrong with the unit; its executable is the one that was built."""
    path = directory / UNIT.name
    path.write_text(text.replace("/usr/bin/invite-worker", str(binaries() / "invite-worker")))
    return analyze("verify", path)


def test_systemd_finds_nothing_wrong(tmp_path):
    assert verify(tmp_path, UNIT.read_text()) == (0, "")


def test_systemd_would_find_a_mistake(tmp_path):
    status, said = verify(tmp_path, UNIT.read_text().replace("DynamicUser", "DynamicUsr"))
    assert status != 0 or "DynamicUsr" in said


def variables(path):
    lines = path.read_text().splitlines()
    pairs = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    return dict(pair.split("=", 1) for pair in pairs)


def test_the_service_has_the_time_to_stop_that_the_readme_asks_for():
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), re.M)
    schema = json.loads((ROOT / "config" / "invite-worker.schema.json").read_text())
    drain = schema["properties"]["drain"]["properties"]["timeout"]["default"]
    assert int(stop) >= int(drain.removesuffix("s")) + 25


def test_the_service_has_a_slot_that_stays_the_same_over_restarts():
    assert variables(UNIT)["INVITE_WORKER_CONSUMER_INSTANCE_ID"] == "%H"


def test_several_on_a_host_have_a_slot_and_a_port_each(tmp_path):
    found = variables(SLOT)
    assert found["INVITE_WORKER_CONSUMER_INSTANCE_ID"] == "%H-%i"
    assert found["INVITE_WORKER_ADMIN_PORT"].endswith("%i")
    drop_in = tmp_path / SLOT.parent.name
    drop_in.mkdir()
    (drop_in / SLOT.name).write_text(SLOT.read_text())
    path = tmp_path / "invite-worker@.service"
    path.write_text(UNIT.read_text().replace("/usr/bin/", f"{binaries()}/"))
    assert analyze("verify", path) == (0, "")
    (drop_in / SLOT.name).write_text(SLOT.read_text().replace("Environment", "Enviroment"))
    assert "Enviroment" in analyze("verify", path)[1]


def test_the_service_is_hardly_exposed():
    status, said = exposure(UNIT)
    assert status == 0, said


def test_a_service_without_restrictions_would_be_found_exposed(tmp_path):
    path = tmp_path / "bad.service"
    path.write_text("[Service]\nExecStart=/bin/true\n")
    assert exposure(path)[0] != 0


@pytest.fixture
def notifications(tmp_path):
    """The socket on which systemd listens to a service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(30)
        yield receiver


def test_the_worker_reports_ready_and_stopping_and_reads_its_credential(notifications, tmp_path):
    topics = ("invite-commands:1", "invite-replies:1", "invite-dead-letters:1")
    log = tmp_path / "broker.log"
    argv = [binaries() / "embedded-broker", *topics]
    broker = Process("embedded-broker", argv, log, read_stdout=True, keep_stdin=True)
    (tmp_path / "client-secret").write_text("from-a-credential\n")
    environment = {
        "NOTIFY_SOCKET": notifications.getsockname(),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
    }
    with Simulator(tmp_path / "graph", client_secret="from-a-credential") as graph:
        config = configuration(broker.line(10), graph.graph_url, graph.http_url)
        config["login"]["client_secret_credential"] = "client-secret"
        config["delivery"] = "at-least-once"
        worker = Worker(tmp_path / "worker", config, secret=None, env=environment)
        try:
            worker.start()
            assert b"READY=1" in notifications.recv(4096)
            wait_until(lambda: graph.state()["tokens_issued"], 10, "a token was given")
            worker.signal(15)
            assert b"STOPPING=1" in notifications.recv(4096)
            assert worker.wait(40) == 0
        finally:
            worker.kill()
            broker.kill()
