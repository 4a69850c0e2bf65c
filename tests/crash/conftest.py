from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashtest.daemon import Daemon


@pytest.fixture
def seed() -> int:
    """New each time; CRASHTEST_SEED repeats one. A Fault names it."""
    return int(os.environ.get("CRASHTEST_SEED") or random.SystemRandom().getrandbits(32))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """On an empty directory, not started."""
    directory = tmp_path / "log"
    directory.mkdir()
    with Daemon(directory) as daemon:
        yield daemon
