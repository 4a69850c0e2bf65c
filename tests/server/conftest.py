"""Fixtures of the tests of listening sockets."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a socket file. Relative, because pytest's own folders may be too long for a socket."""
    monkeypatch.chdir(tmp_path)
    return "beanstalkd.sock"
