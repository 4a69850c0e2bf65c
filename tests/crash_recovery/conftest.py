from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killtest.small_disk import NotPermitted, SmallDisk
from testkit.daemon import INSTALLED, Daemon


@pytest.fixture
def seed() -> int:
    """CRASH_SEED, otherwise a fixed seed. A Fault names it."""
    return int(os.environ.get("CRASH_SEED") or 1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    directory.mkdir()
    return directory


@pytest.fixture
def daemon(directory: Path) -> Iterator[Daemon]:
    """The server on an empty directory, not started."""
    with Daemon(directory=directory, program=INSTALLED) as daemon:
        yield daemon


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], SmallDisk]]:
    """Mounts a disk of this size."""
    disks = []

    def make(nbytes: int) -> SmallDisk:
        mount_point = tmp_path / f"disk{len(disks)}"
        mount_point.mkdir()
        try:
            disks.append(SmallDisk(mount_point, nbytes))
        except NotPermitted as reason:
            if os.environ.get("CI"):
                pytest.fail(f"cannot mount a small disk: {reason}")
            pytest.skip(f"cannot mount a small disk: {reason}")
        return disks[-1]

    yield make
    for disk in disks:
        disk.close()
