"""Small logs to be damaged and replayed."""

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from tests.wal.logs import DIRECTORY, SYNC, opened, segment, write


def small_log(covered: bool = False, durability=SYNC) -> MemoryDisk:
    """One segment of three frames: LSN 1 and 2, 3, 4. The last one has the watermark 3. covered: an
    empty frame with the watermark 4 follows.
    """
    disk = MemoryDisk()
    log = opened(disk, durability, segment_bytes=4096)
    write(log, [b"one", b"two"], [b"three"], [b"four" * 20])
    if covered:
        log.write_watermark(at=9)
    return disk.copy()


def three_segments(durability=SYNC) -> MemoryDisk:
    disk = MemoryDisk()
    log = opened(disk, durability)
    for n in range(30):
        write(log, [bytes([n]) * 500])
    assert log.segment == 3
    return disk.copy()


def frames(disk: MemoryDisk) -> list[wal.Frame]:
    return list(wal.Replay(DIRECTORY, fs=disk))


def content(disk: MemoryDisk, number: int) -> bytearray:
    return disk.names[segment(number)].data


def assert_corrupt(disk, number, offset):
    with pytest.raises(wal.Corrupt) as caught:
        frames(disk)
    assert (caught.value.path, caught.value.offset) == (segment(number), offset)
    assert segment(number) in str(caught.value) and str(offset) in str(caught.value)
