"""How a connection reads and writes: the seam, and its form for a plain socket.

`Connection` knows a transport and no socket. A TLS transport or one that receives for a whole poll
batch in one call stands behind the same seam:

- `receive` and `send` may be answered from buffers of the transport. Only `receive_again_from` says
  whether bytes may be left that no further readiness event announces.
- A handshake (STARTTLS, or TLS from the first byte) ends before its transport is given to a
  connection. A connection that changes to TLS takes the new transport with `Connection.use`.
- `translate` lets a transport answer for events that mean something else to it, for example a
  socket that must become writable before more can be read.

Facts about epoll that this file relies on. A socket is registered edge-triggered: each change is
reported once, and events of several sockets come in the order in which they happened. After a recv
on a TCP socket that returned less than was asked for, everything that had arrived is read; what
arrives later is a new event. Not so for unix sockets, whose recv stops behind passed descriptors,
nor for a TCP socket with urgent data or after the end of input.
"""

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from struct import Struct
from termios import TIOCOUTQ
from typing import Protocol

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT
# the peer closed or shut down its side, or the connection broke
HUNG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EVENTS = READABLE | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
RECEIVE_BYTES = 64 * 1024  # for one call of receive
DISCARDS = 64  # calls of recv for unread input, before a socket is closed
_INT = Struct("i")


class Transport(Protocol):
    """One client's byte stream, registered with the server's epoll object."""

    @property
    def fd(self) -> int:
        """The descriptor that epoll reports."""

    @property
    def receive(self) -> Callable[[int], bytes]:
        """Returns what has arrived, at most so many bytes; b"" at the end of input.

        Raises BlockingIOError if nothing has arrived, OSError if the connection is broken.
        """

    @property
    def send(self) -> Callable[[bytes | bytearray | memoryview], int]:
        """Returns how many bytes were taken. Raises BlockingIOError if none, or OSError."""

    @property
    def receive_again_from(self) -> int:
        """After a receive of at least so many bytes more may be left to receive, and no event will
        tell of it. May change when an event is translated.
        """

    def translate(self, event: int) -> int:
        """The flags that the connection is to act on, for each event but a lone READABLE."""

    def await_writable(self, wanted: bool) -> None:
        """Whether a WRITABLE event is to be reported when `send` takes bytes again."""

    def undelivered(self) -> int:
        """Bytes that were taken by `send` and that the peer's kernel does not have yet."""

    def shutdown(self) -> None:
        """Everything was sent: closing may not destroy what the peer has not read yet."""

    def close(self) -> None:
        """Leaves epoll and closes. May be called more than once."""


class PlainTransport:
    """TCP or a unix socket, non-blocking, without encryption."""

    __slots__ = ("_epoll", "_is_unix", "_socket", "fd", "receive", "receive_again_from", "send")

    def __init__(self, sock: socket.socket, epoll: select.epoll) -> None:
        self._socket = sock
        self._epoll = epoll
        self._is_unix = sock.family == socket.AF_UNIX
        self.fd = sock.fileno()
        # The socket's own methods: a call of Python less for each command.
        self.receive: Callable[[int], bytes] = sock.recv
        self.send: Callable[[bytes | bytearray | memoryview], int] = sock.send
        self.receive_again_from = 1 if self._is_unix else RECEIVE_BYTES
        epoll.register(self.fd, EVENTS)

    def translate(self, event: int) -> int:
        if event & ~WRITABLE:
            self.receive_again_from = 1
        return event

    def await_writable(self, wanted: bool) -> None:
        self._epoll.modify(self.fd, EVENTS | WRITABLE if wanted else EVENTS)

    def undelivered(self) -> int:
        """What was sent to a unix socket is in its reader's buffer."""
        if self._is_unix:
            return 0
        try:
            unacknowledged: int = _INT.unpack(ioctl(self.fd, TIOCOUTQ, _INT.pack(0)))[0]
        except OSError:
            return 0
        return unacknowledged

    def shutdown(self) -> None:
        """Reads and discards input. With unread input a close is a reset, upon which some systems
        destroy what their client has not read yet.
        """
        with suppress(OSError):
            for _ in range(DISCARDS):
                if not self.receive(RECEIVE_BYTES):
                    break

    def close(self) -> None:
        self._socket.close()
