"""The server: poll batches, timers, signals and the end, on gevent's loop.

All sockets stand in one epoll object of the server's own, which the loop watches. One poll batch:
epoll reports readiness events; clients are read, and answered into memory, in the order of the
events; then what was appended is committed to the log (group commit), and replies that may leave
are sent. When the log reports progress, the replies that waited for it leave, oldest first (see
`outbox`). An unexpected error in a callback ends the process: a broken invariant must not go on
serving.

Why there is no watcher of the loop for each socket: libev calls the last one first. To clients time
would run backwards: A closes, then B asks and is told that A still holds its job. A watcher also
costs more (docs/performance.md), and so does sending each reply at once: each send may wake a
client on another core, while all replies of a batch find it awake.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import Any

import beanstalkd_wal as wal
import gevent
import gevent.event

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.protocol.trace import TracingSession
from beanstalkd_py.queue.model import NEVER
from beanstalkd_py.server.acceptor import Acceptor, Handlers
from beanstalkd_py.server.collector import Collector
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.context import Context, Owner
from beanstalkd_py.server.listen import Listeners
from beanstalkd_py.server.memory import LOOK_S, Memory, keep_free_heap
from beanstalkd_py.server.outbox import Outbox
from beanstalkd_py.server.transport import PlainTransport

READ = 1  # what the loop's watchers wait for
EVENTS_MAX = 256  # in one poll batch
BATCHES = 8  # before the loop looks at its other watchers
# The server busy-polls for about 40 us before it blocks: to block and to wake up costs as much CPU
# and 30 us of time.
BUSY_POLLS = 60
VAIN_BUSY_POLLS = 4  # in a row, until the server blocks at once
BLOCKING_POLLS = 64  # how often it blocks at once, before it busy-polls again
# How long the next batch is waited for before the loop looks at its watchers: one look less for
# each command of a single client.
STAY_NS = 1_000_000
# After so long the log's thread gets Python's lock from an iteration that compacts; Python's
# default is 5 ms.
SWITCH_S = 0.0005
LINGER_S = 3.0  # at the end, for clients that are slow to read their replies
POLL_S = 0.005  # at the end, between two looks at what is pending
TRACE_COMMANDS = 2  # from this verbosity on


class Server:
    """Serves a queue on `listeners` until it is told to stop.

    report: takes a line for the operator; say: one that -V asks for. sync_ms: of -f, else 0.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        listeners: Listeners,
        report: Callable[[str], None],
        max_connections: int,
        sync_ms: int = 0,
        verbosity: int = 0,
        say: Callable[[str], None] = print,
    ) -> None:
        self.dispatcher = dispatcher
        self.queue = dispatcher.queue
        self.listeners = listeners
        self.verbosity = verbosity
        self.say = say
        self.sync_ms = sync_ms
        self.failure: BaseException | None = None
        # Whatever the environment says: the others need cffi, or look through all descriptors.
        gevent.config.loop = ["libev-cext", "libev-cffi"]
        gevent.config.libev_backend = "epoll"
        self.hub: Any = gevent.get_hub()
        self.loop: Any = self.hub.loop

        self.connections: dict[int, Connection] = {}  # by descriptor
        self.context = Context(dispatcher, report, self._make_session, self._forget)
        self.epoll = select.epoll()
        self._handlers: Handlers = {}
        self._admitted: list[Connection] = []  # in this batch
        self._acceptor = Acceptor(
            listeners.sockets, self.epoll, self._handlers, self.loop, self._admit,
            self.connections, max_connections, report,
        )  # fmt: skip
        self._log_event = os.eventfd(0)  # never read: edge-triggered, each write to it is an event
        self.epoll.register(self._log_event, select.EPOLLIN | select.EPOLLET)
        self._handlers[self._log_event] = self._on_log_event

        # watchers of the loop
        self._events: Any = self.loop.io(self.epoll.fileno(), READ)
        self._iteration: Any = self.loop.prepare()
        self._idle: Any = self.loop.idle()
        self._timer: Any = None
        self._timer_at = NEVER
        self._signals: list[Any] = []
        self._collector = Collector()
        self._memory = Memory(
            self.queue, dispatcher.counts, self.connections.values(), self._collector.collect
        )
        self._memory_timer: Any = self.loop.timer(LOOK_S, LOOK_S)
        self._stop = gevent.event.Event()
        self._awake = False
        self._busy_polls = VAIN_BUSY_POLLS  # tries left; below 0: blocks at once, so many times

    # --- life -------------------------------------------------------------------------------------

    def wake_up(self) -> None:
        """The log reports progress. Called by any thread."""
        os.eventfd_write(self._log_event, 1)

    def serve(
        self, binlog: Binlog | None, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        """Serves until SIGTERM, SIGINT or a failure; then ends in order. Raises the failure."""
        self.context.outbox = Outbox(binlog, self.sync_ms, monotonic_ns, time_ns)
        sys.setswitchinterval(SWITCH_S)
        keep_free_heap()
        self.hub.handle_error = self._on_error
        # They are never stopped: without them a second SIGTERM would kill the process at its end.
        self._on_signal(signal.SIGTERM, self._stop.set)
        self._on_signal(signal.SIGINT, self._stop.set)
        # Python's own handler: it runs before commands that are sent after the signal are read, and
        # also during a blocking poll.
        signal.signal(signal.SIGUSR1, lambda number, frame: self._drain())
        if binlog is not None:
            self.wake_up()  # the log may have reported progress before the loop ran
        self._collector.begin()
        self._events.start(self._on_events)
        self._iteration.start(self._on_iteration)
        self._memory_timer.start(self._memory.look)
        self._acceptor.start()
        self.queue.tick(monotonic_ns())
        ready()
        self._stop.wait()
        stopping()
        self._end(binlog)
        if self.failure is not None:
            raise self.failure

    def _on_signal(self, number: int, callback: Callable[[], object]) -> None:
        watcher = self.loop.signal(number)
        watcher.start(callback)
        self._signals.append(watcher)

    def _drain(self) -> None:
        self.queue.draining = True

    def fail(self, failure: BaseException) -> None:
        """Stops everything at once. Pending replies are dropped: their promises cannot be kept."""
        if self.failure is None:
            self.failure = failure
        self.context.outbox.discard()
        self._events.stop()
        self._iteration.stop()  # input stays unread, and what was appended uncommitted
        self._stop.set()

    def _on_error(self, context: object, kind: Any, value: Any, trace: Any) -> None:
        """gevent's hub passes every error of a callback to this."""
        self.fail(value if isinstance(value, BaseException) else RuntimeError(str(value)))

    def _end(self, binlog: Binlog | None) -> None:
        """No new connections, no more commands; pending replies are sent; the log is closed and the
        socket file removed.
        """
        self._acceptor.stop()
        self.listeners.close()
        self.context.ending = True
        if self.failure is None:
            self._send_pending()
        self._events.stop()
        self._iteration.stop()
        if self.failure is None and binlog is not None:
            binlog.log.close(time_ns())
        for connection in self.connections.values():
            connection.abandon()

    def _send_pending(self) -> None:
        for connection in self.connections.values():
            connection.take_no_more()
        # They leave when the log has reached them, however late that is.
        while not self.context.outbox.empty and self.failure is None:
            gevent.sleep(POLL_S)
        with gevent.Timeout(LINGER_S, False):
            while self._linger():
                gevent.sleep(POLL_S)

    def _linger(self) -> bool:
        """Closes connections whose clients have all their replies. True while there are others."""
        if self.failure is not None:
            return False
        for connection in [each for each in self.connections.values() if each.all_sent()]:
            del self.connections[connection.fd]
            connection.shutdown()
        return bool(self.connections)

    # --- poll batches -----------------------------------------------------------------------------

    def _on_events(self) -> None:
        """Some sockets have events. Under load, further batches follow as soon as these are
        handled; the loop is asked again before a timer is due.
        """
        handlers = self._handlers
        outbox = self.context.outbox
        events = self.epoll.poll(0, EVENTS_MAX)
        batches = 0
        while events:
            outbox.begin_batch(len(events))
            for fd, event in events:
                if fd in handlers:  # else an earlier event of the batch made the server close it
                    handlers[fd](event)
                    if self.failure is not None:
                        return
            if self._admitted:
                self._attend_to_admitted()
            self._end_of_batch()
            batches += 1
            if self._awake or batches == BATCHES or self.failure is not None:
                return
            if monotonic_ns() + STAY_NS >= self._timer_at:
                return
            events = self._await_events()

    def _await_events(self) -> list[tuple[int, int]]:
        """Waits for a millisecond. Busy-polls first, if that succeeded lately; not while replies
        are pending, because the log's thread needs the processor.
        """
        poll = self.epoll.poll
        if self._busy_polls > 0 and self.context.outbox.empty:
            for _ in range(BUSY_POLLS):
                events = poll(0, EVENTS_MAX)
                if events:
                    self._busy_polls = VAIN_BUSY_POLLS
                    return events
            self._busy_polls = self._busy_polls - 1 or -BLOCKING_POLLS
        elif self._busy_polls < 0:
            self._busy_polls = self._busy_polls + 1 or 1
        return poll(STAY_NS / 1e9, EVENTS_MAX)

    def _on_iteration(self) -> None:
        """Before the loop blocks: what was put off, then the end of a batch."""
        self._collector.look()
        self.context.run_later()
        self._end_of_batch()

    def _end_of_batch(self) -> None:
        """Commits, sends what may leave, and sets the loop's timer."""
        context = self.context
        outbox = context.outbox
        try:
            more = outbox.end_of_batch()
        except wal.LogFailed as error:
            self.fail(error)
            return
        more = more or bool(context.later)
        if more is not self._awake:
            self._stay_awake(more)
        at = outbox.next_at
        timers = self.queue.timers
        if timers and timers[0][0] < at:
            at = timers[0][0]
        if at != self._timer_at:
            self._set_timer(at)

    def _stay_awake(self, more: bool) -> None:
        """While there is more to do the loop looks at the sockets but does not block. (gevent's own
        callbacks, added here, would run too late.)
        """
        self._awake = more
        if more:
            self._idle.start(_nothing)
        else:
            self._idle.stop()

    def _set_timer(self, at: int) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        self._timer_at = at
        if at != NEVER:
            self._timer = self.loop.timer(max(0.0, (at - monotonic_ns()) / 1e9))
            self._timer.start(self._on_timer, update=True)

    def _on_timer(self) -> None:
        self._timer_at = -1  # the timer has ended: the end of the batch sets it again
        now = monotonic_ns()
        self.context.tick(now)
        if self.context.outbox.next_at <= now:
            self.context.outbox.on_timers()

    def _on_log_event(self, event: int) -> None:
        """The log has reported progress or a failure. Replies leave at the end of the batch."""
        try:
            self.context.outbox.log_event()
        except wal.LogFailed as error:
            self.fail(error)

    # --- connections ------------------------------------------------------------------------------

    def _admit(self, sock: socket.socket) -> None:
        if self.verbosity:
            self.say(f"accept {sock.fileno()}")
        connection = Connection(self.context, PlainTransport(sock, self.epoll))
        self.connections[connection.fd] = connection
        self._admitted.append(connection)

    def _attend_to_admitted(self) -> None:
        """At the end of the batch: until then it may hold events of a connection that was closed
        and had the same descriptor.
        """
        for connection in self._admitted:
            if not connection.gone:
                self._handlers[connection.fd] = connection.on_event
        self._admitted.clear()

    def _make_session(self, owner: Owner, fd: int) -> Session:
        if self.verbosity >= TRACE_COMMANDS:
            return TracingSession(self.dispatcher, owner, fd, self.say)
        return Session(self.dispatcher, owner)

    def _forget(self, fd: int) -> None:
        del self.connections[fd]
        self._handlers.pop(fd, None)
        if self.verbosity:
            self.say(f"close {fd}")
        self._acceptor.connection_closed()


def _nothing() -> None:
    pass
