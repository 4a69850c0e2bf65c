"""The scenarios run against our server with a log, and against the C server, which shows that they
need nothing special.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from judge.cleanup import clear
from testkit.daemon import Daemon

from tests.wire.reference import need_c_server


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Daemon]:
    """Our server with a log."""
    with Daemon(directory=made(tmp_path / "log")) as daemon:
        yield daemon.start()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The same, for all tests that leave it as it is."""
    with Daemon(directory=made(tmp_path_factory.mktemp("served") / "log")) as daemon:
        yield daemon.start()


@pytest.fixture
def c_server() -> Iterator[Daemon]:
    with Daemon(program=(need_c_server(),)) as daemon:
        yield daemon.start()


@pytest.fixture(params=["ours", "c"])
def daemon(request: pytest.FixtureRequest) -> Daemon:
    """Without any job. The ids and the counters of our server go on from test to test."""
    if request.param == "c":
        return request.getfixturevalue("c_server")
    clear(daemon := request.getfixturevalue("served"))
    return daemon


@pytest.fixture(params=["durable", "c_server"], ids=["ours", "c"])
def fresh(request: pytest.FixtureRequest) -> Daemon:
    """A server that has just been started."""
    return request.getfixturevalue(request.param)


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory
