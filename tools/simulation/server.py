"""The server without gevent and without sockets. It uses the server's own outbox. Methods that the
simulation calls one by one replace the connections and the loop.

In one poll batch some connections are read. Then `end_of_batch` commits what was appended and
delivers replies, as the outbox decides. Each reply is checked against the log when it leaves: the
invariant "a reply is a promise".

May know: lockstep, outbox, binlog, the clock. Promises: deterministic. The delivered replies
promise the changes up to the position `answered` in the history after a kill, and up to `durable`
after a power failure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.server.outbox import Outbox

from .clock import Clock
from .lockstep import Lockstep, Replies
from .violation import Violation

QUEUE_LIMIT = 2000  # bytes of replies for one client, beyond which nothing is read from it
KERNEL = 300  # bytes of replies that the kernel takes without the client reading them
BATCHES = 2_000  # more than any compaction or any last reply needs


class Connection:
    """The buffers between a client and its session."""

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.arrived = b""  # not read by the server yet
        self.ended = False  # the client sends nothing more
        self.end_seen = False
        self.pending = 0  # bytes that wait for the log
        self.added = self.delivered = 0  # replies
        self.unsent = 0  # bytes that wait for the kernel
        self.unread = 0  # bytes that the kernel has

    @property
    def queued(self) -> int:
        return self.pending + self.unsent

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


class Reply:
    """One reply with its connection and the changes that it promises. A recipient of the outbox."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        self.lsn = server.log.lsn  # everything appended up to it is promised
        self.position = server.lockstep.model.history.position
        self.number = connection.added
        connection.added += 1

    def deliver(self, data: bytes) -> None:
        self.server.check(self)
        self.connection.delivered += 1
        self.connection.pending -= len(data)
        if self.connection.name in self.server.connections:
            self.server.leave(self, data)


class Server:
    """One run, from the first batch on. sync_ms: of -f MS, else 0. log_event: a list with one flag,
    which the log sets when it has made progress.
    """

    def __init__(
        self, lockstep: Lockstep, binlog: Binlog, clock: Clock, sync_ms: int, log_event: list[bool]
    ) -> None:
        self.lockstep = lockstep
        self.binlog = binlog
        self.log = binlog.log
        self.clock = clock
        self.connections: dict[Hashable, Connection] = {}
        self.answered = 0
        self.durable = 0  # set by oldest_not_durable
        # (time, LSN, position) of each delivered reply that is not durable yet
        self.left: deque[tuple[int, int, int]] = deque()
        self.wants_batch = True
        self.later: list[Hashable] = []  # clients whose commands waited until replies were taken
        self._log_event = log_event
        log_event[0] = True  # the log may have reported progress before
        self._events = 0  # in this batch
        self.ending = False  # closed connections are kept: their end changes nothing any more
        self.outbox = Outbox(binlog, sync_ms, self._now, lambda: clock.wall)

    def _now(self) -> int:
        return self.clock.now

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
        self._events += 1
        self.outbox.begin_batch(self._events)
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
        """The connection broke, or the server closes it."""
        del self.connections[connection.name]
        self._say(self.lockstep.lost(connection.name, self.clock.now))

    def client_reads(self, connection: Connection, nbytes: int) -> None:
        connection.client_reads(nbytes)
        self._look_after(connection)

    def tick_if_due(self) -> None:
        if self.lockstep.queue.next_at <= self.clock.now:
            self._say(self.lockstep.tick(self.clock.now))

    def step(self, server_step: Callable[[], object], model_step: Callable[[], None]) -> None:
        """Something that no client causes, between two poll batches."""
        self.tick_if_due()
        self._say(self.lockstep.step(self.clock.now, server_step, model_step))
        self.wants_batch = True

    def _say(self, replies: Replies) -> None:
        for name, data in replies.items():
            connection = self.connections.get(name)
            if connection is not None:
                connection.pending += len(data)
                self.outbox.add(Reply(self, connection), data)
        for name in replies:
            if name in self.connections:
                self._look_after(self.connections[name])

    def check(self, reply: Reply) -> None:
        """Raises Violation if the reply must not leave now."""
        if reply.lsn > self.log.promised_lsn:
            raise Violation(
                f"a reply made at LSN {reply.lsn} leaves when {self.log.promised_lsn} is promised"
            )
        if reply.number != reply.connection.delivered:
            raise Violation(
                f"client {reply.connection.name} gets its reply {reply.number} "
                f"after {reply.connection.delivered} others"
            )

    def leave(self, reply: Reply, data: bytes) -> None:
        """The reply goes to the client's kernel."""
        reply.connection.send(len(data))
        self.answered = max(self.answered, reply.position)
        self.left.append((self.clock.now, reply.lsn, reply.position))
        self._look_after(reply.connection)

    def _look_after(self, connection: Connection) -> None:
        """Closes the connection, or lets it go on with waiting commands, if it is time for that."""
        session = self.lockstep.sessions.get(connection.name)
        if session is None:
            return
        if session.held and connection.queued <= QUEUE_LIMIT and connection.name not in self.later:
            self.later.append(connection.name)
        if session.closed and not connection.queued and not self.ending:
            self.lose(connection)

    # --- the batch

    def end_of_batch(self) -> None:
        """The work of the real server at the end of a poll batch."""
        later, self.later = self.later, []
        for name in later:
            self._go_on(name)
        if self.binlog.busy:
            self.lockstep.model.history.set_clock_offset(self.clock.wall - self.clock.now)
        more = self.outbox.end_of_batch()
        self._events = 0
        self.wants_batch = more or bool(self.later)

    def _go_on(self, name: Hashable) -> None:
        self.tick_if_due()
        if name in self.connections:
            self._say(self.lockstep.go_on(name, self.clock.now))

    @property
    def has_log_event(self) -> bool:
        return self._log_event[0]

    def on_log(self) -> None:
        """The log has made progress. Replies leave at the end of the batch."""
        self._log_event[0] = False
        self.outbox.log_event()
        self.wants_batch = True

    def oldest_not_durable(self) -> int | None:
        """When the oldest reply was delivered whose changes a power cut may still undo."""
        while self.left and self.left[0][1] <= self.log.durable_lsn:
            self.durable = max(self.durable, self.left.popleft()[2])
        return self.left[0][0] if self.left else None

    def rest(self) -> None:
        """Runs batches until nothing is left to do at this instant."""
        for _ in range(BATCHES):
            self.end_of_batch()
            if self.has_log_event:
                self.on_log()
            elif not self.wants_batch and not self.binlog.busy:
                return
        raise Violation("the server never comes to rest")

    # --- time

    @property
    def next_at(self) -> int:
        return min(self.lockstep.queue.next_at, self.outbox.next_at)

    def on_timers(self) -> None:
        """Runs all timers that are due."""
        self.tick_if_due()
        if self.outbox.next_at <= self.clock.now:
            self.outbox.on_timers()

    # --- the end

    def stop(self, run_log_threads: Callable[[], object]) -> None:
        """No more commands are taken, pending replies leave, and the log is closed."""
        self.ending = True
        for session in self.lockstep.sessions.values():
            session.take_no_more()
        for _ in range(BATCHES):
            if self.outbox.empty:
                break
            self.end_of_batch()
            run_log_threads()
            if self.has_log_event:
                self.on_log()
        else:
            raise Violation("some replies never leave")
        self.binlog.close(self.clock.wall)
        self.answered = self.durable = self.lockstep.model.history.position
