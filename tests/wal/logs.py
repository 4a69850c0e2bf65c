"""Short cuts to logs on a disk in memory."""

from __future__ import annotations

from collections.abc import Iterable

import beanstalkd_wal as wal
from simulation.disk import MemoryDisk

DIRECTORY = "/log"
SEGMENT = 8192
SYNC = wal.Durability.SYNC
WINDOW = wal.Durability.WINDOW
NEVER = wal.Durability.NEVER


def replayed(disk: wal.FileSystem, directory: str = DIRECTORY) -> wal.Replay:
    replay = wal.Replay(directory, fs=disk)
    for _ in replay:
        pass
    return replay


def opened(
    disk: wal.FileSystem,
    durability: wal.Durability = SYNC,
    segment_bytes: int = SEGMENT,
    directory: str = DIRECTORY,
    **options,
) -> wal.Log:
    return wal.Log.open(
        replayed(disk, directory),
        segment_bytes=segment_bytes,
        durability=durability,
        threaded=False,
        **options,
    )


def records(disk: wal.FileSystem, directory: str = DIRECTORY) -> list[bytes]:
    return [record for frame in wal.Replay(directory, fs=disk) for record in frame.records]


def write(log: wal.Log, *batches: Iterable[bytes]) -> None:
    """Each batch with a commit of its own."""
    for batch in batches:
        for record in batch:
            if not log.fits(len(record)):
                assert log.ensure_headroom(len(record))
            log.append(record)
        log.commit(at=log.lsn)


def segment(number: int) -> str:
    return f"{DIRECTORY}/{number:08}.wal"


def spares(disk: MemoryDisk) -> list[str]:
    return sorted(path for path in disk.names if "/spare." in path)


def torn_files(disk: MemoryDisk) -> dict[str, bytes]:
    return {
        path.rpartition("/")[2]: bytes(file.data)
        for path, file in disk.names.items()
        if "/torn." in path
    }
