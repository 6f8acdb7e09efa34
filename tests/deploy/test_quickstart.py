"""The quickstart shows five accepted replies, and leaves nothing behind however it ends."""

import json
import os
import pathlib
import queue
import signal
import subprocess
import threading
import uuid

import pytest

from broker import Broker
from process import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "deploy" / "quickstart"
MARK = "QUICKSTART_TEST"


def marked(mark):
    """The processes that have inherited this mark from us."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environment.split(b"\0") and state != "Z":
            found.append(f"{entry.name} {(entry / 'comm').read_text().strip()}")
    return found


class Run:
    """A quickstart whose stderr is read line by line."""

    def __init__(self, directory, *arguments):
        self.mark = uuid.uuid4().hex
        self.temporary = directory / "tmp"
        self.temporary.mkdir(exist_ok=True)
        environment = {**os.environ, MARK: self.mark, "TMPDIR": str(self.temporary)}
        environment.pop("WORKER_BIN", None)
        self.popen = subprocess.Popen(
            [QUICKSTART, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            start_new_session=True,
        )
        self.lines = queue.Queue()
        self.said = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stderr:
            self.said.append(line)
            self.lines.put(line)
        self.lines.put(None)

    def wait_for_line(self, beginning, seconds=300):
        while True:
            line = self.lines.get(timeout=seconds)
            assert line is not None, "".join(self.said)
            if line.startswith(beginning):
                return

    def finish(self, seconds=300):
        """Exit status and standard output; nothing of it runs any more."""
        output = self.popen.stdout.read()
        status = self.popen.wait(seconds)
        wait_until(lambda: not marked(self.mark), 10, lambda: f"still there: {marked(self.mark)}")
        return status, output

    def left_files(self):
        return list(self.temporary.iterdir())


def assert_five_accepted(status, output, said):
    assert status == 0, said
    replies = [json.loads(line) for line in output.splitlines()]
    assert len(replies) == 5
    for reply in replies:
        assert reply["status"] == "accepted"
        assert all(item["id"] and item["location"] for item in reply["operations"])
    assert len(replies[1]["operations"]) == 1 and len(replies[1]["participants"]) == 2


def test_five_replies_on_stdout_and_the_story_on_stderr(tmp_path):
    run = Run(tmp_path)
    status, output = run.finish()
    said = "".join(run.said)
    assert_five_accepted(status, output, said)
    assert "at-least-once" in said
    assert "\033" not in said
    assert run.left_files() == []


def test_all_five_for_one_call(tmp_path):
    run = Run(tmp_path, "--call", "my-call")
    status, output = run.finish()
    assert status == 0, "".join(run.said)
    replies = [json.loads(line) for line in output.splitlines()]
    assert {reply["callId"] for reply in replies} == {"my-call"}


def test_a_real_broker_can_be_used_twice(tmp_path):
    broker = Broker(tmp_path / "kafka")
    try:
        broker.start()
        for _ in range(2):
            run = Run(tmp_path, "--kafka", broker.bootstrap)
            status, output = run.finish()
            assert_five_accepted(status, output, "".join(run.said))
    finally:
        broker.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
@pytest.mark.parametrize("moment", ["building", "broker:", "graph:", "worker:"])
def test_an_interrupt_leaves_nothing_running(tmp_path, moment, number):
    run = Run(tmp_path)
    run.wait_for_line(moment)
    run.popen.send_signal(number)
    status, _ = run.finish(60)
    assert status == 128 + number
    assert run.left_files() == []


def test_a_kill_leaves_nothing_running(tmp_path):
    run = Run(tmp_path)
    run.wait_for_line("worker:")
    run.popen.kill()
    run.finish(60)


def test_a_broker_that_is_not_there_is_named(tmp_path):
    run = Run(tmp_path, "--kafka", "127.0.0.1:1")
    status, output = run.finish()
    assert status != 0 and output == ""
    assert "127.0.0.1:1" in "".join(run.said)


def test_a_graph_that_refuses_gives_a_failure_and_all_replies(tmp_path):
    cases = tmp_path / "cases"
    cases.mkdir()
    command = {"callId": "a call", "participants": []}
    (cases / "bad.json").write_text(json.dumps(command))
    run = Run(tmp_path, "--cases", str(cases))
    status, output = run.finish()
    assert status == 1
    assert json.loads(output)["status"] == "rejected"


def test_help_needs_nothing():
    done = subprocess.run([QUICKSTART, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--kafka" in done.stdout


@pytest.mark.parametrize("arguments", [["--login", "x"], ["--graph", "x"], ["--nonsense"]])
def test_wrong_arguments_are_refused(tmp_path, arguments):
    run = Run(tmp_path, *arguments)
    status, output = run.finish()
    assert status == 64 and output == ""
