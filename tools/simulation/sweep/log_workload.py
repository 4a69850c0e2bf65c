"""The bare log as a workload: several runs on one disk, each with random calls of every method of
the log. Each run is swept and ends by a stop, a kill or a power failure.

May know: `beanstalkd_wal`. Promises: every promised record that was not retired must come back,
unchanged and in order, and a finished retirement must last.
"""

from __future__ import annotations

import errno
from collections import Counter

import beanstalkd_wal as wal

from ..disk import ROOMY, MemoryDisk
from ..violation import Violation
from .process import DIRECTORY, Mode
from .queue_workload import check_whole
from .workload import Workload

SEGMENT = 6000


class LogWorkload(Workload):
    def __init__(
        self, seed: int, modes: tuple[Mode, ...], counts: Counter[str], tries: int
    ) -> None:
        super().__init__(seed, modes, counts, tries)
        self.appended: dict[int, bytes] = {}  # LSN -> record
        self.bases: dict[int, int] = {}  # segment -> its first LSN
        self.may_be_gone = 1  # the log was told to retire all LSNs below this
        self.are_gone = 1  # the log has retired all LSNs below this
        self.mode = modes[0]
        self.log: wal.Log | None = None

    def run(self, runs: int, steps: int) -> None:
        for n in range(runs):
            self.begin(self.rng.choice(self.modes) if n else self.modes[0])
            self.disk.capacity = self.rng.choice(
                (ROOMY, ROOMY, self.disk.used() + self.rng.randrange(3 * SEGMENT))
            )
            self.sweep.watch()
            try:
                self.start()
                self.work(self.rng.randrange(1, steps))
                if self.rng.random() < 0.4:
                    self.stop()
            except wal.LogFailed as failure:  # a start needs some space
                _check_full(failure)
            self.end(killed=self.rng.randrange(2) == 0)

    # --- one run

    def begin(self, mode: Mode) -> None:
        self.disk.capacity = ROOMY
        self.mode = mode
        self.log = None

    def start(self) -> None:
        self.log = self.opened(self.disk, b"%d" % len(self.appended))

    def opened(self, disk: MemoryDisk, meta: bytes = b"") -> wal.Log:
        replay = wal.Replay(DIRECTORY, fs=disk)
        for _ in replay:
            pass
        return wal.Log.open(
            replay, SEGMENT, self.mode.durability, at=1, threaded=False, meta=lambda: meta
        )

    def work(self, steps: int) -> None:
        assert self.log is not None
        log = self.log
        actions = (
            *[self._append] * 4,
            *[self._commit] * 2,
            self._sync,
            self._write_watermark,
            self._change_headroom,
            self._retire,
        )
        for _ in range(steps):
            self.rng.choice(actions)(log)
            log.collect()
            if log.headroom < 0:
                raise Violation(f"expected headroom of 0 bytes or more, got {log.headroom}")

    def stop(self) -> None:
        assert self.log is not None
        self.log.close(at=9)

    @property
    def opened_log(self) -> wal.Log | None:
        return self.log

    def check_serves_again(self, headroom_hidden: bool) -> None:
        assert self.log is not None
        self.log.preallocate(3 * SEGMENT)
        if self.log.disk_full or not self.log.ensure_headroom(7000):
            raise Violation(
                f"expected headroom on a disk with space, got {self.log.headroom} bytes"
            )
        self._append(self.log)
        self._commit(self.log)

    # --- the actions

    def _append(self, log: wal.Log) -> None:
        size = self.rng.choice((0, 1, 30, 200, 600, 2500, 7000))
        record = self.rng.randbytes(min(size, 20)) * (size // 20 + 1)
        try:
            number = log.append(record)
        except wal.LogFull:
            return self._change_headroom(log)
        self.appended[log.lsn] = record
        self.bases.setdefault(number, log.lsn)

    def _commit(self, log: wal.Log) -> None:
        log.commit(at=self.rng.randrange(1 << 60))

    def _sync(self, log: wal.Log) -> None:
        log.sync(at=2)

    def _write_watermark(self, log: wal.Log) -> None:
        log.write_watermark(at=3)

    def _change_headroom(self, log: wal.Log) -> None:
        way = self.rng.randrange(4)
        if way == 0:
            log.ensure_headroom(self.rng.choice((100, 7000)))
        elif way == 1:
            log.trim(self.rng.randrange(4 * SEGMENT))
        else:
            log.preallocate(self.rng.randrange(4 * SEGMENT))

    def _retire(self, log: wal.Log) -> None:
        if self.rng.random() < 0.7:
            return
        before = self.rng.randrange(log.oldest, log.segment + 1)
        if before in self.bases and not (log.pending and before == log.segment):
            self.may_be_gone = max(self.may_be_gone, self.bases[before])
            log.retire(before)

    # --- what must be there after a crash

    def _note_promises(self) -> None:
        if self.log is not None:
            self.kept = self.log.promised_lsn
            self.durable = self.log.durable_lsn
            self.are_gone = max(self.are_gone, self.bases.get(self.log.oldest, 0))

    def read(self, left: MemoryDisk, killed: bool) -> int:
        self._note_promises()
        replay = wal.Replay(DIRECTORY, fs=left)
        found = _records(replay)
        if killed and self.log is not None and not self.disk.cut_short:
            check_whole(replay)
        last = replay.next_lsn - 1
        self._check(found, min(found, default=replay.next_lsn), last, killed)
        return last

    def _check(self, found: dict[int, bytes], first: int, last: int, killed: bool) -> None:
        must = self.kept if killed else self.durable
        if last < must:
            raise Violation(f"expected all that was promised, up to LSN {must}, got LSN {last}")
        if list(found) != list(range(first, last + 1)):
            raise Violation(f"expected LSN {first} to {last}, got {list(found)}")
        if not min(self.are_gone, last + 1) <= first <= self.may_be_gone:
            raise Violation(
                f"expected the first LSN to be {self.are_gone} to {self.may_be_gone}, got {first}"
            )
        for lsn, record in found.items():
            if record != self.appended[lsn]:
                expected = self.appended.get(lsn, b"")[:40]
                raise Violation(f"LSN {lsn}: expected {expected!r}, got {record[:40]!r}")

    def recover(self, left: MemoryDisk, killed: bool, lsn: int) -> None:
        if self.sweep.rng.randrange(2):
            left.capacity = ROOMY
        try:
            log = self.opened(left)
        except wal.LogFailed as failure:
            _check_full(failure)
            left.capacity = ROOMY
            log = self.opened(left)
        if log.lsn < lsn:
            raise Violation(f"expected the log to go on after LSN {lsn}, got {log.lsn}")

    def end(self, killed: bool) -> None:
        left = self.disk_left(killed)
        last = self.read(left, killed)
        found = _records(wal.Replay(DIRECTORY, fs=left))
        first = min(found, default=last + 1)
        before = {lsn: record for lsn, record in self.appended.items() if lsn < first}
        self.appended = before | found
        self.bases = {number: base for number, base in self.bases.items() if base <= last}
        self.kept = last
        self.durable = min(self.durable, last) if killed else last
        self.disk = left


def _records(replay: wal.Replay) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for frame in replay:
        found.update(enumerate(frame.records, frame.first_lsn))
        if frame.durable_lsn >= frame.first_lsn:
            raise Violation(
                f"LSN {frame.first_lsn}: expected a lower watermark, got {frame.durable_lsn}"
            )
    return found


def _check_full(failure: wal.LogFailed) -> None:
    if failure.errno != errno.ENOSPC:
        raise failure
