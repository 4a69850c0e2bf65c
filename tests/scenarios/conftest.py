"""Users' scenarios run against the durable daemon and, to be sure that they ask nothing special of
it, against the C server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.daemon import Daemon

from tests.wire.reference import need_c_server


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Daemon]:
    """Our daemon with its jobs on disk."""
    log = tmp_path / "log"
    log.mkdir()
    daemon = Daemon(directory=log)
    try:
        yield daemon.start()
    finally:
        daemon.close()


@pytest.fixture(params=["ours", "c"])
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    if request.param == "ours":
        yield request.getfixturevalue("durable")
        return
    daemon = Daemon(program=(need_c_server(),))
    try:
        yield daemon.start()
    finally:
        daemon.close()
