"""One client's socket and its session: what the kernel says of the socket in, replies out. No
greenlet, no switch.

A readable socket costs one recv and, when there is something to say, one send. What is said waits
on the server's list until the turn is over and, with a log, until that has reached the LSN it was
said at (law 2). A client that does not read its replies is not read from either: at most
QUEUE_LIMIT bytes (and one reply) are kept for it, plus what one recv brought.

epoll is edge-triggered: it tells of news once, in the order in which they came. So whatever may be
left unread is read in a later turn without being asked for: a recv that took less than it could
leaves nothing, but for the cases in `_least_of_more`.
"""

import errno
import select
import socket
from contextlib import suppress
from fcntl import ioctl
from struct import Struct
from termios import TIOCOUTQ
from time import monotonic_ns
from typing import TYPE_CHECKING

from beanstalkd_py.protocol.session import Session

if TYPE_CHECKING:
    from beanstalkd_py.server.server import Server

RECEIVE_BYTES = 64 * 1024  # for one recv
QUEUE_LIMIT = 256 * 1024  # bytes of replies not yet taken by the kernel
INPUT_LIMIT = 64 * 1024  # bytes sent ahead by a client that waits in reserve
DISCARDS = 64  # recvs of unread input at the server's end
READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
HUNG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EVENTS = (
    READABLE | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
)  # what each socket is registered for
UNREACHABLE = (
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
)
_INT = Struct("i")


class Connection:
    """A client. `queued`: bytes of replies that wait, for the end of the turn, for the log or for
    the socket.
    """

    __slots__ = (
        "server", "socket", "fd", "session", "queued", "gone",
        "_receive", "_send", "_reading", "_least_of_more", "_hung_up", "_unsent", "_ahead", "_ended", "_goes_on",
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
        self._reading = True
        # A recv of so many bytes may have left more: as much as it could take; for unix sockets,
        # which stop behind passed descriptors, for urgent data and for the end of input, any.
        self._least_of_more = 1 if sock.family == socket.AF_UNIX else RECEIVE_BYTES
        # the client closed or shut down its side; perhaps there is more to read before that
        self._hung_up = False
        self._unsent = bytearray()
        self._ahead = False  # it waits in reserve, and has sent too much behind that
        self._ended = False
        self._goes_on = False  # its turn comes without anything to read
        server.epoll.register(self.fd, EVENTS)

    # --- in ---------------------------------------------------------------------------------------

    def on_event(self, event: int) -> None:
        """The kernel has news: a set of epoll's flags. One recv, and what follows from it. Hot,
        hence flat: `flush` is in it again.
        """
        if (event != READABLE and not self._on_other(event)) or not self._reading:
            return
        try:
            data = self._receive(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.lost(error)
            return
        server = self.server
        session = self.session
        now = monotonic_ns()
        queue = server.queue
        timers = queue.timers
        if timers and timers[0][0] <= now:  # as tick_if_due does it
            server.tick(now)
            if self.gone:
                return
        if data:
            if len(data) >= self._least_of_more:
                server.later.append(self._read_on)
            plain = session.receive(data, now)
        else:
            self._ended = True
            plain = False
            session.end_of_input(now)
        if queue.woken:
            server.settle(now)
        if not plain:
            self.flush(now)
            return
        data = session.take_output()
        if data:
            self.queued += len(data)
            server.outbox.add(self, data)
            if self.queued > QUEUE_LIMIT:
                self._watch()

    def _on_other(self, event: int) -> bool:
        """More, or less, than that there is something to read. Returns whether there is."""
        if event & WRITABLE and self._unsent:
            self._writable()
        if not event & ~WRITABLE or self.gone:
            return False
        self._least_of_more = 1
        if event & HUNG_UP:
            self._hung_up = True
            if self._ahead:
                self.hung_up()
        return True

    def _read_on(self) -> None:
        self.on_event(READABLE)

    def flush(self, now: int) -> None:
        """Hands on what the session has to say. If it held back commands for that, they go on in
        the next turn, behind those of others.
        """
        session = self.session
        data = session.take_output()
        if data:
            self.queued += len(data)
            self.server.outbox.add(self, data)
        if session.held and self.queued <= QUEUE_LIMIT and not self._goes_on:
            self._goes_on = True
            self.server.later.append(self._go_on)
        # Whether `_watch` has anything to change: seldom. (Who has ended or is gone is not read
        # from.)
        if (
            not self._reading
            or session.closed
            or session.held
            or session.client.waiting
            or self.queued > QUEUE_LIMIT
        ):
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
        """Reads on, unless the client has ended, does not take its replies, or sent too much ahead
        of a reserve that waits.
        """
        session = self.session
        if session.closed and not self.queued:
            if not self.server.ending:  # when all end, each is let go by the server
                self.close()
            return
        self._ahead = session.client.waiting and session.parser.buffered > INPUT_LIMIT
        reading = not (
            self._ahead
            or self._ended
            or session.closed
            or session.held
            or self.queued > QUEUE_LIMIT
        )
        if reading and not self._reading:
            self.server.later.append(self._read_on)  # what came in the meantime was not asked for
        self._reading = reading
        if self._ahead and self._hung_up:
            self.hung_up()

    def hung_up(self) -> None:
        """It waits in reserve, nothing more is read from it, and now it has closed or shut down its
        side.

        That ends the waiting. What it had sent before is still in the kernel, and read and answered
        first.
        """
        now = monotonic_ns()
        self.session.hang_up(now)
        self.server.settle(now)
        self.flush(now)

    # --- out --------------------------------------------------------------------------------------

    def deliver(self, data: bytes) -> None:
        """What this was waiting for has come to pass: to the socket. What it does not take is kept,
        in order.
        """
        if self.gone:
            return
        if self._unsent:
            self._unsent += data
        else:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self.lost(error)
                return
            self.queued -= sent
            if sent < len(data):
                self._unsent += memoryview(data)[sent:]
                self.server.epoll.modify(self.fd, EVENTS | WRITABLE)
        if not self._reading:  # so it is whoever is held back, or closed
            self.flush(monotonic_ns())

    def _writable(self) -> None:
        try:
            with memoryview(self._unsent) as unsent:
                sent = self._send(unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self.lost(error)
            return
        del self._unsent[:sent]
        self.queued -= sent
        if not self._unsent:
            self.server.epoll.modify(self.fd, EVENTS)
        self.flush(monotonic_ns())

    # --- the end ----------------------------------------------------------------------------------

    def lost(self, error: OSError) -> None:
        """The socket broke. A peer that went away is nothing to report, nor one that cannot be
        reached any more.
        """
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
        self._reading = False

    def all_sent(self) -> bool:
        """Whether the client has everything. While it has not, closing may lose what is on its way:
        with commands unread, a close is a reset.
        """
        if self.queued:
            return False
        try:
            on_the_way: int = _INT.unpack(ioctl(self.fd, TIOCOUTQ, _INT.pack(0)))[0]
        except OSError:
            return True
        return (
            not on_the_way or self.socket.family == socket.AF_UNIX
        )  # what was sent to a unix socket is its reader's

    def discard_unread(self) -> None:
        """So that closing is no reset, for which some systems throw away what their client has not
        read yet.
        """
        with suppress(OSError):
            for _ in range(DISCARDS):
                if not self._receive(RECEIVE_BYTES):
                    break

    def abandon(self) -> None:
        """Leaves the loop and closes the socket, and nothing else."""
        self.gone = True
        self._reading = False
        self.socket.close()
        # The cycles between connection, session and client: without them no collector is needed.
        self.session.owner = None
        self.session.client.session = None
