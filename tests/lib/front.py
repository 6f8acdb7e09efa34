"""nghttpx before a server that speaks plain HTTP/1.1: HTTP/2 over TLS for its clients."""

import pathlib
import re

from process import Process, free_port, listeners
from simulator import make_certificates

CONFIGURATION = """frontend=127.0.0.1,{port}
backend=127.0.0.1,{backend}
private-key-file={key}
certificate-file={cert}
workers=1
errorlog-file=/dev/stderr
"""
ACCESS_LOG = """accesslog-file={log}
accesslog-format="$request" $status
"""


class Front:
    """A running nghttpx at `port`, trusted by who trusts `ca`. Without `keeps_log` it is faster."""

    def __init__(self, directory, backend_port, keeps_log=True):
        directory = pathlib.Path(directory)
        self.ca, cert, key = make_certificates(directory)
        self.port = free_port()
        self.log = directory / "access.log"
        config = directory / "nghttpx.conf"
        config.write_text(
            (CONFIGURATION + (ACCESS_LOG if keeps_log else "")).format(
                port=self.port, backend=backend_port, key=key, cert=cert, log=self.log
            )
        )
        self.process = Process("nghttpx", ["nghttpx", f"--conf={config}"], directory / "front.log")
        try:
            self.process.wait_for(lambda: self.port in self.ports(), 20, "listens")
        except BaseException:
            self.stop()
            raise

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def pids(self):
        """The process and its children: it forks the one that serves."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return [pid, *map(int, children.read().split())]

    def ports(self):
        return {port for pid in self.pids() for port in listeners(pid)}

    def requests(self):
        """All that were answered so far: method, path, version, status."""
        whole, _, _ = self.log.read_text(encoding="utf-8").rpartition("\n")
        lines = whole.splitlines()
        return [re.fullmatch(r'"(\S+) (\S+) (\S+)" (\d+)', line).groups() for line in lines]

    def stop(self):
        self.process.stop()
