"""Two servers on one directory: the lock file of the first one is removed or replaced, and a second
one starts.

A step is at most a tenth of a second: a writer checks its lock every ten steps, and before it
changes a file name. In the end both are killed, or the power fails if both sync each record.

May know: the log, its repair, the disk. Promises: a function of the seed. Raises Violation unless

- a second server starts only if the lock file is lost and the disk cannot lock directories;
- a writer that has checked its lost lock changes nothing any more;
- the log is intact, or a repair makes it so; then it has every answered record of one writer, and
  the files that were set aside have those of the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import beanstalkd_wal as wal
from beanstalkd_wal import repair
from beanstalkd_wal.format import salt_of
from beanstalkd_wal.reader import scan

from .disk import MemoryDisk
from .violation import Violation

DIRECTORY = "/log"
LOCK = f"{DIRECTORY}/lock"
SEGMENT_BYTES = 8192
CHECK_STEPS = 10
LOST = b"lost"
MODES = (wal.Durability.SYNC, wal.Durability.WINDOW, wal.Durability.NEVER)


class Writer:
    """One server. Raises wal.Locked if it must not start."""

    def __init__(self, name: bytes, disk: MemoryDisk, rng: Random, known: list[bytes]) -> None:
        self.name = name
        self.lock = wal.Lock(disk, LOCK)
        replay = wal.Replay(DIRECTORY, fs=disk)
        found = [record for frame in replay for record in frame.records]
        if found != known:
            raise Violation(f"{name!r} finds {_names(found)}, not {_names(known)}")
        self.log = wal.Log.open(
            replay, SEGMENT_BYTES, rng.choice(MODES), threaded=False, lock=self.lock
        )
        self.answered = found
        self.is_up = True
        self.next_check = CHECK_STEPS
        self._rng = rng

    def step(self, number: int) -> None:
        """Does something. A lost lock ends the writer."""
        try:
            if number >= self.next_check:
                self.next_check = number + CHECK_STEPS
                self.log.check_lock()
            appended = self._act(number)
            self.log.collect()  # raises SecondWriter if the append is not promised
            self.answered += appended
        except wal.SecondWriter:
            self.is_up = False

    def _act(self, number: int) -> list[bytes]:
        """Returns what it appended."""
        what = self._rng.randrange(8)
        if what == 0:
            self.log.preallocate(self._rng.choice((0, SEGMENT_BYTES, 4 * SEGMENT_BYTES)))
        elif what == 1:
            self.log.trim(self._rng.choice((0, SEGMENT_BYTES)))
        elif what == 2:
            self.log.write_watermark(at=number)
        else:
            return self._append(number)
        return []

    def _append(self, number: int) -> list[bytes]:
        record = b"%b %d" % (self.name, number) + bytes(self._rng.choice((0, 100, 3000)))
        self.log.ensure_headroom(len(record))
        self.log.append(record)
        self.log.commit(at=number)
        return [record]


class World:
    def __init__(self, seed: int, counts: Counter[str]) -> None:
        self.rng = Random(f"second writer {seed}")
        self.counts = counts
        self.disk = MemoryDisk(seed)
        self.disk.locks_directories = self.rng.random() < 0.3
        self.disk.renames_by_link = self.rng.random() < 0.3
        self.disk.has_two_writers = True
        self.first = Writer(b"first", self.disk, self.rng, [])
        self.second: Writer | None = None

    def run(self) -> None:
        steps = self.rng.choice((10, 40, 150))
        lost_at = self.rng.randrange(steps + steps // 4)
        for number in range(steps):
            if number == lost_at:
                self._lose_lock()
            if self.second is None and self.rng.random() < 0.2:
                self._start_second(number)
            for writer in (self.first, self.second):
                if writer is not None and writer.is_up:
                    self._step(writer, number)
        self._end()
        self._check()

    def _end(self) -> None:
        writers = [writer for writer in (self.first, self.second) if writer is not None]
        if all(writer.log.promise_durable for writer in writers) and self.rng.random() < 0.7:
            self.disk = self.disk.after_crash(self.rng)
            self.counts["second writers, power cut"] += len(writers) - 1
        else:
            self.disk.after_kill()

    def _lose_lock(self) -> None:
        self.disk.unlink(LOCK)
        if self.rng.random() < 0.5:
            self.disk.close(self.disk.create(LOCK))

    @property
    def _is_lost(self) -> bool:
        return not self.disk.is_open(self.first.lock._handle, LOCK)

    def _start_second(self, number: int) -> None:
        held = self.first.is_up and (self.disk.locks_directories or not self._is_lost)
        if not self.first.is_up:
            self.first.lock.close()
        try:
            self.second = Writer(b"second", self.disk, self.rng, list(self.first.answered))
        except wal.Locked:
            if not held:
                raise Violation("the second server does not start") from None
            self.counts["second starts refused"] += 1
            return
        if held:
            raise Violation("the second server starts although the first one holds the lock")
        self.second.next_check = number + CHECK_STEPS
        self.counts["second writers"] += self.first.is_up

    def _step(self, writer: Writer, number: int) -> None:
        names = dict(self.disk.names)
        is_lost = writer is self.first and self._is_lost
        before = writer.next_check
        writer.step(number)
        if is_lost and (writer.next_check != before or names != self.disk.names):
            if writer.is_up or names != self.disk.names:
                raise Violation(f"step {number}: a writer goes on without its lock")

    def _check(self) -> None:
        kept = self._recovered()
        aside = self._set_aside()
        writers = [writer for writer in (self.first, self.second) if writer is not None]
        if not any(set(writer.answered) <= kept for writer in writers):
            raise Violation(f"no branch is whole: {_names(kept)}")
        for writer in writers:
            missing = set(writer.answered) - kept - aside
            if missing:
                raise Violation(f"{writer.name!r}: {_names(missing)} are gone")

    def _recovered(self) -> set[bytes]:
        try:
            return self._read()
        except wal.Corrupt:
            self.counts["directories with two branches"] += 1
        what = repair.plan(DIRECTORY, lost=LOST, fs=self.disk)
        if what.losses:
            raise Violation(f"a repair would lose {len(what.losses)} records")
        repair.mend(what, self.disk)
        return self._read()

    def _read(self) -> set[bytes]:
        replay = wal.Replay(DIRECTORY, fs=self.disk)
        records = [record for frame in replay for record in frame.records]
        self._salt = salt_of(replay.log_id)
        return set(records)

    def _set_aside(self) -> set[bytes]:
        found: set[bytes] = set()
        for path, file in self.disk.names.items():
            if "/second-writer." in path:
                for frame in scan(bytes(file.data), self._salt, 0):
                    found.update(frame.records if isinstance(frame, wal.Frame) else ())
        return found


def _names(records: Iterable[bytes]) -> list[bytes]:
    return sorted(record.rstrip(b"\0") for record in records)


def run(seed: int, counts: Counter[str]) -> None:
    """Raises Violation."""
    World(seed, counts).run()
