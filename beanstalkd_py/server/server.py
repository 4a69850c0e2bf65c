"""The server: poll batches, timers, signals and the end, on gevent's loop.

The server has one epoll object for all sockets, and the loop watches that object. One poll batch
has these steps:

1. epoll reports readiness events.
2. In the order of the events, the input of each client is received and its commands are executed.
   The replies go to the outbox.
3. What was appended is committed to the log (group commit).
4. Replies whose promise holds are sent.

When the log reports progress, pending replies are sent, oldest first (see `outbox`). An unexpected
error in a callback ends the process, because the server must not serve with a broken invariant.

There is no libev watcher for each socket, because libev calls the watcher that became ready last
first. If client A closed its connection and then client B asked for the job, B would be told that A
still holds it. A watcher also costs more time (docs/performance.md). All replies of a batch are
sent together, because each send may wake a client on another core.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from time import monotonic_ns, time_ns
from typing import Any, Final

import beanstalkd_wal as wal
import gevent
import gevent.event

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.events import Report
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.protocol.trace import TracingSession
from beanstalkd_py.queue.model import NEVER
from beanstalkd_py.server.acceptor import Acceptor, Handlers
from beanstalkd_py.server.admission import Admission
from beanstalkd_py.server.batchedio import Received
from beanstalkd_py.server.collector import Collector
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.context import Context, SessionOwner
from beanstalkd_py.server.limit_reports import LimitReports
from beanstalkd_py.server.listen import Listeners
from beanstalkd_py.server.memory import INTERVAL_S, Memory, keep_free_heap
from beanstalkd_py.server.outbox import Outbox
from beanstalkd_py.server.poller import BATCH_WAIT_MS
from beanstalkd_py.server.timeouts import TIMEOUT_CHECK_S, Timeouts
from beanstalkd_py.server.transport import PlainTransport

READ: Final = 1  # what the loop's watchers wait for
BATCHES: Final = 8  # at most, before the server returns to the loop, which has other watchers
# For sys.setswitchinterval (Python's default is 5 ms). When the log's thread waits for Python's
# lock, an iteration that compacts gives the lock up after this time.
SWITCH_S: Final = 0.0005
WAIT_MAX_S: Final = 1.0  # for an instant
LINGER_S: Final = 3.0  # at the end, for clients that are slow to read their replies
POLL_S: Final = 0.005  # at the end, between two checks for pending replies
LOCK_CHECK_S: Final = 1.0  # between two looks at the log's lock file
TRACE_COMMANDS: Final = 2  # from this verbosity on


class Server:
    """Serves a queue on `listeners` until it is told to stop.

    report: called with a line for the operator. say: called with a line of -V. sync_ms: the window
    of -f in milliseconds, else 0.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        listeners: Listeners,
        report: Report,
        max_connections: int,
        sync_ms: int = 0,
        verbosity: int = 0,
        say: Callable[[str], None] = print,
    ) -> None:
        keep_free_heap()
        self.dispatcher = dispatcher
        self.queue = dispatcher.queue
        self.listeners = listeners
        self.verbosity = verbosity
        self.say = say
        self.sync_ms = sync_ms
        self.failure: BaseException | None = None
        self.stopped_by = ""  # the signal
        # Set here, so that the environment cannot choose another: libuv needs cffi, and other
        # backends look through all descriptors.
        gevent.config.loop, gevent.config.libev_backend = ["libev-cext", "libev-cffi"], "epoll"
        gevent.config.format_context = ["builtins.repr"]  # not pprint, whose import takes 8 ms
        self.hub: Any = gevent.get_hub()
        self.loop: Any = self.hub.loop

        self.connections: dict[int, Connection] = {}  # by descriptor
        self.context = Context(dispatcher, report, self._make_session, self._forget)
        self.epoll = self.context.poller.epoll
        self._handlers: Handlers = {}
        self._admitted: list[Connection] = []  # in this batch
        self._limits = LimitReports(report, boot_ns)
        self.admission = Admission(self._limits)
        self.timeouts = Timeouts(
            self.connections, self.context, self._limits, self.admission.address
        )
        self._acceptor = Acceptor(
            listeners.sockets, self.epoll, self._handlers, self.loop, self.admit,
            self.admission, self.connections, max_connections, report,
        )  # fmt: skip
        self._log_event = os.eventfd(0)  # never read: edge-triggered, each write to it is an event
        self.epoll.register(self._log_event, select.EPOLLIN | select.EPOLLET)
        self._handlers[self._log_event] = self._on_log_event

        # watchers of the loop
        self._events: Any = self.loop.io(self.epoll.fileno(), READ)
        self._iteration: Any = self.loop.prepare()
        self._idle: Any = self.loop.idle()
        self._timer: Any = None
        self._timer_at = NEVER  # what the timer is for, boot time
        self._fires_at = NEVER  # on the loop's clock, which is the monotonic one
        self._signals: list[Any] = []
        self._timers: list[Any] = []
        self._collector = Collector()
        self._memory = Memory(
            self.queue, dispatcher.counts, self.connections.values(), self._collector.collect,
            report,
        )  # fmt: skip
        self._memory_timer: Any = self.loop.timer(INTERVAL_S, INTERVAL_S)
        self._lock_timer: Any = self.loop.timer(LOCK_CHECK_S, LOCK_CHECK_S)
        self._stop = gevent.event.Event()
        self._awake = False

    # --- life -------------------------------------------------------------------------------------

    def wake_up(self) -> None:
        """The log reports progress. Called by any thread."""
        os.eventfd_write(self._log_event, 1)

    def serve(
        self, binlog: Binlog | None, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        """Serves until SIGTERM, SIGINT or a failure, and then ends orderly. Raises the failure."""
        send = self.context.sends.send
        self.context.outbox = Outbox(binlog, self.sync_ms, boot_ns, time_ns, send)
        sys.setswitchinterval(SWITCH_S)
        self.queue.memory.hold()
        self.hub.handle_error = self._on_error
        # These watchers are never stopped: without them, a second SIGTERM during the end would kill
        # the process.
        for stop in signal.SIGTERM, signal.SIGINT:
            self.on_signal(stop, partial(self._stop_on, stop.name))
        if binlog is not None:
            self.wake_up()  # the log may have reported progress before the loop ran
            self._lock_timer.start(self._check_lock, binlog)
        self._collector.begin()
        self._events.start(self._on_events)
        self._iteration.start(self._on_iteration)
        self._memory_timer.start(self._memory.check)
        self.every(TIMEOUT_CHECK_S, lambda: self.timeouts.check(boot_ns()))
        self._acceptor.start()
        self.queue.tick(boot_ns())
        ready()
        self._stop.wait()
        if self.failure is None:  # what timers would report later
            self._memory.end()
            self._limits.end()
            if binlog is not None:
                binlog.refusals.end()
        stopping()
        self._end(binlog)
        if self.failure is not None:
            raise self.failure

    def on_signal(self, number: int, callback: Callable[[], object]) -> None:
        watcher = self.loop.signal(number)
        watcher.start(callback)
        self._signals.append(watcher)

    def every(self, seconds: float, callback: Callable[[], object]) -> None:
        """Calls it at this interval, as long as the loop turns."""
        timer = self.loop.timer(seconds, seconds)
        timer.start(callback)
        self._timers.append(timer)

    def _stop_on(self, name: str) -> None:
        self.stopped_by = self.stopped_by or name
        self._stop.set()

    def fail(self, failure: BaseException) -> None:
        """Stops the server at once. Pending replies are discarded, because their promises cannot be
        kept.
        """
        if self.failure is None:
            self.failure = failure
        self.context.outbox.discard()
        self._events.stop()
        self._iteration.stop()  # no more input is received, and no more records are committed
        self._stop.set()

    def _on_error(self, context: object, kind: Any, value: Any, trace: Any) -> None:
        """gevent's hub passes every error of a callback to this. If it is a lack of memory, the end
        needs the memory reserve.
        """
        self.queue.memory.release()
        error = value if isinstance(value, BaseException) else RuntimeError(str(value))
        self.fail(error.with_traceback(trace))

    def _end(self, binlog: Binlog | None) -> None:
        """Accepts no more connections and commands, sends the pending replies, closes the log and
        removes the socket file.
        """
        self._acceptor.stop()
        self.listeners.close()
        self.context.ending = True
        if self.failure is None:
            self._send_pending()
        self._events.stop()
        self._iteration.stop()
        if self.failure is None and binlog is not None:
            binlog.close(time_ns())
        for connection in self.connections.values():
            connection.abandon()

    def _send_pending(self) -> None:
        for connection in self.connections.values():
            connection.take_no_more()
        # Replies that wait for the log are sent without a limit on time.
        while not self.context.outbox.empty and self.failure is None:
            gevent.sleep(POLL_S)
        with gevent.Timeout(LINGER_S, False):
            while self._linger():
                gevent.sleep(POLL_S)

    def _linger(self) -> bool:
        """Closes each connection whose client has all its replies. True if other connections are
        left.
        """
        if self.failure is not None:
            return False
        for connection in [each for each in self.connections.values() if each.all_sent()]:
            del self.connections[connection.fd]
            connection.shutdown()
        return bool(self.connections)

    # --- poll batches -----------------------------------------------------------------------------

    def _on_events(self) -> None:
        """Handles poll batches while sockets have events: up to BATCHES of them, and none when a
        timer of the loop is nearly due.
        """
        handlers = self._handlers
        outbox = self.context.outbox
        poller = self.context.poller
        events = poller.poll()
        batches = 0
        while events:
            outbox.begin_batch(len(events))
            for fd, event, received in events:
                handler = handlers.get(fd)
                if handler is not None:  # else an earlier event of the batch closed it
                    handler(event, received)
                    if self.failure is not None:
                        return
            events.clear()  # frees what was received
            received = None
            if self._admitted:
                self.register_admitted()
            self._end_of_batch()
            batches += 1
            if self._awake or batches == BATCHES or self.failure is not None:
                return
            if monotonic_ns() + BATCH_WAIT_MS * 1_000_000 >= self._fires_at:
                return
            # While replies are pending there is no busy-poll, because the log's thread needs the
            # processor.
            events = poller.wait(outbox.empty)

    def _on_iteration(self) -> None:
        """Runs before the loop blocks: makes the calls in `Context.later`, then ends a batch."""
        self._collector.collect_if_due(self.queue.total_jobs, self.queue.total_connections)
        self.context.run_later()
        self._end_of_batch()

    def _end_of_batch(self) -> None:
        """Commits, sends replies whose promise holds, and sets the loop's timer."""
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
        """While there is more work the loop polls the sockets but does not block. An idle watcher
        does that; a callback of gevent that is added here would run too late.
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
        self._fires_at = NEVER
        if at != NEVER:
            wait = wait_s(at - boot_ns())
            self._fires_at = monotonic_ns() + int(wait * 1e9)
            self._timer = self.loop.timer(wait)
            self._timer.start(self._on_timer, update=True)

    def _on_timer(self) -> None:
        # The timer has fired, perhaps before its instant: `_end_of_batch` sets it again.
        self._timer_at = -1
        now = boot_ns()
        self.context.tick(now)
        if self.context.outbox.next_at <= now:
            self.context.outbox.on_timers()

    def _on_log_event(self, event: int, received: Received) -> None:
        """The log has reported progress or a failure. Replies are sent at the end of the batch."""
        try:
            self.context.outbox.log_event()
        except wal.LogFailed as error:
            self.fail(error)

    def _check_lock(self, binlog: Binlog) -> None:
        """Ends the server if its lock is lost: a second server may write to the directory."""
        try:
            binlog.log.check_lock()
        except wal.LogFailed as error:
            self.fail(error)

    # --- connections ------------------------------------------------------------------------------

    def admit(self, sock: socket.socket, address: str) -> None:
        if self.verbosity:
            self.say(f"accept {sock.fileno()}")
        try:
            connection = Connection(self.context, PlainTransport(sock, self.epoll))
        except MemoryError:
            self.queue.memory.release()
            sock.close()
            return
        self.connections[connection.fd] = connection
        self.admission.opened(connection.fd, address)
        self._admitted.append(connection)

    def register_admitted(self) -> None:
        """Registers the connections that this batch accepted. That is done at the end of the batch:
        the batch may have events of a closed connection with the same descriptor.
        """
        for connection in self._admitted:
            if not connection.gone:
                self._handlers[connection.fd] = connection.on_event
        self._admitted.clear()

    def _make_session(self, owner: SessionOwner, fd: int) -> Session:
        if self.verbosity >= TRACE_COMMANDS:
            return TracingSession(self.dispatcher, owner, fd, self.say)
        return Session(self.dispatcher, owner)

    def _forget(self, fd: int) -> None:
        del self.connections[fd]
        self._handlers.pop(fd, None)
        if self.verbosity:
            self.say(f"close {fd}")
        self._acceptor.connection_closed(fd)


def wait_s(left_ns: int) -> float:
    """How long the loop waits for an instant, in seconds.

    The loop's timers do not count the time in which the machine is suspended. So the loop never
    waits long, and looks at the clock again.
    """
    return min(max(left_ns / 1e9, 0.0), WAIT_MAX_S)


def _nothing() -> None:
    pass
