"""A server without sockets or threads: queue, dispatcher, sessions and, if wanted, a binlog.

The owner moves `now`. Nothing happens between two calls, so that a test is deterministic.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue

from .memory import allocate_except_probes

SECOND = 1_000_000_000
START = 1000 * SECOND  # monotonic clock
WALL = 1_700_000_000 * SECOND  # wall clock minus monotonic clock
SEGMENT_BYTES = 64 * 1024
STEP_NS = 1_000  # between two commands


class QueueServer:
    """directory: of the binlog; None for a server without one.

    now: monotonic ns. wall: wall clock minus monotonic clock, ns. lines: what the start reported.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        now: int = START,
        wall: int = WALL,
        segment_bytes: int = SEGMENT_BYTES,
        durability: wal.Durability = wal.Durability.NEVER,
        fs: wal.FileSystem | None = None,
        max_job_size: int = 65535,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.now = now
        self.wall = wall
        self.lines: list[str] = []
        self.sessions: list[Session] = []
        self.queue = Queue()
        self.queue.memory.allocate = allocate_except_probes
        self.dispatcher = Dispatcher(self.queue, max_job_size=max_job_size)
        self._binlog: Binlog | None = None
        if directory is not None:
            self._binlog = open_binlog(
                os.fspath(directory),
                self.queue,
                segment_bytes=segment_bytes,
                durability=durability,
                now=now,
                wall_now=now + wall,
                notify=lambda: None,
                report=messages_only(report or self.lines.append),
                threaded=False,
                fs=fs,
            )

    @property
    def binlog(self) -> Binlog:
        assert self._binlog is not None, "a server without a binlog"
        return self._binlog

    def session(self) -> Session:
        """A new client."""
        session = Session(self.dispatcher)
        self.sessions.append(session)
        return session

    def say(self, session: Session, line: bytes, body: bytes | None = None) -> bytes:
        """One command, a microsecond later, in an iteration of its own. Returns the reply."""
        self.now += STEP_NS
        session.receive(line + b"\r\n" + (b"" if body is None else body + b"\r\n"), self.now)
        return self.iterate()[session]

    def iterate(self) -> dict[Session, bytes]:
        """The end of an iteration: what is due at `now`, replies, commit, a step of compaction.

        Returns what each client receives.
        """
        if self.queue.next_at <= self.now:
            self.queue.tick(self.now)
        Session.settle(self.dispatcher, self.now)
        output = {session: session.take_output() for session in self.sessions}
        self.commit()
        return output

    def commit(self) -> bool:
        """Whether compaction wants another iteration at once."""
        if self._binlog is None:
            return False
        return self._binlog.end_iteration(self.now, self.now + self.wall)
