"""The fixtures of this directory's tests."""

import pytest

import schemas
from probe import Probe


@pytest.fixture(scope="session", name="probe")
def start_probe():
    probe = Probe()
    yield probe
    probe.close()


@pytest.fixture(scope="session")
def command_schema():
    return schemas.validator("command.schema.json")


@pytest.fixture(scope="session")
def reply_schema():
    return schemas.validator("reply.schema.json")


@pytest.fixture(scope="session")
def outcome_schema():
    return schemas.validator("outcome.schema.json")
