"""The queue as a workload: several server runs on one disk, each with random clients. Each run is
swept and ends by a stop, a kill or a power failure. The next run recovers it.

May know: processes, clients, version history. Promises: what a recovery must find follows from the
replies that clients got, for each mode as docs/durability.md says. The whole recovered queue is
compared.
"""

from __future__ import annotations

import errno
import re
from collections import Counter

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog

from ..disk import ROOMY, MemoryDisk
from ..violation import Violation
from .clients import Clients
from .process import DIRECTORY, MS, RETRY, SEGMENT, Mode, Process
from .versions import Found, VersionHistory
from .views import Key
from .workload import Workload

WALL = 1_700_000_000_000 * MS
# What may be refused on a full disk: puts, and moves to a tube with a longer name.
# What a full disk may refuse: puts, and moves to a tube with a longer name.
TAKES_SPACE = frozenset((b"put", b"put-in-tube", b"put-with", b"move-job", b"move-jobs"))
_INSERTED = re.compile(rb"INSERTED (\d+)\r\n")


class QueueWorkload(Workload):
    def __init__(
        self, seed: int, modes: tuple[Mode, ...], counts: Counter[str], tries: int
    ) -> None:
        super().__init__(seed, modes, counts, tries)
        self.history = VersionHistory()
        self.wall = WALL
        self.process = Process(self.disk, modes[0], self.wall, self.history)
        self._told_id = 0  # the highest id that a client was told, in any run
        self._heard = 0  # replies of this run that were looked at

    def run(self, runs: int, steps: int) -> None:
        for n in range(runs):
            self.begin(self.rng.choice(self.modes) if n else self.modes[0])
            self.sweep.watch()
            self.start()
            if self.rng.randrange(3) == 0:
                self.disk.capacity = self.disk.used() + self.rng.randrange(6) * SEGMENT
            self.work(steps)
            if self.rng.randrange(3) == 0:
                self.stop()
            self.end(killed=self.rng.randrange(2) == 0)

    # --- one run

    def begin(self, mode: Mode) -> None:
        self.disk.capacity = ROOMY
        self.process = Process(self.disk, mode, self.wall, self.history)
        self._heard = 0

    def start(self) -> None:
        self.process.start()

    def work(self, steps: int) -> None:
        clients = Clients(self.process, self.rng, live=self.rng.choice((5, 30, 60)))
        for _ in range(steps):
            clients.step()

    def stop(self) -> None:
        self.process.stop()

    @property
    def opened_log(self) -> wal.Log | None:
        journal = self.process.binlog or self.process.queue.journal
        log = journal.log if isinstance(journal, Binlog) else None
        assert log is None or isinstance(log, wal.Log)
        return log

    def check_serves_again(self, headroom_hidden: bool) -> None:
        process = self.process
        if not headroom_hidden and not TAKES_SPACE.issuperset(process.refused):
            raise Violation(f"expected only puts to be refused, got {dict(process.refused)}")
        process.elapse(2 * RETRY)
        process.send(process.connect(), b"put 0 0 1 5\r\nagain")
        process.end_batch()
        if not process.delivered or not process.delivered[-1][1].startswith(b"INSERTED"):
            raise Violation(
                f"expected INSERTED as the reply to a put, got {process.delivered[-1:]}"
            )

    def end(self, killed: bool) -> None:
        left = self.disk_left(killed)
        lsn = self.read(left, killed)
        self.recover(left.fork(), killed, lsn)
        self.wall = self.process.wall + MS
        self.history.cut(self.found(left.fork(), lsn, self.wall), lsn, self.wall)
        self.kept = lsn
        self.durable = min(self.promised(False), lsn) if killed else lsn
        self.disk = left

    # --- what must be there after a crash

    def promised(self, killed: bool) -> int:
        """The LSN up to which everything must be there."""
        if self.process.binlog is None:
            return self.kept if killed else self.durable
        log = self.process.log
        if killed:
            return log.promised_lsn
        window = self.process.mode.window
        by_time = self.history.lsn_before(self.process.wall - window) if window else 0
        return max(log.durable_lsn, by_time)

    def read(self, left: MemoryDisk, killed: bool) -> int:
        self.process.note_changes()
        replay = wal.Replay(DIRECTORY, fs=left)
        for _ in replay:
            pass
        if killed and self.process.binlog is not None and not self.disk.cut_short:
            check_whole(replay)
        lsn = replay.next_lsn - 1
        must = self.promised(killed)
        if lsn < must:
            raise Violation(f"expected all that was promised, up to LSN {must}, got LSN {lsn}")
        return lsn

    def recover(self, left: MemoryDisk, killed: bool, lsn: int) -> None:
        # The time without a server depends on the history only, so that nested recoveries of one
        # crash start at the same instant.
        outage = (0, MS, 2000 * MS)[self.history.lsn % 3]
        self.found(left, lsn, self.process.wall + outage)

    def found(self, left: MemoryDisk, lsn: int, wall: int) -> dict[Key, Found]:
        """Starts a process on that disk at that time, and returns its queue, which is checked."""
        process = self._start(left, wall)
        found = process.found()
        self.history.compare(found, lsn, wall)
        highest = max(self.history.highest_id(lsn), self._highest_told())
        next_id = process.queue.next_id
        if next_id <= highest:
            raise Violation(f"expected the next id to be above {highest}, got {next_id}")
        return found

    def _highest_told(self) -> int:
        delivered = self.process.delivered
        for _, reply in delivered[self._heard :]:
            for id in _INSERTED.findall(reply):
                self._told_id = max(self._told_id, int(id))
        self._heard = len(delivered)
        return self._told_id

    def _start(self, left: MemoryDisk, wall: int) -> Process:
        """A start needs some space. If the disk has too little, it is tried again with plenty."""
        if self.sweep.rng.randrange(2):
            left.capacity = ROOMY
        process = Process(left, self.process.mode, wall)
        try:
            process.start()
        except wal.LogFailed as failure:
            if failure.errno != errno.ENOSPC:
                raise
            left.capacity = ROOMY
            process = Process(left, self.process.mode, wall)
            process.start()
        return process


def check_whole(replay: wal.Replay) -> None:
    """A kill falls between writes, so no frame is torn."""
    if replay.torn is not None:
        raise Violation(f"expected nothing torn, got {replay.torn}")
