"""Lives of the queue on one disk, one after another: each works, is swept, and ends by a stop, a
kill or a power failure, recovered by the next one.

May know: processes, clients, history. Promises: what a recovery must find is judged by what clients
were told, in each mode as docs/durability.md says it; a recovered queue is compared whole.
"""

from __future__ import annotations

import errno
from collections import Counter
from random import Random

import beanstalkd_wal as wal
from beanstalkd_wal.reader import read_header

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import Unreadable

from ..disk import ROOMY, MemoryDisk
from ..violation import Violation
from .clients import Clients
from .crash_points import Sweep
from .process import DIRECTORY, MS, RETRY, SEGMENT, Mode, Process
from .versions import Found, History
from .views import Key

WALL = 1_700_000_000_000 * MS


class QueueWorkload:
    """A `Subject`."""

    def __init__(
        self, seed: int, modes: tuple[Mode, ...], counts: Counter[str], tries: int
    ) -> None:
        self.rng = Random(seed)
        self.modes = modes
        self.disk = MemoryDisk(seed)
        self.sweep = Sweep(self, Random(~seed), tries, counts)
        self.history = History()
        self.unsynced = False
        self.wall = WALL
        self.durable = 0  # outlasts the power, whatever the mode
        self.kept = 0  # outlasts the process
        self.process = Process(self.disk, modes[0], self.wall, self.history)

    def run(self, lives: int, acts: int) -> None:
        for n in range(lives):
            self.begin(self.rng.choice(self.modes) if n else self.modes[0])
            self.sweep.watch()
            self.start()
            if self.rng.randrange(3) == 0:
                self.disk.capacity = self.disk.used() + self.rng.randrange(6) * SEGMENT
            self.work(acts)
            if self.rng.randrange(3) == 0:
                self.stop()
            if not self.end(killed=self.rng.randrange(2) == 0):
                return

    # --- one life

    def begin(self, mode: Mode) -> None:
        self.disk.capacity = ROOMY
        self.process = Process(self.disk, mode, self.wall, self.history)

    def start(self) -> None:
        never = self.process.mode.durability is wal.Durability.NEVER
        self.unsynced |= never
        self.process.start()
        self.unsynced = never

    def work(self, acts: int) -> None:
        clients = Clients(self.process, self.rng, live=self.rng.choice((5, 30, 60)))
        for _ in range(acts):
            clients.act()

    def stop(self) -> None:
        self.process.stop()

    @property
    def opened_log(self) -> wal.Log | None:
        journal = self.process.queue.journal
        return journal.log if isinstance(journal, Binlog) else None

    def check_revived(self, blind: bool) -> None:
        process = self.process
        if not blind and any(word != b"put" for word in process.refused):
            raise Violation(f"expected nothing but puts to be refused, got {dict(process.refused)}")
        process.elapse(2 * RETRY)
        process.say(process.connect(), b"put 0 0 1 5\r\nagain")
        process.turn()
        if not process.told or not process.told[-1][1].startswith(b"INSERTED"):
            raise Violation(f"expected a put to be answered with INSERTED, got {process.told[-1:]}")

    def end(self, killed: bool) -> bool:
        """The disk is what a kill or a power failure leaves of it. False if the next life may
        refuse that.
        """
        left = (
            self.disk.fork() if killed else self.disk.after_crash(self.rng, ordered=self.unsynced)
        )
        lsn = self.read(left, killed)
        if lsn is None or not self.recover(left.fork(), killed, lsn):
            return False
        self.wall = self.process.wall + MS
        self.history.cut(self.found(left.fork(), killed, lsn, self.wall), lsn, self.wall)
        self.kept = lsn
        self.durable = min(self.promised(False), lsn) if killed else lsn
        self.unsynced &= killed
        self.disk = left
        return True

    # --- what must be there

    def promised(self, killed: bool) -> int:
        """The LSN up to which everything must be there."""
        if self.unsynced and not killed:
            return 0
        if self.process.binlog is None:
            return self.kept if killed else self.durable
        log = self.process.log
        if killed:
            return log.promised_lsn
        window = self.process.mode.window
        by_time = self.history.lsn_before(self.process.wall - window) if window else 0
        return max(log.durable_lsn, by_time)

    def read(self, left: MemoryDisk, killed: bool) -> int | None:
        self.process.look()
        replay = wal.Replay(DIRECTORY, fs=left)
        try:
            for _ in replay:
                pass
        except (wal.Corrupt, wal.NewerVersion) as damage:
            if self.unsynced and not killed and headless(left, damage.path):
                return None
            raise
        if killed and self.process.binlog is not None and not self.disk.cut_short:
            check_whole(replay)
        lsn = replay.next_lsn - 1
        must = self.promised(killed)
        if lsn < must:
            raise Violation(f"expected all that was promised, up to LSN {must}, got LSN {lsn}")
        return lsn

    def recover(self, left: MemoryDisk, killed: bool, lsn: int) -> bool:
        # For as long a time as there is nothing new, whether it is the first recovery or another
        # one behind it.
        outage = (0, MS, 2000 * MS)[self.history.lsn % 3]
        try:
            self.found(left, killed, lsn, self.process.wall + outage)
        except (
            Unreadable
        ):  # a segment given up unsynced, with jobs in it that had been durable before
            if not self.unsynced or killed:
                raise
            return False
        return True

    def found(self, left: MemoryDisk, killed: bool, lsn: int, wall: int) -> dict[Key, Found]:
        """What a start on it comes to at that time, and that this is right."""
        process = self._start(left, wall)
        found = process.found()
        self.history.compare(found, lsn, wall, lost=self.unsynced and not killed)
        if not self.unsynced and process.queue.next_id <= self.history.highest_id(lsn):
            raise Violation(
                f"expected the next id to be above {self.history.highest_id(lsn)}, got {process.queue.next_id}"
            )
        return found

    def _start(self, left: MemoryDisk, wall: int) -> Process:
        """With the room there is, if that will do: a start needs some."""
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
    """All writes before a kill were whole ones."""
    if replay.torn is not None:
        raise Violation(f"expected nothing torn, got {replay.torn}")


def headless(disk: MemoryDisk, path: str) -> bool:
    """The one thing that a log cannot know of a segment whose header is lost, unless its neighbours
    tell: that it was never synced.
    """
    return read_header(bytes(disk.names[path].data), int(path[-12:-4])).header is None
