"""The server's loop without gevent and without sockets: what `server.py` and `connection.py` do,
each callback of theirs a method for who calls it.

A turn: connections are read, then what was appended is handed to the log; the log's news let the
replies go that waited for it (law 2); timers for what the engine, the window of -f MS, an idle log
and a full disk need. Law 2 is half here, half in the log; that the real loop keeps its half is for
other rungs to show.

May know: lockstep, binlog, the clock. Promises: deterministic; `answered` and `durable` are the
positions in the history that replies which left stand for: after a kill, and after a power cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

from beanstalkd_py.binlog.journal import Binlog

from .clock import MILLISECOND, SECOND, Clock
from .lockstep import Lockstep, Replies
from .violation import Violation

CLAIM = SECOND // 2
RETRY = SECOND // 2
QUEUE_LIMIT = 2000  # bytes of replies for one client, beyond which nothing is read from it
KERNEL = 300  # bytes of replies that the kernel takes without the client reading them
TURNS = 2_000  # more than any compaction takes, or any last reply


class Connection:
    """What lies between a client and its session."""

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.arrived = b""  # not read by the server
        self.ended = False  # and nothing follows
        self.end_seen = False
        self.owed = 0  # bytes that wait for the log
        self.unsent = 0  # bytes that wait for the kernel
        self.unread = 0  # bytes that the kernel has

    @property
    def queued(self) -> int:
        return self.owed + self.unsent

    def send(self, nbytes: int) -> None:
        self.unsent += nbytes
        self.move()

    def move(self) -> None:
        taken = min(self.unsent, KERNEL - self.unread)
        self.unsent -= taken
        self.unread += taken

    def client_reads(self, nbytes: int) -> None:
        self.unread -= min(nbytes, self.unread)
        self.move()


class Server:
    """One run, from the first turn on. sync_ms: of -f MS, else 0. news: [whether the log has
    some], which the log sets.
    """

    def __init__(
        self, lockstep: Lockstep, binlog: Binlog, clock: Clock, sync_ms: int, news: list[bool]
    ) -> None:
        self.lockstep = lockstep
        self.binlog = binlog
        self.log = binlog.log
        self.clock = clock
        self.sync_ms = sync_ms
        self.connections: dict[Hashable, Connection] = {}
        self.owed: deque[tuple[int, int, Hashable, bytes]] = (
            deque()
        )  # LSN it waits for, position it stands for, whose, what
        self.answered = 0
        self.durable = 0  # set by oldest_not_durable
        self.left: deque[tuple[int, int, int]] = (
            deque()
        )  # when, LSN, position: of replies that left and are not durable yet
        self.wants_turn = True
        self.later: list[Hashable] = []  # whose commands were held back until replies were taken
        self._news = news
        news[0] = True  # what its threads said before
        self.sync_at: int | None = None
        self.claim_at: int | None = None
        self.retry_at: int | None = None
        self._claim_lsn = 0
        self.ending = False  # no connection's end changes anything any more
        self._after_commit()

    # --- connections

    def connect(self, name: Hashable) -> None:
        self.lockstep.connect(name)
        self.connections[name] = Connection(name)

    def readable(self, connection: Connection) -> bool:
        session = self.lockstep.sessions.get(connection.name)
        if session is None:
            return False
        full = session.held or connection.queued > QUEUE_LIMIT
        return bool(connection.arrived or connection.ended) and not (
            connection.end_seen or session.closed or full
        )

    def read(self, connection: Connection, nbytes: int) -> None:
        """One recv of at most so many bytes."""
        self.tick_if_due()
        if connection.name not in self.connections:
            return
        data, connection.arrived = connection.arrived[:nbytes], connection.arrived[nbytes:]
        if data:
            self._say(self.lockstep.receive(connection.name, data, self.clock.now))
        else:
            connection.end_seen = True
            self._say(self.lockstep.end_of_input(connection.name, self.clock.now))
        self._look_after(connection)

    def lose(self, connection: Connection) -> None:
        """The connection broke, or is to be closed."""
        del self.connections[connection.name]
        self._say(self.lockstep.lost(connection.name, self.clock.now))

    def client_reads(self, connection: Connection, nbytes: int) -> None:
        connection.client_reads(nbytes)
        self._look_after(connection)

    def tick_if_due(self) -> None:
        if self.lockstep.engine.next_at <= self.clock.now:
            self._say(self.lockstep.tick(self.clock.now))

    def _say(self, replies: Replies) -> None:
        log = self.log
        position = self.lockstep.model.history.position
        for name, data in replies.items():
            connection = self.connections.get(name)
            if connection is None:
                continue
            if log.lsn <= log.promised_lsn and not self.owed:
                self._leave(log.lsn, position, connection, data)
            else:
                connection.owed += len(data)
                self.owed.append((log.lsn, position, name, data))
        for name in replies:
            if name in self.connections:
                self._look_after(self.connections[name])

    def _leave(self, lsn: int, position: int, connection: Connection, data: bytes) -> None:
        connection.send(len(data))
        self.answered = max(self.answered, position)
        self.left.append((self.clock.now, lsn, position))

    def _look_after(self, connection: Connection) -> None:
        """It may be time to close it, or to go on with what was held back."""
        session = self.lockstep.sessions.get(connection.name)
        if session is None:
            return
        if session.held and connection.queued <= QUEUE_LIMIT and connection.name not in self.later:
            self.later.append(connection.name)
        if session.closed and not connection.queued and not self.ending:
            self.lose(connection)

    # --- the turn

    def end_of_turn(self) -> None:
        later, self.later = self.later, []
        for name in later:
            self._go_on(name)
        binlog = self.binlog
        self.wants_turn = bool(self.later)
        if binlog.busy:
            self.lockstep.model.history.set_clock_offset(self.clock.wall - self.clock.now)
            here = len(self.owed) == 1 or not self.log.promise_durable
            self.wants_turn = (
                binlog.end_iteration(self.clock.now, self.clock.wall, here) or self.wants_turn
            )
            self._after_commit()
            if here:
                self._deliver()
        if binlog.is_full and self.retry_at is None:
            self.retry_at = self.clock.now + RETRY

    def _go_on(self, name: Hashable) -> None:
        self.tick_if_due()
        if name in self.connections:
            self._say(self.lockstep.go_on(name, self.clock.now))

    def _after_commit(self) -> None:
        log = self.log
        if self.sync_ms and self.sync_at is None and log.durable_lsn < log.lsn:
            self.sync_at = self.clock.now + self.sync_ms * MILLISECOND
        if self.claim_at is None:
            self._claim_lsn = log.lsn
            self.claim_at = self.clock.now + CLAIM

    @property
    def news(self) -> bool:
        return self._news[0]

    def on_log(self) -> None:
        """The committer got further."""
        self._news[0] = False
        self.binlog.collect()
        self._deliver()
        self.wants_turn = self.wants_turn or self.binlog.busy

    def _deliver(self) -> None:
        """Replies leave whose promise holds."""
        while self.owed and self.owed[0][0] <= self.log.promised_lsn:
            lsn, position, name, data = self.owed.popleft()
            connection = self.connections.get(name)
            if connection is not None:
                connection.owed -= len(data)
                self._leave(lsn, position, connection, data)
                self._look_after(connection)

    def oldest_not_durable(self) -> int | None:
        """When the oldest reply left of those that a power cut may still undo; None: there is none."""
        while self.left and self.left[0][1] <= self.log.durable_lsn:
            self.durable = max(self.durable, self.left.popleft()[2])
        return self.left[0][0] if self.left else None

    def rest(self) -> None:
        """Turns until nothing more is to be done for now."""
        for _ in range(TURNS):
            self.end_of_turn()
            if self.news:
                self.on_log()
            elif not self.wants_turn and not self.binlog.busy:
                return
        raise Violation("the server turns and turns")

    # --- time

    @property
    def next_at(self) -> int:
        return min(
            at
            for at in (self.lockstep.engine.next_at, self.sync_at, self.claim_at, self.retry_at)
            if at is not None
        )

    def on_timers(self) -> None:
        """All that are due."""
        now = self.clock.now
        self.tick_if_due()
        if self.sync_at is not None and self.sync_at <= now:
            self.sync_at = None
            self.log.sync(self.clock.wall)
        if self.claim_at is not None and self.claim_at <= now:
            self._claim()
        if self.retry_at is not None and self.retry_at <= now:
            self.retry_at = None
            self.binlog.retry()

    def _claim(self) -> None:
        self.claim_at = None
        idle = self.log.lsn == self._claim_lsn
        if idle:
            self.log.write_watermark(self.clock.wall)
        if self.log.watermark_behind or not idle:
            self._claim_lsn = self.log.lsn
            self.claim_at = self.clock.now + CLAIM

    # --- the end

    def stop(self, get_on: Callable[[], object]) -> None:
        """Nothing more is answered; what is owed leaves; the log is closed. get_on: lets the log's
        threads work.
        """
        self.ending = True
        for session in self.lockstep.sessions.values():
            session.take_no_more()
        for _ in range(TURNS):
            if not self.owed:
                break
            self.end_of_turn()
            get_on()
            if self.news:
                self.on_log()
        else:
            raise Violation(f"{len(self.owed)} replies never leave")
        self.log.close(self.clock.wall)
        self.answered = self.durable = self.lockstep.model.history.position
