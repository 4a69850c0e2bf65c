"""One client's socket and its session, on gevent's loop: watchers with callbacks, no greenlet, no switch.

A readable socket costs one recv and, when there is something to say, one send. With a log, what is said waits on the server's list until the log has
reached the LSN it was said at (law 2). A client that does not read its replies is not read from either: at most QUEUE_LIMIT bytes (and one
reply) are kept for it, plus what one recv brought.
"""

import errno
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from struct import Struct
from termios import TIOCOUTQ
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from .session import Session

if TYPE_CHECKING:
    from .server import Server

RECEIVE_BYTES = 64 * 1024  # for one recv
QUEUE_LIMIT = 256 * 1024  # bytes of replies not yet taken by the kernel
INPUT_LIMIT = 64 * 1024  # bytes sent ahead by a client that waits in reserve
DISCARDS = 64  # recvs of unread input at the server's end
READ, WRITE = 1, 2
UNREACHABLE = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
_INT = Struct("i")


class Connection:
    """A client. `queued`: bytes of replies that wait, for the log or for the socket."""

    __slots__ = (
        "server", "socket", "fd", "session", "queued", "gone",
        "_receive", "_send", "_reader", "_reading", "_writer", "_unsent", "_ahead", "_ended", "_goes_on",
    )  # fmt: skip

    def __init__(self, server: "Server", sock: socket.socket) -> None:
        self.server = server
        self.socket = sock
        self.fd = sock.fileno()
        self.session: Session = server.new_session(self)
        self.queued = 0
        self.gone = False
        self._receive = sock.recv
        self._send = sock.send
        self._reader: Any = server.loop.io(self.fd, READ)
        self._writer: Any = None
        self._unsent = bytearray()
        self._ahead = False  # it waits in reserve, and has sent too much behind that
        self._ended = False
        self._goes_on = False  # its turn comes without anything to read
        self._reading = True
        self._reader.start(server.ready.append, self._readable)

    # --- in ------------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        """The server's turn has come to it."""
        if not self._reading:
            return  # not any more: somebody before it in this turn saw to that
        try:
            data = self._receive(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.lost(error)
            return
        server = self.server
        now = monotonic_ns()
        engine = server.engine
        timers = engine.timers
        if timers and timers[0][0] <= now:  # as tick_if_due does it
            server.tick(now)
            if self.gone:
                return
        if data:
            self.session.receive(data, now)
        else:
            self._ended = True
            self.session.end_of_input(now)
        if engine.woken:
            server.settle(now)
        self.flush(now)

    def flush(self, now: int) -> None:
        """Hands on what the session has to say. If it held back commands for that, they go on in the next turn, behind those of others."""
        session = self.session
        data = session.take_output()
        if data:
            log = self.server.log
            # What is owed leaves first, even if nothing holds it any more: this is also called amid its leaving.
            if log is None or (log.lsn <= log.promised_lsn and not self.server.owed):
                self.send(data)
            else:
                self.queued += len(data)
                self.server.owed.append((log.lsn, self, data))
        if session.held and self.queued <= QUEUE_LIMIT and not self._goes_on:
            self._goes_on = True
            self.server.later.append(self._go_on)
        # Whether `_watch` has anything to change: seldom. (Who has ended or is gone is not read from.)
        if not self._reading or session.closed or session.held or session.client.waiting or self.queued > QUEUE_LIMIT:
            if not self.gone:
                self._watch()

    def _go_on(self) -> None:
        self._goes_on = False
        if self.gone:
            return
        now = monotonic_ns()
        self.server.tick_if_due(now)
        self.session.run(now)
        self.server.settle(now)
        self.flush(now)

    def _watch(self) -> None:
        """Reads on, unless the client has ended, does not take its replies, or sent too much ahead of a reserve that waits."""
        session = self.session
        if session.closed and not self.queued:
            if not self.server.ending:  # when all end, each is let go by the server
                self.close()
            return
        ahead = session.client.waiting and session.parser.buffered > INPUT_LIMIT
        if ahead is not self._ahead:
            self._ahead = ahead
            if ahead:
                self.server.hang_ups.add(self)
            else:
                self.server.hang_ups.discard(self)
        reading = not (ahead or self._ended or session.closed or session.held or self.queued > QUEUE_LIMIT)
        if reading is not self._reading:
            self._reading = reading
            if reading:
                self._reader.start(self.server.ready.append, self._readable)
            else:
                self._reader.stop()

    def hung_up(self) -> None:
        """It waits in reserve, nothing more is read from it, and now it has closed or shut down its side.

        That ends the waiting. What it had sent before is still in the kernel, and read and answered first.
        """
        now = monotonic_ns()
        self.session.hang_up(now)
        self.server.settle(now)
        self.flush(now)

    # --- out -----------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """To the socket; what it does not take is kept, in order."""
        if self._unsent:
            self._unsent += data
            self.queued += len(data)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.lost(error)
            return
        if sent < len(data):
            self._unsent += memoryview(data)[sent:]
            self.queued += len(data) - sent
            if self._writer is None:
                self._writer = self.server.loop.io(self.fd, WRITE)
            self._writer.start(self._writable)

    def send_promised(self, data: bytes, now: int) -> None:
        """The log has reached what this was waiting for."""
        if self.gone:
            return
        self.queued -= len(data)
        self.send(data)
        if not self.gone and (self.session.held or self.session.closed or not self._reading):
            self.flush(now)

    def _writable(self) -> None:
        try:
            with memoryview(self._unsent) as unsent:
                sent = self._send(unsent[:QUEUE_LIMIT])
        except BlockingIOError:
            return
        except OSError as error:
            self.lost(error)
            return
        del self._unsent[:sent]
        self.queued -= sent
        if not self._unsent:
            self._writer.stop()
        self.flush(monotonic_ns())

    # --- the end -------------------------------------------------------------------------------------------------

    def lost(self, error: OSError) -> None:
        """The socket broke. A peer that went away is nothing to report, nor one that cannot be reached any more."""
        if not isinstance(error, ConnectionError) and error.errno not in UNREACHABLE:
            self.server.report(f"connection: {error.strerror}")
        self.close()

    def close(self) -> None:
        """Leaves the loop; the jobs it held are ready again, within this turn."""
        if self.gone:
            return
        self.abandon()
        self.server.forget(self)
        if self.server.ending:
            return  # without a change to any job
        now = monotonic_ns()
        self.session.lost(now)
        self.server.settle(now)

    def take_no_more(self) -> None:
        """The server ends: no more commands, but what is owed still leaves."""
        self.session.take_no_more()
        if self._reading:
            self._reading = False
            self._reader.stop()

    def all_sent(self) -> bool:
        """Whether the client has everything. While it has not, closing may lose what is on its way: with commands unread, a close is a reset."""
        if self.queued:
            return False
        try:
            on_the_way: int = _INT.unpack(ioctl(self.fd, TIOCOUTQ, _INT.pack(0)))[0]
        except OSError:
            return True
        return not on_the_way or self.socket.family == socket.AF_UNIX  # what was sent to a unix socket is its reader's

    def discard_unread(self) -> None:
        """So that closing is no reset, for which some systems throw away what their client has not read yet."""
        with suppress(OSError):
            for _ in range(DISCARDS):
                if not self._receive(RECEIVE_BYTES):
                    break

    def abandon(self) -> None:
        """Leaves the loop and closes the socket, and nothing else."""
        self.gone = True
        self._reading = False
        if self._ahead:
            self.server.hang_ups.discard(self)
        for watcher in (self._reader, self._writer):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        self.socket.close()
        # The cycles between connection, session, client and watchers: without them no collector is needed.
        self.session.owner = None
        self.session.client.session = None
        self._reader = self._writer = None


class HangUps:
    """Tells that a client closed or half-closed, without reading from it: the loop's own watchers cannot.

    For the rare clients that send more than INPUT_LIMIT behind a reserve that waits. They all share one epoll descriptor that looks for EPOLLRDHUP
    only, and is itself something that the loop can watch. It is there from the start: descriptors may be short when it is needed.
    """

    def __init__(self, loop: Any, ready: "list[Callable[[], None]]") -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Connection] = {}
        self._watcher = loop.io(self._epoll.fileno(), READ)
        self._watcher.start(ready.append, self._look)

    def add(self, connection: Connection) -> None:
        self._watched[connection.fd] = connection
        self._epoll.register(connection.fd, select.EPOLLRDHUP)

    def discard(self, connection: Connection) -> None:
        if self._watched.pop(connection.fd, None) is not None:
            self._epoll.unregister(connection.fd)

    def _look(self) -> None:
        for fd, _ in self._epoll.poll(0):
            connection = self._watched.get(fd)
            if connection is not None:
                connection.hung_up()
