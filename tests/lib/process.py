"""Child processes that never outlive us, whose readiness is seen and not waited for."""

import ctypes
import os
import pathlib
import queue
import signal
import socket
import subprocess
import threading
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class NotReady(Exception):
    """A process or a condition did not come in time."""


def die_with_parent():
    """Run between fork and exec: the kernel kills the child when its starter ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def wait_until(condition, seconds, what):
    """The first true value of `condition()`; NotReady, naming `what`, when none comes in time."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise NotReady(f"not within {seconds} s: {text}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def free_port():
    """A loopback port that the kernel says is free. Only for servers that cannot bind to port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listeners(pid):
    """The TCP ports on which this process listens, read from /proc."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    ports = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:  # It has just ended
            return set()
        for fields in (line.split() for line in lines):
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rsplit(":", 1)[1], 16))
    return ports


class Process:
    """One child, its output in a log file; on demand its stdout is read line by line instead."""

    def __init__(self, name, argv, log_path, env=None, read_stdout=False, keep_stdin=False):
        self.name = name
        self.log_path = pathlib.Path(log_path)
        self.lines = queue.Queue()
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.PIPE if keep_stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if read_stdout else log,
                stderr=log,
                env=env,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        if read_stdout:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line.decode("utf-8", "replace").rstrip("\n"))
        self.lines.put(None)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def line(self, seconds):
        """The next line of stdout."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            message = f"{self.name} printed nothing within {seconds} s\n{self.tail()}"
            raise NotReady(message) from None
        if line is None:
            raise NotReady(f"{self.name} ended (status {self.popen.wait()})\n{self.tail()}")
        return line

    def log(self):
        return self.log_path.read_text(errors="replace")

    def tail(self, lines=30):
        """The end of the log, for a message to people."""
        return "\n".join(f"    {line}" for line in self.log().splitlines()[-lines:])

    def wait_for(self, condition, seconds, what):
        """As wait_until, but gives up at once, with the log, when the process has ended."""

        def check():
            if not self.running():
                status = self.popen.returncode
                raise NotReady(f"{self.name} ended (status {status})\n{self.tail()}")
            return condition()

        return wait_until(check, seconds, lambda: f"{self.name}: {what}\n{self.tail()}")

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, seconds):
        """The exit status."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NotReady(f"{self.name} still runs after {seconds} s\n{self.tail()}") from None

    def stop(self, seconds=15):
        """SIGTERM, then SIGKILL when that was not enough. The exit status."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.popen.wait()
