"""Damaged and forged logs: read, searched, opened and served from, repaired.

Whatever the bytes: only the log's own errors, within the bounds, nothing changed by reading; a log
is opened and served from, or refused; after a repair it can be read to its end. And where there is
damage but no forgery: what is read was written, and under the LSN that it had; nothing of which a
whole frame says that it was durable is missing without a word.
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
from .logs import DIRECTORY, START, Files, a_log, disk_of, exercise, files_of, opened
from .mutate import files as damaged

T = TypeVar("T")
LOST = encode(Lost())
Records = dict[int, bytes]  # by LSN
THEIRS = (wal.Corrupt, wal.NewerVersion, Unreadable, BeyondRepair)
INPUTS = 12  # of each log
MEASURED = 0.3  # of them


def run(seed: int, count: Count) -> None:
    """Some inputs, decided by the seed. Raises whatever is wrong."""
    rng = Random(f"segments {seed}")
    whole = a_log(rng)
    written = Written(whole)
    for _ in range(INPUTS):
        forging = rng.random() < 0.6
        files = forged(rng, whole) if forging else whole
        if not forging or rng.random() < 0.3:
            files = damaged(rng, files)
        one(files, None if forging else written, count, measured=rng.random() < MEASURED)


def one(files: Files, written: Written | None, count: Count, measured: bool = True) -> None:
    """One input. `written`: what was in it before it was damaged. measured: within the bounds,
    which takes five times as long.
    """
    nbytes = sum(map(len, files.values()))
    bounded = bounds.bounded if measured else bounds.unbounded
    count.input(nbytes)
    read = bounded(nbytes, lambda: tried(lambda: _read(files)))
    if written is not None and read is not None:
        written.check(files, read)
    bounded(nbytes, lambda: _search(files))
    if bounded(4 * nbytes, lambda: tried(lambda: _serve(files, forged=written is None))):
        count.add("opened")
    mended = bounded(4 * nbytes, lambda: tried(lambda: _repair(files)))
    if mended is not None:
        _check_repaired(mended)
        count.add("repaired")


class Written:
    """A whole log: its records, and its frames with what they claim."""

    def __init__(self, files: Files) -> None:
        self.records = _read(files)
        self.frames: list[
            tuple[str, int, bytes, int]
        ] = []  # name of the file, offset, bytes, claim
        for frame in wal.Replay(DIRECTORY, fs=disk_of(files)):
            name = segment_path("", frame.segment)
            self.frames.append(
                (name, frame.offset, files[name][frame.offset : frame.end], frame.durable_lsn)
            )

    def check(self, files: Files, read: Records) -> None:
        """What was read of it after damage."""
        assert all(self.records.get(lsn) == record for lsn, record in read.items()), (
            "what was read is not what was written"
        )
        claims = [
            claim
            for name, offset, data, claim in self.frames
            if files.get(name, b"")[offset : offset + len(data)] == data
        ]
        first = min(read, default=min(self.records, default=1))  # segments go from the oldest end
        missing = [
            lsn
            for lsn in self.records
            if first <= lsn <= max(claims, default=0) and lsn not in read
        ]
        assert not missing, (
            f"LSN {missing} were durable, as a whole frame says, and are missing without a word"
        )


def tried(work: Callable[[], T]) -> T | None:
    """None if it was refused."""
    try:
        return work()
    except THEIRS as error:
        assert str(error)
        return None


def _read(files: Files) -> Records:
    disk = disk_of(files)
    replay = wal.Replay(DIRECTORY, fs=disk)
    records = {
        lsn: record for frame in replay for lsn, record in enumerate(frame.records, frame.first_lsn)
    }
    assert replay.exhausted and files_of(disk) == dict(sorted(files.items())), (
        "reading has changed something"
    )
    return records


def _search(files: Files) -> None:
    """As tools do it: on behind damage."""
    for data in files.values():
        for salt in {salt_of(int.from_bytes(data[at + 40 : at + 48], "little")) for at in (0, 512)}:
            end = 0
            for found in scan(data, salt, 1):
                place = (
                    (found.offset, found.end)
                    if isinstance(found, wal.Frame)
                    else (found.offset, found.offset + found.length)
                )
                assert end <= place[0] <= place[1] <= len(data), "two things in one place"
                end = place[1]


def _serve(files: Files, forged: bool) -> bool:
    """A server's life on it, and what a restart finds then. (Of a forged log only the ids: there
    may be two bodies of one job.)
    """
    disk = disk_of(files)
    queue, binlog = opened(disk)
    now = exercise(queue, binlog, START)
    left = _known(queue)
    disk.after_kill()
    again, _ = opened(disk, now)
    found = _known(again)
    assert found.keys() == left.keys() and (forged or found == left), (
        "a restart does not find the same jobs"
    )
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
    mend(plan(DIRECTORY, lost=LOST, accept=_says_something, fs=disk), fs=disk)
    return disk


def _check_repaired(disk: MemoryDisk) -> None:
    """It can be read to its end, and a second repair finds nothing."""
    try:
        for frame in wal.Replay(DIRECTORY, fs=disk):
            assert all(map(_says_something, frame.records))
    except (wal.Corrupt, wal.NewerVersion) as error:
        raise AssertionError(f"repaired, and yet {error}") from error
    assert not plan(DIRECTORY, lost=LOST, accept=_says_something, fs=disk).losses, (
        "a second repair finds more"
    )


def _says_something(record: bytes) -> bool:
    try:
        decode(record)
    except ValueError:
        return False
    return True
