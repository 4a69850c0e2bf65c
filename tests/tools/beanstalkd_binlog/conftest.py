from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from beanstalkd_binlog.cli import cli
from click.testing import CliRunner, Result
from testkit.daemon import Daemon

from tests.tools.beanstalkd_binlog import logs

EMPTY_STATS = (
    "0 jobs, 0 bytes of bodies\n"
    "log: 0 segments, 0 bytes, of which 0 bytes live\n"
    "0 preallocated segments, 0 bytes\n"
)
Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC in all tests."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """All golden directories. Tests only read them."""
    top = tmp_path_factory.mktemp("golden")
    return {name: make(top / name) for name, make in logs.MAKERS.items()}


@pytest.fixture
def run() -> Cli:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def lines(run: Cli) -> Callable[..., list[dict[str, object]]]:
    """Runs a command with --json. Returns its lines."""

    def lines(*arguments: object) -> list[dict[str, object]]:
        return [json.loads(line) for line in run(*arguments, "--json").stdout.splitlines()]

    return lines


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A server that is not started yet, with a log in tmp_path/log, in segments of 64 KiB."""
    (tmp_path / "log").mkdir()
    with Daemon(["-s", "65536"], f"unix:{tmp_path}/socket", directory=tmp_path / "log") as daemon:
        yield daemon
