"""Damaged and forged logs: replay, scan, open and serve, repair.

Only the errors of the log may be raised, within the bounds, and reading changes nothing. A log is
opened and served, or refused. After a repair the whole log can be read.

Damage without forgery has further checks. Every record that is read was written with this LSN. A
record that a complete frame calls durable must not be missing without an error.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

import beanstalkd_wal as wal
from beanstalkd_wal.format import salt_of
from beanstalkd_wal.names import segment_path
from beanstalkd_wal.reader import scan
from beanstalkd_wal.repair import BeyondRepair, mend, plan
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.opening import Unreadable
from beanstalkd_py.binlog.records import Lost, decode, encode
from beanstalkd_py.queue.queue import Queue

from . import bounds
from .count import Count
from .forge import forged
from .logs import DIRECTORY, START, Files, disk_of, exercise, files_of, make_log, opened
from .mutate import files as damaged

T = TypeVar("T")
LOST = encode(Lost())
Records = dict[int, bytes]  # LSN -> record
LOG_ERRORS = (wal.Corrupt, wal.NewerVersion, Unreadable, BeyondRepair)
INPUTS = 12  # of each log
MEASURED = 0.3  # share of inputs that are checked against the bounds


def run(seed: int, count: Count) -> None:
    """Generates and checks some inputs from the seed."""
    rng = Random(f"segments {seed}")
    whole = make_log(rng)
    written = Written(whole)
    for _ in range(INPUTS):
        forging = rng.random() < 0.6
        files = forged(rng, whole) if forging else whole
        if not forging or rng.random() < 0.3:
            files = damaged(rng, files)
        check(files, None if forging else written, count, measured=rng.random() < MEASURED)


def check(files: Files, written: Written | None, count: Count, measured: bool = True) -> None:
    """One input. written: what it contained before the damage; None for a forged log.

    measured: check the bounds, which takes five times as long.
    """
    nbytes = sum(map(len, files.values()))
    bounded = bounds.bounded if measured else bounds.unbounded
    count.input(nbytes)
    read = bounded(nbytes, lambda: unless_refused(lambda: _read(files)))
    if written is not None and read is not None:
        written.check(files, read)
    bounded(nbytes, lambda: _search(files))
    if bounded(4 * nbytes, lambda: unless_refused(lambda: _serve(files, forged=written is None))):
        count.add("opened")
    mended = bounded(4 * nbytes, lambda: unless_refused(lambda: _repair(files)))
    if mended is not None:
        _check_repaired(mended)
        count.add("repaired")


class Written:
    """An undamaged log: its records, and its frames with their watermarks."""

    def __init__(self, files: Files) -> None:
        self.records = _read(files)
        self.frames: list[
            tuple[str, int, bytes, int]
        ] = []  # file name, offset, bytes, durable watermark
        for frame in wal.Replay(DIRECTORY, fs=disk_of(files)):
            name = segment_path("", frame.segment)
            self.frames.append(
                (name, frame.offset, files[name][frame.offset : frame.end], frame.durable_lsn)
            )

    def check(self, files: Files, read: Records) -> None:
        """Checks the records that were read after damage."""
        assert all(self.records.get(lsn) == record for lsn, record in read.items()), (
            "a record that was read was not written"
        )
        watermarks = [
            watermark
            for name, offset, data, watermark in self.frames
            if files.get(name, b"")[offset : offset + len(data)] == data
        ]
        first = min(
            read, default=min(self.records, default=1)
        )  # segments are retired from the oldest end
        missing = [
            lsn
            for lsn in self.records
            if first <= lsn <= max(watermarks, default=0) and lsn not in read
        ]
        assert not missing, (
            f"LSN {missing} were durable according to a complete frame, and are missing silently"
        )


def unless_refused(work: Callable[[], T]) -> T | None:
    """The result of `work`, or None if the log was refused."""
    try:
        return work()
    except LOG_ERRORS as error:
        assert str(error)
        return None


def _read(files: Files) -> Records:
    disk = disk_of(files)
    replay = wal.Replay(DIRECTORY, fs=disk)
    records = {
        lsn: record for frame in replay for lsn, record in enumerate(frame.records, frame.first_lsn)
    }
    assert replay.exhausted and files_of(disk) == dict(sorted(files.items())), (
        "reading changed the directory"
    )
    return records


def _search(files: Files) -> None:
    """Scans past damage, as the tools do."""
    for data in files.values():
        for salt in {salt_of(int.from_bytes(data[at + 40 : at + 48], "little")) for at in (0, 512)}:
            end = 0
            for found in scan(data, salt, 1):
                place = (
                    (found.offset, found.end)
                    if isinstance(found, wal.Frame)
                    else (found.offset, found.offset + found.length)
                )
                assert end <= place[0] <= place[1] <= len(data), "two results overlap"
                end = place[1]


def _serve(files: Files, forged: bool) -> bool:
    """Serves from the log, then restarts.

    For a forged log only the ids are compared, because one job may have two bodies.
    """
    disk = disk_of(files)
    queue, binlog = opened(disk)
    now = exercise(queue, binlog, START)
    left = _known(queue)
    disk.after_kill()
    again, _ = opened(disk, now)
    found = _known(again)
    assert found.keys() == left.keys() and (forged or found == left), "a restart finds other jobs"
    return True


def _known(queue: Queue) -> dict[int, object]:
    return {
        job.id: (
            job.tube.name,
            job.pri,
            job.delay,
            job.ttr,
            job.body,
            job.releases,
            job.buries,
            job.kicks,
        )
        for job in queue.jobs.values()
    }


def _repair(files: Files) -> MemoryDisk:
    disk = disk_of(files)
    mend(plan(DIRECTORY, lost=LOST, accept=_is_valid, fs=disk), fs=disk)
    return disk


def _check_repaired(disk: MemoryDisk) -> None:
    """The whole log can be read, and a second repair finds nothing."""
    try:
        for frame in wal.Replay(DIRECTORY, fs=disk):
            assert all(map(_is_valid, frame.records))
    except (wal.Corrupt, wal.NewerVersion) as error:
        raise AssertionError(f"after the repair: {error}") from error
    assert not plan(DIRECTORY, lost=LOST, accept=_is_valid, fs=disk).losses, (
        "a second repair finds more"
    )


def _is_valid(record: bytes) -> bool:
    try:
        decode(record)
    except ValueError:
        return False
    return True
