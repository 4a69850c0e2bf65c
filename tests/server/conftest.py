"""Fixtures of the tests of listening sockets."""

import pytest


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Relative, because pytest's own folders may be too long for a socket."""
    monkeypatch.chdir(tmp_path)
    return "beanstalkd.sock"
