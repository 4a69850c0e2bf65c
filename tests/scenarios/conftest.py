"""The scenarios run against our server with a log, and against the C server, which shows that they
need nothing special.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.daemon import Daemon

from tests.wire.reference import need_c_server


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Daemon]:
    """Our server with a log."""
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
