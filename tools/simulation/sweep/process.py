"""One run of a server without sockets: sessions, queue, binlog, the server's own outbox, and a log
without threads on a disk in memory. Its clock changes only when `elapse` is called.

May know: the public interfaces of session, queue, binlog, outbox and log. Promises: deterministic.
`history` gets every change before the disk can have it. `delivered` holds the replies that the
outbox has delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import beanstalkd_wal as wal
from testkit.memory import allocate_except_probes

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.replies import OUT_OF_MEMORY
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.journal import Journal
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.outbox import RETRY_NS, Outbox

from ..disk import MemoryDisk
from ..violation import Violation
from .versions import Found, VersionHistory
from .views import Key, view_all

DIRECTORY = "/log"
SEGMENT = 8192
MS = 1_000_000  # ns
RETRY = RETRY_NS
BATCHES = 500  # more than two passes over the largest log here need


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


class Client:
    """The recipient of a session's replies; keeps them."""

    def __init__(self, session: Session, delivered: list[tuple[Session, bytes]]) -> None:
        self.session = session
        self.delivered = delivered

    def deliver(self, data: bytes) -> None:
        self.delivered.append((self.session, data))


class NotingJournal:
    """A `Journal` that calls `note` before each record: all that earlier records say is in memory
    then.
    """

    def __init__(self, binlog: Journal, note: Callable[[], None]) -> None:
        self._binlog = binlog
        self._note = note

    def __getattr__(self, name: str) -> Callable[..., Any]:
        append = getattr(self._binlog, name)

        def noting(*change: Any) -> Any:
            self._note()
            return append(*change)

        return noting


class Process:
    """`start` raises what `open_binlog` raises; any other method may raise wal.LogFailed."""

    def __init__(
        self, disk: MemoryDisk, mode: Mode, wall: int, history: VersionHistory | None = None
    ) -> None:
        self.disk = disk
        self.mode = mode
        self.now = 1000 * MS
        self.offset = wall - self.now
        self.history = history or VersionHistory()
        self.queue = Queue()
        self.queue.memory.allocate = allocate_except_probes
        self.dispatcher = Dispatcher(self.queue)
        self.binlog: Binlog | None = None
        self.sessions: list[Session] = []
        self.delivered: list[tuple[Session, bytes]] = []  # all replies
        self.refused: Counter[bytes] = Counter()  # commands that were answered with OUT_OF_MEMORY
        self._events = 0  # in this batch
        self.outbox = self._outbox()

    def start(self) -> None:
        self.binlog = open_binlog(
            DIRECTORY,
            self.queue,
            segment_bytes=SEGMENT,
            durability=self.mode.durability,
            now=self.now,
            wall_now=self.wall,
            notify=lambda: None,
            threaded=False,
            fs=self.disk,
        )
        self.queue.journal = NotingJournal(self.binlog, self.note_changes)
        self.outbox = self._outbox()
        self.outbox.log_event()
        self.queue.tick(self.now)

    def _outbox(self) -> Outbox:
        return Outbox(self.binlog, self.mode.window // MS, lambda: self.now, lambda: self.wall)

    @property
    def wall(self) -> int:
        return self.now + self.offset

    @property
    def log(self) -> wal.Log:
        assert self.binlog is not None and isinstance(self.binlog.log, wal.Log)
        return self.binlog.log

    def found(self) -> dict[Key, Found]:
        """The queue as it is now."""
        jobs = self.queue.jobs
        views = view_all(self.queue, self.offset)
        return {
            key: Found(view, jobs[key].reserves if isinstance(key, int) else 0)
            for key, view in views.items()
        }

    def note_changes(self) -> None:
        """Adds what has changed to the history."""
        if self.binlog is not None:
            self.history.note(self.queue, self.offset, self.log.lsn, self.wall, self.binlog.is_full)

    # --- clients

    def connect(self) -> Session:
        session = Session(self.dispatcher)
        self.sessions.append(session)
        return session

    def disconnect(self, session: Session) -> None:
        self.sessions.remove(session)
        session.lost(self.now)
        self._settle()

    def send(self, session: Session, line: bytes) -> None:
        self._events += 1
        self.outbox.begin_batch(self._events)
        session.receive(line + b"\r\n", self.now)
        reply = session.take_output()
        if reply == OUT_OF_MEMORY:
            self.refused[line.split(None, 1)[0]] += 1
        self._add(session, reply)
        self._settle()

    def _settle(self) -> None:
        Session.settle(self.dispatcher, self.now)
        for session in self.sessions:
            self._add(session, session.take_output())
        self.note_changes()

    def _add(self, session: Session, reply: bytes) -> None:
        if reply:
            self.outbox.add(Client(session, self.delivered), reply)

    # --- the loop

    def end_batch(self) -> None:
        """Ends a poll batch, then handles the log event and runs the batch that it causes."""
        self._events = 0
        self._batches()
        self.outbox.log_event()
        self._batches()
        self.now += 1000

    def _batches(self) -> None:
        """Runs as many batches as the outbox asks for; no client sends anything meanwhile."""
        batches = 0
        while self.outbox.end_of_batch():
            self.note_changes()
            batches += 1
            if batches > BATCHES:
                raise Violation(
                    "expected compaction to come to an end, "
                    f"got {batches} batches of it without a command"
                )

    def elapse(self, ns: int) -> None:
        """Time passes; each timer on the way runs on time."""
        self.end_batch()
        end = self.now + ns
        while (at := min(self.queue.next_at, self.outbox.next_at)) <= end:
            self.now = max(self.now, at)
            if self.queue.next_at <= self.now:
                self.queue.tick(self.now)
                self._settle()
            if self.outbox.next_at <= self.now:
                self.outbox.on_timers()
            self.end_batch()
        self.now = end

    def stop(self) -> None:
        """SIGTERM."""
        self.end_batch()
        if not self.outbox.empty:
            raise Violation("expected all replies to leave before the log is closed")
        assert self.binlog is not None
        self.binlog.close(self.wall)
