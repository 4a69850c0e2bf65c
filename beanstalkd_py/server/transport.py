"""The seam between a connection and its socket, and its implementation for a plain socket.

`Connection` uses a transport and no socket. A later transport for TLS must fit behind it, so:

- The system calls of a plain socket are batched (see `batchedio`). Another transport is not
  `batched`: the connection calls its `receive` and `send`.
- `receive` and `send` may use buffers of the transport. Bytes may be left in such a buffer without
  a further readiness event; `receive_again_from` says when.
- A TLS handshake must end before the connection gets the transport. A connection that changes to
  TLS gets the new transport by `Connection.use`.
- `translate` maps an event to the event that the connection must handle. For example, TLS may have
  to write before it can read, so WRITABLE of the socket means READABLE.

Facts about epoll that this file relies on:

1. A socket is registered edge-triggered: each change is reported once.
2. The events of several sockets come in the order in which they happened.
3. If recv on a TCP socket returns fewer bytes than requested, everything that had arrived is read.
   What arrives later is a new event.
4. Fact 3 does not hold for unix sockets: recv stops at passed descriptors. It does not hold for a
   TCP socket with urgent data or after the end of input.
"""

import errno
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from struct import Struct
from termios import TIOCOUTQ
from typing import Final, Protocol

from beanstalkd_py.host.clock import boot_ns

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
# the peer closed or shut down its side, or the connection broke
HUNG_UP: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EVENTS: Final = READABLE | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
RECEIVE_BYTES: Final = 64 * 1024  # at most, by one call of `receive`
# errors of recv and send when the peer's machine is gone
UNREACHABLE: Final = (
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.ENETDOWN,
)
DISCARDS: Final = 64  # at most, calls of recv that discard unread input before a close
_INT: Final = Struct("i")
_CREDENTIALS: Final = Struct("iII")  # of the peer: process, user, group


class Transport(Protocol):
    """One client's byte stream, registered with the server's epoll object."""

    @property
    def fd(self) -> int:
        """The descriptor that epoll reports."""

    @property
    def batched(self) -> bool:
        """Whether `batchedio` may receive from `fd` and send to it, in place of the two calls
        below.
        """

    @property
    def receive(self) -> Callable[[int], bytes]:
        """Called with a number of bytes: returns at most so many of the bytes that have arrived;
        b"" at the end of input.

        Raises BlockingIOError if nothing has arrived, OSError if the connection is broken.
        """

    @property
    def send(self) -> Callable[[bytes | bytearray | memoryview], int]:
        """Returns how many bytes were taken. Raises BlockingIOError if the transport is full,
        OSError if the connection is broken.
        """

    @property
    def receive_again_from(self) -> int:
        """If `receive` returned at least so many bytes, more bytes may be left without a further
        event. May change when an event is translated.
        """

    def translate(self, event: int) -> int:
        """Returns the flags that the connection must handle. Not called for READABLE alone."""

    def await_writable(self, wanted: bool) -> None:
        """Sets whether epoll reports WRITABLE when `send` takes bytes again."""

    def undelivered(self) -> int:
        """Bytes that were taken by `send` and that the peer's kernel does not have yet."""

    @property
    def opened_at(self) -> int:
        """Boot time, ns."""

    def peer(self) -> tuple[str, str]:
        """Address and port of the client; for a unix socket "" and the number of its user."""

    def shutdown(self) -> None:
        """Everything was sent. Prepares a close that does not destroy bytes which the peer has not
        read.
        """

    def close(self) -> None:
        """Closes the socket, which also removes it from epoll. May be called more than once."""


class PlainTransport:
    """TCP or a unix socket, non-blocking, without encryption."""

    batched = True

    __slots__ = (
        "_epoll", "_is_unix", "_socket", "fd", "opened_at", "receive", "receive_again_from", "send",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, epoll: select.epoll) -> None:
        self._socket = sock
        self._epoll = epoll
        self._is_unix = sock.family == socket.AF_UNIX
        self.fd = sock.fileno()
        self.opened_at = boot_ns()
        # The socket's own methods: this saves a call in Python for each command.
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
        """For a unix socket 0: sent bytes are in the buffer of the reader at once."""
        if self._is_unix:
            return 0
        try:
            unacknowledged: int = _INT.unpack(ioctl(self.fd, TIOCOUTQ, _INT.pack(0)))[0]
        except OSError:
            return 0
        return unacknowledged

    def peer(self) -> tuple[str, str]:
        try:
            if self._is_unix:
                credentials = self._socket.getsockopt(
                    socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
                )
                return "", str(_CREDENTIALS.unpack(credentials)[1])
            host, port = self._socket.getpeername()[:2]
        except OSError:
            return "", ""
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}", ""

    def shutdown(self) -> None:
        """Reads and discards input. A close with unread input resets the connection. On a reset,
        some systems destroy bytes that the client has not read.
        """
        with suppress(OSError):
            for _ in range(DISCARDS):
                if not self.receive(RECEIVE_BYTES):
                    break

    def close(self) -> None:
        self._socket.close()
