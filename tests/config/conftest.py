"""The fixture of this directory's tests."""

import pytest

import program


@pytest.fixture
def file(tmp_path):
    return program.File(tmp_path)
