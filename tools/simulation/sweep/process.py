"""One life of a server without sockets: sessions, engine, binlog and an inline log on a disk in
memory; its clock stands until it is moved.

May know: the public faces of session, engine, binlog and log; what `server` does between two looks
at its sockets, which is done here by hand. Promises: deterministic; `history` is told of every
change before the disk may know of it; replies leave when the log's promise has reached them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.protocol.replies import OUT_OF_MEMORY
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.engine import Engine

from ..disk import MemoryDisk
from ..violation import Violation
from .versions import Found, History
from .views import Key, view_all

DIRECTORY = "/log"
SEGMENT = 8192
MS = 1_000_000  # ns
CLAIM = 500 * MS
RETRY = 500 * MS
TURNS = 500  # more than two passes over the largest log here take
NEVER = 1 << 126  # an instant that does not come


class Mode(NamedTuple):
    """As on the command line."""

    flags: str
    durability: wal.Durability
    window: int = 0  # ns


MODES = (
    Mode("-f0", wal.Durability.SYNC),
    Mode("-f 50", wal.Durability.WINDOW, 50 * MS),
    Mode("-F", wal.Durability.NEVER),
)


class Process:
    """Raises what `open_binlog` raises, and wal.LogFailed from anything that moves it."""

    def __init__(
        self, disk: MemoryDisk, mode: Mode, wall: int, history: History | None = None
    ) -> None:
        self.disk = disk
        self.mode = mode
        self.now = 1000 * MS
        self.offset = wall - self.now
        self.history = history or History()
        self.engine = Engine()
        self.binlog: Binlog | None = None
        self.sessions: list[Session] = []
        self.owed: deque[tuple[int, Session, bytes]] = deque()  # LSN it waits for, whose, what
        self.told: list[tuple[Session, bytes]] = []  # replies that have left
        self.refused: Counter[bytes] = Counter()  # commands that were answered with OUT_OF_MEMORY
        self._sync_at = self._claim_at = self._retry_at = NEVER
        self._claim_lsn = 0

    def start(self) -> None:
        self.binlog = open_binlog(
            DIRECTORY,
            self.engine,
            segment_bytes=SEGMENT,
            durability=self.mode.durability,
            now=self.now,
            wall_now=self.wall,
            notify=lambda: None,
            threaded=False,
            fs=self.disk,
        )
        self.binlog.collect()
        self.engine.tick(self.now)

    @property
    def wall(self) -> int:
        return self.now + self.offset

    @property
    def log(self) -> wal.Log:
        assert self.binlog is not None
        return self.binlog.log

    def found(self) -> dict[Key, Found]:
        """The queue as it is."""
        jobs = self.engine.jobs
        views = view_all(self.engine, self.offset)
        return {
            key: Found(view, jobs[key].reserves if isinstance(key, int) else 0)
            for key, view in views.items()
        }

    def look(self) -> None:
        """Notes what has changed."""
        if self.binlog is not None:
            self.history.note(
                self.engine, self.offset, self.log.lsn, self.wall, self.binlog.is_full
            )

    # --- clients

    def connect(self) -> Session:
        session = Session(self.engine)
        self.sessions.append(session)
        return session

    def disconnect(self, session: Session) -> None:
        self.sessions.remove(session)
        session.lost(self.now)
        self._settle()

    def say(self, session: Session, line: bytes) -> None:
        session.receive(line + b"\r\n", self.now)
        reply = session.take_output()
        if reply == OUT_OF_MEMORY:
            self.refused[line.split(None, 1)[0]] += 1
        self._owe(session, reply)
        self._settle()

    def _settle(self) -> None:
        Session.settle(self.engine, self.now)
        for session in self.sessions:
            self._owe(session, session.take_output())
        self.look()

    def _owe(self, session: Session, reply: bytes) -> None:
        if reply:
            self.owed.append((self.log.lsn, session, reply))

    # --- the loop

    def turn(self) -> None:
        """The end of a turn, and what the log has to say of it."""
        binlog = self.binlog
        assert binlog is not None
        turns = 0
        while binlog.busy and binlog.end_iteration(self.now, self.wall):
            self.look()
            turns += 1
            if turns > TURNS:
                raise Violation(
                    f"expected compaction to come to an end, got {turns} turns of it while nobody asked for anything"
                )
        binlog.collect()
        self._send()
        self._plan()
        self.now += 1000

    def _send(self) -> None:
        while self.owed and self.owed[0][0] <= self.log.promised_lsn:
            _, session, reply = self.owed.popleft()
            self.told.append((session, reply))

    def _plan(self) -> None:
        assert self.binlog is not None
        if self.mode.window and self._sync_at == NEVER and self.log.durable_lsn < self.log.lsn:
            self._sync_at = self.now + self.mode.window
        if self._claim_at == NEVER and self._claim_lsn != self.log.lsn:
            self._plan_claim()
        if self._retry_at == NEVER and self.binlog.is_full:
            self._retry_at = self.now + RETRY

    def _plan_claim(self) -> None:
        self._claim_lsn = self.log.lsn
        self._claim_at = self.now + CLAIM

    def elapse(self, ns: int) -> None:
        """Time goes by, and everything that is due in it happens."""
        self.turn()
        end = self.now + ns
        while (
            at := min(self.engine.next_at, self._sync_at, self._claim_at, self._retry_at)
        ) <= end:
            self.now = max(self.now, at)
            for due in self._due():
                due()
            self.turn()
        self.now = end

    def _due(self) -> Iterator[Callable[[], None]]:
        if self.engine.next_at <= self.now:
            yield self._tick
        if self._sync_at <= self.now:
            self._sync_at = NEVER
            yield lambda: self.log.sync(self.wall)
        if self._claim_at <= self.now:
            self._claim_at = NEVER
            yield self._claim
        if self._retry_at <= self.now:
            self._retry_at = NEVER
            yield self._retry

    def _tick(self) -> None:
        self.engine.tick(self.now)
        self._settle()

    def _claim(self) -> None:
        if self.log.lsn == self._claim_lsn:
            self.log.write_watermark(self.wall)
        else:
            self._plan_claim()

    def _retry(self) -> None:
        assert self.binlog is not None
        self.binlog.retry()

    def stop(self) -> None:
        """SIGTERM."""
        self.turn()
        self.log.close(self.wall)
        self._send()
