"""Start, steer and question the graph-simulator from a test. See tests/simulator/README.md."""

import contextlib
import http.client
import json
import os
import pathlib
import select
import signal
import subprocess
import urllib.parse

from process import die_with_parent, wait_until

READY_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0


class SimulatorError(Exception):
    """The simulator refused something, or did not start or stop as it should."""


def find_executable():
    """The simulator to test: that of WORKER_BIN, else the newest that was built in build/."""
    if "WORKER_BIN" in os.environ:
        return os.path.join(os.environ["WORKER_BIN"], "graph-simulator")
    root = pathlib.Path(__file__).resolve().parents[2]
    built = sorted(root.glob("build/*/bin/graph-simulator"), key=lambda path: path.stat().st_mtime)
    if not built:
        raise SimulatorError(
            "no graph-simulator found: build it, or name its directory in WORKER_BIN"
        )
    return str(built[-1])


def make_certificates(directory):
    """Make a CA and a server certificate for loopback. Returns the paths: ca, cert, key."""
    directory = pathlib.Path(directory)
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    cert, key, request = (
        directory / "server.pem",
        directory / "server.key",
        directory / "server.csr",
    )
    extensions = directory / "server.ext"
    extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(
        "req", "-x509", *curve, "-keyout", ca_key, "-out", ca, "-days", "30", "-subj", "/CN=Test CA"
    )
    _openssl("req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=localhost")
    _openssl(
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        ca,
        "-CAkey",
        ca_key,
        "-CAcreateserial",
        "-days",
        "30",
        "-extfile",
        extensions,
        "-out",
        cert,
    )
    return str(ca), str(cert), str(key)


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SimulatorError(f"openssl {args[0]}: {done.stderr.strip()}")


