"""Logs with larger segments, for tests of headroom."""

import beanstalkd_wal as wal
from beanstalkd_wal.format import FRAME_BYTES, LENGTH_BYTES
from simulation.disk import MemoryDisk

from tests.wal import logs
from tests.wal.logs import SYNC, write

SEGMENT = 32768
STEP = SEGMENT // 16


def opened(disk: MemoryDisk, durability: wal.Durability = SYNC, **options) -> wal.Log:
    return logs.opened(disk, durability, SEGMENT, **options)


def physical(disk: MemoryDisk) -> int:
    return sum(len(file.data) for path, file in disk.names.items() if "/torn." not in path)


def fill_active(log: wal.Log) -> None:
    write(log, [b"x" * (log.left - FRAME_BYTES - LENGTH_BYTES)])
    assert log.left == 0


def filled(disk: MemoryDisk, durability=SYNC, segments: int = 4) -> wal.Log:
    log = opened(disk, durability)
    n = 0
    while log.segment < segments:
        write(log, [b"%04d" % n * 800])
        n += 1
    return log
