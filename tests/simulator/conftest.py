"""What the simulator's own tests share: a simulator each, a plain client, and invites."""

import contextlib
import http.client
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from simulator import Simulator  # noqa: E402


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """Each request on a connection of its own, with a good token unless another is given."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.token = simulator.token()

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.simulator.http_port, timeout=20)
        all_headers = {"Authorization": "Bearer " + self.token, "Content-Type": "application/json"}
        all_headers.update(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        with contextlib.closing(connection):
            connection.request(
                method,
                path,
                body,
                {name: value for name, value in all_headers.items() if value is not None},
            )
            response = connection.getresponse()
            return Answer(response, response.read())

    def invite(self, call, *participants, context=None, headers=None):
        return self.request(
            "POST", invite_path(call), invite_body(*participants, context=context), headers
        )

    def get(self, call, what):
        return self.request("GET", f"/v1.0/communications/calls/{call}/{what}")


def invite_path(call):
    return f"/v1.0/communications/calls/{call}/participants/invite"


def invite_body(*participants, context=None):
    body = {"participants": list(participants)}
    if context is not None:
        body["clientContext"] = context
    return body


def person(identity, kind="user", **more):
    return {
        "@odata.type": "#microsoft.graph.invitationParticipantInfo",
        "identity": {
            "@odata.type": "#microsoft.graph.identitySet",
            kind: {"@odata.type": "#microsoft.graph.identity", "id": identity},
        },
        **more,
    }


@pytest.fixture
def simulator(tmp_path):
    with Simulator(tmp_path) as running:
        yield running
    assert running.exit_code == 0, running.stderr_path.read_text()


@pytest.fixture
def client(simulator):
    return Client(simulator)