class Simulator:
    """A running graph-simulator with its journal in 'directory'.

    Options are those of the command line: Simulator(tmp, latency=50, token_lifetime=9). Rules are
    dictionaries, see the README. Use it in a with statement, or call stop(). Without a journal it
    is faster, and its state() is all that it tells.
    """

    def __init__(
        self, directory, rules=None, https=False, executable=None, http_port=0, journal=True,
        **options,
    ):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.journal_path = self.directory / "graph-journal.jsonl"
        self.ca = None
        self.exit_code = None
        command = [
            executable or find_executable(),
            "--http",
            str(http_port),
        ]
        if journal:
            command += ["--journal", str(self.journal_path)]
        if https:
            self.ca, cert, key = make_certificates(self.directory)
            command += ["--https", "0", "--cert", cert, "--key", key]
        if rules is not None:
            path = self.directory / "rules.json"
            path.write_text(json.dumps(rules))
            command += ["--rules", str(path)]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        self.stderr_path = self.directory / "graph-simulator.log"
        with open(self.stderr_path, "wb") as stderr:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, preexec_fn=die_with_parent
            )
        try:
            ready = self._wait_ready()
        except BaseException:
            self.kill()
            raise
        self.http_port = ready["http"]
        self.https_port = ready["https"]

    def _wait_ready(self):
        readable, _, _ = select.select([self.process.stdout], [], [], READY_TIMEOUT)
        line = self.process.stdout.readline() if readable else b""
        if not line:
            raise SimulatorError(
                f"graph-simulator did not start: {self.stderr_path.read_text().strip()}"
            )
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def http_url(self):
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def https_url(self):
        return f"https://localhost:{self.https_port}"

    @property
    def graph_url(self):
        """The service root of Graph over HTTP. The login service is at http_url."""
        return self.http_url + "/v1.0"

    def stop(self):
        """End it by SIGTERM, which writes the rest of the journal. Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.exit_code = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise SimulatorError("graph-simulator did not end on SIGTERM") from None
        self.process.stdout.close()
        return self.exit_code

    def kill(self):
        """End it at once."""
        self.process.kill()
        self.exit_code = self.process.wait()
        self.process.stdout.close()

    def control(self, method, path, body=None):
        """A request to the control API. Returns its JSON; a refusal is an error that says why."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        with contextlib.closing(connection):
            connection.request(
                method, "/control/" + path, None if body is None else json.dumps(body)
            )
            answer = connection.getresponse()
            value = json.loads(answer.read())
        if answer.status != 200:
            raise SimulatorError(f"{method} /control/{path}: {value['problem']}")
        return value

    def set_rules(self, *rules):
        """Replace all rules; none: clear them."""
        return self.control("PUT", "rules", list(rules))["rules"]

    def add_rules(self, *rules):
        """Add rules behind those that are there."""
        return self.control("POST", "rules", list(rules))["rules"]

    def rules(self):
        """The rules, with the figures 'fitting' and 'applied'."""
        return self.control("GET", "rules")["rules"]

    def set(self, **settings):
        """Change settings, for example set(latency_ms=20). Returns all of them."""
        return self.control("PATCH", "settings", settings)

    def state(self):
        """Figures: requests, invites, effects, in_flight, connections and so on."""
        return self.control("GET", "state")

    def revoke_tokens(self):
        """No token given out so far is good any more. Returns how many were."""
        return self.control("DELETE", "tokens")["revoked"]

    def expect_credentials(self, **credentials):
        """What the login service takes from now on: client_secret, federated_token, thumbprint."""
        self.control("PATCH", "credentials", credentials)

    def fetches(self):
        """The journal's lines of the token endpoints, in the order in which the requests came."""
        lines = [line for line in self.journal() if line["route"] == "token"]
        return sorted(lines, key=lambda line: line["seq"])

    def forget_calls(self):
        """Forget all operations, and so the rosters."""
        return self.control("DELETE", "calls")

    def read_journal(self, start=0):
        """The lines in the file from the byte `start` on, and where the next one will begin.

        The simulator goes on writing: a last line without its end came after the last flush.
        """
        running = self.process.poll() is None
        with open(self.journal_path, "rb") as file:
            file.seek(start)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        assert running or whole == data, f"the journal ends within a line: {data[len(whole):]}"
        lines = whole.decode("utf-8", "replace").split("\n")
        return [json.loads(line) for line in lines if line], start + len(whole)

    def journal(self, control=False):
        """All lines so far, as dictionaries; those of the control API only on demand."""
        if self.process.poll() is None:
            self.control("POST", "flush")
        lines, _ = self.read_journal()
        return [line for line in lines if control or line["route"] != "control"]

    def invites(self):
        """The journal's lines of the invite path, in the order in which the requests came."""
        lines = [line for line in self.journal() if line["route"] == "invite"]
        return sorted(lines, key=lambda line: line["seq"])

    def effects(self):
        """The journal's lines of invites that took effect."""
        return [line for line in self.invites() if line["effect"]]

    def wait(self, condition, timeout=30.0):
        """Wait until condition(state) is true of the figures of state(), and return them."""
        state = {}

        def reached():
            state.update(self.state())
            return condition(state)

        wait_until(reached, timeout, lambda: f"the simulator's figures are {state}")
        return state

    def wait_idle(self, timeout=30.0):
        """Wait until no request is in flight."""
        return self.wait(lambda state: state["in_flight"] == 0, timeout)

    def token(self, tenant="tenant", client_id="client", client_secret="secret"):
        """Get a token as a client would."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": "https://graph.microsoft.com/.default",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=30)
        with contextlib.closing(connection):
            connection.request(
                "POST",
                f"/{tenant}/oauth2/v2.0/token",
                urllib.parse.urlencode(form),
                {"Content-Type": "application/x-www-form-urlencoded"},
            )
            answer = connection.getresponse()
            value = json.loads(answer.read())
        if answer.status != 200:
            raise SimulatorError(f"no token: {value}")
        return value["access_token"]
