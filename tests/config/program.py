"""What the tests of the command line share: the executable, a right configuration, a run."""

import os
import pathlib
import subprocess
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("WORKER_BIN", ROOT / "build" / "release" / "bin"))

LOGIN = "login: {tenant_id: contoso.example, client_id: app, client_secret_file: %s}\n"
KAFKA = "kafka: {bootstrap.servers: 'localhost:1'}\n"
SLOT = {"INVITE_WORKER_CONSUMER_INSTANCE_ID": "worker-0"}

MISTAKES = 78
USAGE = 64


def run(*arguments, env=None):
    """The executable with nothing in its environment but `env`."""
    return subprocess.run(
        [BIN / "invite-worker", *arguments], env={"PATH": os.environ["PATH"], **(env or {})},
        capture_output=True, text=True, timeout=30, check=False,
    )


class File:
    """A configuration file in a directory of the test, with a secret beside it."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory / "worker.yaml"
        self.secret = directory / "secret"
        self.secret.write_text("hush\n")

    def check(self, text, env=None):
        """`check` of exactly this text (or bytes), for a worker that has a slot."""
        if isinstance(text, bytes):
            self.path.write_bytes(text)
        else:
            self.path.write_text(textwrap.dedent(text))
        return run("check", "-c", self.path, env={**SLOT, **(env or {})})

    def complete(self, text, env=None):
        """`check` of a file that is right, with these lines in front."""
        return self.check(textwrap.dedent(text) + LOGIN % self.secret + KAFKA, env=env)

    def problems(self, result):
        """What was printed about the file, without its name."""
        return [line.removeprefix(f"{self.path}:") for line in result.stderr.splitlines()]
