from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from killtest.ext4_disk import Ext4Disk
from killtest.small_disk import NotPermitted, SmallDisk
from testkit.daemon import INSTALLED, Daemon

Disk = TypeVar("Disk", bound=SmallDisk)


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
    yield from mounting(SmallDisk, tmp_path)


@pytest.fixture
def ext4_disk(tmp_path: Path) -> Iterator[Callable[[int], Ext4Disk]]:
    """Mounts an ext4 file system of this size. Needs root."""
    yield from mounting(Ext4Disk, tmp_path)


def mounting(kind: Callable[[Path, int], Disk], tmp_path: Path) -> Iterator[Callable[[int], Disk]]:
    disks: list[Disk] = []

    def make(nbytes: int) -> Disk:
        mount_point = tmp_path / f"disk{len(disks)}"
        mount_point.mkdir()
        try:
            disks.append(kind(mount_point, nbytes))
        except NotPermitted as reason:
            if os.environ.get("CI"):
                pytest.fail(f"cannot mount a disk: {reason}")
            pytest.skip(f"cannot mount a disk: {reason}")
        return disks[-1]

    yield make
    for disk in disks:
        disk.close()
