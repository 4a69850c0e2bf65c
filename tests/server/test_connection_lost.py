"""What is said of a connection that breaks."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest

from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.server.connection import Connection


def lost(number: int) -> list[str]:
    said: list[str] = []
    closed: list[bool] = []
    connection: Any = SimpleNamespace(
        context=SimpleNamespace(report=messages_only(said.append)),
        close=lambda: closed.append(True),
    )
    Connection.lost(connection, OSError(number, os.strerror(number)))
    assert closed == [True]
    return said


@pytest.mark.sources
@pytest.mark.parametrize(
    "name", ["ECONNRESET", "EPIPE", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"]
)
def test_lost_peer_is_not_reported(name: str) -> None:
    """A host with a thousand workers goes down: that is not a thousand lines."""
    assert lost(getattr(errno, name)) == []


@pytest.mark.sources
def test_other_errors_of_a_connection_are_reported() -> None:
    assert lost(errno.EIO) == ["connection: Input/output error"]
