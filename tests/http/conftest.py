"""Fixtures: servers with the HTTP side on a unix socket, and programs that change a constant."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import wait_until

# Runs the server after some statements.
CHANGED = (
    "import sys; sys.argv[0] = 'beanstalkd-py'; {}; from beanstalkd_py.__main__ import run; run()"
)


def changed(statements: str) -> tuple[str, ...]:
    """The program of a daemon: the server, after these statements."""
    return (sys.executable, "-c", CHANGED.format(statements))


@pytest.fixture
def web(tmp_path: Path) -> str:
    """The path of the HTTP side's socket."""
    return f"{tmp_path}/http"


@pytest.fixture
def serve(start: Start, web: str) -> Start:
    """Starts a server with the HTTP side."""

    def serve(*options: str, **how: Any) -> Daemon:
        return start("--http", f"unix:{web}", *options, **how)

    return serve


def http_port(daemon: Daemon) -> int:
    """Of a server that was told to choose it, from its ready line."""
    wait_until(daemon.ready_line, "the server is ready")
    return int(daemon.ready_line().partition("http on 127.0.0.1:")[2].partition(",")[0])


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool (Debian: apt-get install prometheus)")
    return found
