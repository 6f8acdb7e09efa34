"""The worker as a child: configured from a dict, started, asked, stopped or killed."""

import os
import pathlib
import re
import subprocess
import urllib.error
import urllib.request

import yaml

from process import Process, listeners

SECRET = "INVITE_WORKER_LOGIN_CLIENT_SECRET"


def binaries():
    """Where the build has put its executables; ctest sets WORKER_BIN."""
    default = pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "bin"
    return pathlib.Path(os.environ.get("WORKER_BIN", default))


def merged(base, extra):
    """`base` with the sections of `extra` laid over it; a value of None removes an option."""
    result = dict(base)
    for section, options in (extra or {}).items():
        if isinstance(options, dict):
            options = {**result.get(section, {}), **options}
        result[section] = options
    return {section: present(options) for section, options in result.items()}


def present(options):
    """A section without the options that are None; `delivery` is a word, not a section."""
    if not isinstance(options, dict):
        return options
    return {name: value for name, value in options.items() if value is not None}


def configuration(bootstrap, graph_url, login_url, extra=None):
    """A worker of the tests: only what has no good default, and an admin port from the kernel."""
    return merged(
        {
            "kafka": {"bootstrap.servers": bootstrap},
            "graph": {"url": graph_url},
            "login": {"url": login_url, "tenant_id": "contoso.example", "client_id": "worker"},
            "admin": {"port": 0},
        },
        extra,
    )


class Worker:
    """One worker process at a time; start() again continues with the same configuration."""

    def __init__(self, directory, config, secret="not-a-secret", env=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.config_path = self.directory / "worker.yaml"
        self.log_path = self.directory / "worker.log"
        self.env = {**os.environ, **({SECRET: secret} if secret else {}), **(env or {})}
        self.process = None
        self.admin_port = None
        self.configure(config)

    def configure(self, config):
        """Its slot is named like its directory, unless the configuration says otherwise."""
        config = merged({"consumer": {"instance_id": self.directory.name}}, config)
        self.config_path.write_text(yaml.safe_dump(config, sort_keys=False))

    def command(self, verb="run"):
        return [binaries() / "invite-worker", verb, "-c", self.config_path]

    def check(self):
        """`invite-worker check`: the finished process with its output."""
        return subprocess.run(
            self.command("check"), env=self.env, capture_output=True, text=True, timeout=30,
            check=False,
        )

    def start(self, seconds=30, ready=True):
        """Run it; back when it is ready for work (or only listens, without `ready`)."""
        self.process = Process("invite-worker", self.command(), self.log_path, env=self.env)
        ports = self.process.wait_for(
            lambda: listeners(self.process.pid), seconds, "its admin server listens"
        )
        (self.admin_port,) = ports
        if ready:
            self.process.wait_for(self.ready, seconds, "is ready")
        return self

    def get(self, path):
        """Status and text of a page of the admin server; status 0 when nobody answers."""
        url = f"http://127.0.0.1:{self.admin_port}{path}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def ready(self):
        return self.get("/readyz")[0] == 200

    def metrics(self):
        """Every sample of /metrics: its value by its name, labels included as they are written."""
        status, page = self.get("/metrics")
        assert status == 200, page
        samples = re.findall(r"^([a-zA-Z_:][^\s{]*(?:\{.*\})?) (\S+)", page, re.M)
        return {name: float(value) for name, value in samples}

    def log(self):
        return self.log_path.read_text(errors="replace")

    def signal(self, number):
        self.process.signal(number)

    def wait(self, seconds=60):
        return self.process.wait(seconds)

    def stop(self, seconds=60):
        """SIGTERM and a drain; the exit status."""
        return self.process.stop(seconds) if self.process else None

    def kill(self):
        return self.process.kill() if self.process else None
