"""The server: listeners, connections, timers, signals and the log's wake-up, on gevent's loop.

All clients' sockets stand in one epoll of the server's own, which the loop watches. One round:
epoll says who has news; they are read and answered into memory in the order in which the news came;
then what was appended is handed to the log (group commit), and what may leave does. When the log
says how far it got, the replies that waited for it leave, oldest first (law 2). Anything unexpected
in a callback ends the process: a broken invariant must not go on serving.

Why not a watcher of the loop for each socket: libev calls them last come, first served. To clients
that would be time running backwards: A closes, then B asks, and is told that A still holds its job.
It also costs more (docs/performance.md), as does sending each reply at once: each send may wake a
client on another core, while those of a whole round find it awake.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from time import monotonic_ns, time_ns
from typing import Any

import beanstalkd_wal as wal
import gevent
import gevent.event

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.log import Log
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.protocol.trace import TracingSession
from beanstalkd_py.queue.model import NEVER
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.listen import Listeners
from beanstalkd_py.server.memory import LOOK_S, Memory, keep_free_heap
from beanstalkd_py.server.outbox import Outbox

READ = 1  # what the loop's watchers are to look for
NEWS = 256  # sockets served in a round
ROUNDS = 8  # before the loop looks at its other watchers
# looks for news, 40 us together, before the thread goes to sleep: to sleep and to wake costs as
# much CPU, and 30 us of time
SPINS = 60
SPINS_IN_VAIN = 4  # one after the other, until it goes to sleep at once
SLEEPS = 64  # how often, before it tries again
# how long the next round is waited for before the loop looks at its watchers: one look less for
# each command of a lone client
STAY_NS = 1_000_000
# after which the log's thread, when it wants to go on, gets Python's lock from a turn that
# compacts; 5 ms otherwise
SWITCH_S = 0.0005
ACCEPTS = 64  # connections taken per readable event of a listener
ACCEPT_PAUSE_S = 1.0  # without descriptors: until one is closed, or this long
LINGER_S = 3.0  # at the end, for clients that are slow to take their replies
POLL_S = 0.005  # at the end, between two looks at what is still owed
TRACE_COMMANDS = 2  # from this verbosity on
SAY_WHY_NS = 60_000_000_000  # between two lines that say why nobody is accepted


class Server:
    """Serves a queue on `listeners` until it is told to stop. `report` takes a line for the
    operator.
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
        self.report = report
        self.verbosity = verbosity
        self.say = say  # what -V prints
        self.max_connections = max_connections
        self.sync_ms = sync_ms
        self.binlog: Binlog | None = None
        self.log: Log | None = None
        self.outbox = Outbox(None, sync_ms, monotonic_ns, time_ns)
        self.connections: dict[int, Connection] = {}  # by descriptor
        self.epoll = select.epoll()  # of their sockets, and of those that listen
        self._on_event: dict[
            int, Callable[[int], None]
        ] = {}  # by descriptor; given a set of epoll's flags
        self.later: list[Callable[[], None]] = []  # what goes on in the next turn
        self.failure: BaseException | None = None
        # Whatever the environment says: the others need cffi, or look through all descriptors.
        gevent.config.loop = ["libev-cext", "libev-cffi"]
        gevent.config.libev_backend = "epoll"
        self.hub: Any = gevent.get_hub()
        self.loop: Any = self.hub.loop
        self._news: Any = self.loop.io(self.epoll.fileno(), READ)
        self._accept_later: Any = None
        self._say_why_at = 0
        self._settling = False
        self._timer: Any = None
        self._timer_at = NEVER
        self._memory = Memory(self.queue, dispatcher.counts, self.connections.values())
        self._memory_timer: Any = self.loop.timer(LOOK_S, LOOK_S)
        self._signals: list[Any] = []  # watchers
        self._stop = gevent.event.Event()
        self.ending = False  # no connection's end changes anything any more
        self._log_news = os.eventfd(0)  # never read: edge-triggered, each write to it is news
        self.epoll.register(self._log_news, select.EPOLLIN | select.EPOLLET)
        self._on_event[self._log_news] = self._on_log_news
        self._turn: Any = self.loop.prepare()
        self._idle: Any = self.loop.idle()
        self._awake = False
        self._spins = SPINS_IN_VAIN  # below 0: sleeps until it tries again
        self._accepted: list[Connection] = []  # in this round

    # --- life -------------------------------------------------------------------------------------

    def wake_up(self) -> None:
        """From any thread: the log has news."""
        os.eventfd_write(self._log_news, 1)

    def serve(
        self, binlog: Binlog | None, ready: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        """Serves until SIGTERM, SIGINT or a failure; then ends in order. Raises what stopped it, if
        it was not a signal.
        """
        self.binlog = binlog
        self.log = binlog.log if binlog is not None else None
        self.outbox = Outbox(binlog, self.sync_ms, monotonic_ns, time_ns)
        sys.setswitchinterval(SWITCH_S)
        keep_free_heap()
        self.hub.handle_error = self._unexpected
        # They are never stopped: without them a second SIGTERM would kill the process at its end.
        self._on_signal(signal.SIGTERM, self._stop.set)
        self._on_signal(signal.SIGINT, self._stop.set)
        # Python's own handler: it is run before what clients send behind the signal is read, in the
        # middle of a wait for news, too.
        signal.signal(signal.SIGUSR1, lambda number, frame: self._drain())
        if binlog is not None:
            self.wake_up()  # the log may have reported progress before the loop ran
        self._news.start(self._on_news)
        self._turn.start(self._on_turn)
        self._memory_timer.start(self._memory.look)
        self._accept()
        self.queue.tick(monotonic_ns())
        ready()
        self._stop.wait()
        stopping()
        self._end()
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
        self.outbox.discard()
        self._news.stop()
        self._turn.stop()  # what has news stays unread, what was appended uncommitted
        self._stop.set()

    def _unexpected(self, context: object, kind: Any, value: Any, trace: Any) -> None:
        """gevent's hub gives every error of a callback here."""
        self.fail(value if isinstance(value, BaseException) else RuntimeError(str(value)))

    def _end(self) -> None:
        """No new connections, no more commands, replies owed are sent, the log is committed and
        closed, the socket file removed.
        """
        if self._accept_later is None:
            self._accept_none()
        self.listeners.close()
        self.ending = True
        if self.failure is None:
            for connection in self.connections.values():
                connection.take_no_more()
            while (
                not self.outbox.empty and self.failure is None
            ):  # they leave when the log has reached them, however late
                gevent.sleep(POLL_S)
            with gevent.Timeout(LINGER_S, False):
                while self._linger():
                    gevent.sleep(POLL_S)
        self._news.stop()
        self._turn.stop()
        if self.failure is None and self.log is not None:
            self.log.close(time_ns())
        for connection in self.connections.values():
            connection.abandon()

    def _linger(self) -> bool:
        """Lets those go whose clients have all their replies. True while there are others."""
        if self.failure is not None:
            return False
        for connection in [
            connection for connection in self.connections.values() if connection.all_sent()
        ]:
            del self.connections[connection.fd]
            connection.discard_unread()
            connection.abandon()
        return bool(self.connections)

    # --- one turn ---------------------------------------------------------------------------------

    def _on_news(self) -> None:
        """Some sockets have news; and, under load, more of them as soon as those are served. The
        loop is asked again before a timer is due.
        """
        on_event = self._on_event
        news = self.epoll.poll(0, NEWS)
        rounds = 0
        while news:
            self.outbox.begin_batch(len(news))
            for fd, event in news:
                if fd in on_event:  # else somebody before it in this round made the server close it
                    on_event[fd](event)
                    if self.failure is not None:
                        return
            if self._accepted:
                self._attend_to_new()
            self._end_of_batch()
            rounds += 1
            if self._awake or rounds == ROUNDS or self.failure is not None:
                return
            soon = monotonic_ns() + STAY_NS
            if soon >= self._timer_at:
                return
            news = self._await_news()

    def _await_news(self) -> list[tuple[int, int]]:
        """Epoll's, for a millisecond. Wide awake, if that was worth while lately; not while the
        log's thread is to get on.
        """
        poll = self.epoll.poll
        if self._spins > 0 and self.outbox.empty:
            for _ in range(SPINS):
                news = poll(0, NEWS)
                if news:
                    self._spins = SPINS_IN_VAIN
                    return news
            self._spins = self._spins - 1 or -SLEEPS
        elif self._spins < 0:
            self._spins = self._spins + 1 or 1
        return poll(STAY_NS / 1e9, NEWS)

    def _on_turn(self) -> None:
        """Between two looks of the loop at its watchers."""
        if self.later:
            later, self.later = self.later, []  # what goes on after this turn is for the next one
            for go_on in later:
                go_on()
        self._end_of_batch()

    def _end_of_batch(self) -> None:
        """Commits, sends what may leave, and sets the loop's timer."""
        outbox = self.outbox
        try:
            more = outbox.end_of_batch()
        except wal.LogFailed as error:
            self.fail(error)
            return
        more = more or bool(self.later)
        if more is not self._awake:
            self._stay_awake(more)
        at = outbox.next_at
        timers = self.queue.timers
        if timers and timers[0][0] < at:
            at = timers[0][0]
        if at != self._timer_at:
            self._set_timer(at)

    def _stay_awake(self, more: bool) -> None:
        """While there is more to do the loop looks at the sockets, but does not sleep. (gevent's
        own callbacks, added here, come too late.)
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
        self.tick(now)
        if self.outbox.next_at <= now:
            self.outbox.on_timers()

    def tick_if_due(self, now: int) -> None:
        """Before any command: what has expired by then has."""
        if self.queue.next_at <= now:
            self.tick(now)

    def tick(self, now: int) -> None:
        self.queue.tick(now)
        self.settle(now)

    def settle(self, now: int) -> None:
        """Replies of clients that were woken go to their connections.

        One of these may turn out to be gone, and its close wakes the next who waits, and so on:
        each is settled here, one after another, not within each other.
        """
        if self._settling:
            return
        self._settling = True
        while self.queue.woken:
            for session in Session.settle(self.dispatcher, now):
                connection = session.owner
                if isinstance(connection, Connection) and not connection.gone:
                    connection.flush(now)
        self._settling = False

    # --- the log ----------------------------------------------------------------------------------

    def _on_log_news(self, event: int) -> None:
        """The log has reported progress or a failure. Replies leave at the end of the batch."""
        try:
            self.outbox.log_event()
        except wal.LogFailed as error:
            self.fail(error)

    def _later(self, seconds: float, callback: Callable[[], None]) -> Any:
        timer = self.loop.timer(seconds)
        timer.start(callback, update=True)
        return timer

    # --- connections ------------------------------------------------------------------------------

    def _accept(self) -> None:
        """Among the clients' sockets, so that who comes and who goes is known in that order."""
        for listener in self.listeners.sockets:
            self.epoll.register(listener, select.EPOLLIN)
            self._on_event[listener.fileno()] = partial(self._acceptable, listener)

    def _accept_none(self) -> None:
        for listener in self.listeners.sockets:
            self.epoll.unregister(listener)
            del self._on_event[listener.fileno()]

    def _acceptable(self, listener: socket.socket, event: int) -> None:
        if self._stop.is_set():
            return
        for _ in range(ACCEPTS):
            if len(self.connections) >= self.max_connections:
                self._pause_accepting(
                    f"{self.max_connections} connections: no descriptors for more, so others wait"
                )
                return
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # gone already
            except OSError as error:
                self._pause_accepting(f"accept(): {error.strerror}")
                return
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.verbosity:
                self.say(f"accept {sock.fileno()}")
            connection = Connection(self, sock)
            self.connections[connection.fd] = connection
            self._accepted.append(connection)

    def _attend_to_new(self) -> None:
        """Not before the round is over: it may still hold news of whoever had their descriptors
        until then.
        """
        for connection in self._accepted:
            if not connection.gone:
                self._on_event[connection.fd] = connection.on_event
        self._accepted.clear()

    def _pause_accepting(self, why: str) -> None:
        """Out of descriptors, most likely: clients wait in the backlog, nothing spins, and the
        operator hears of it now and then.
        """
        now = monotonic_ns()
        if now >= self._say_why_at:
            self._say_why_at = now + SAY_WHY_NS
            self.report(why)
        if self._accept_later is None:
            self._accept_none()
            self._accept_later = self._later(ACCEPT_PAUSE_S, self._accept_again)

    def _accept_again(self) -> None:
        if self._accept_later is None:
            return
        self._accept_later.stop()
        self._accept_later = None
        if not self._stop.is_set():
            self._accept()

    def new_session(self, connection: Connection) -> Session:
        if self.verbosity >= TRACE_COMMANDS:
            return TracingSession(self.dispatcher, connection, connection.socket.fileno(), self.say)
        return Session(self.dispatcher, connection)

    def forget(self, connection: Connection) -> None:
        del self.connections[connection.fd]
        self._on_event.pop(connection.fd, None)
        if self.verbosity:
            self.say(f"close {connection.fd}")
        if self._accept_later is not None:
            self.loop.run_callback(self._accept_again)


def _nothing() -> None:
    pass
