"""A real server as its clients see it: sockets, real time, signals."""

from __future__ import annotations

import select
import signal
import socket
import time

from testkit.daemon import Daemon
from testkit.replies import split_replies, take_reply
from testkit.waiting import HANG_S

from .cuts import Cut
from .runner import Mismatch
from .transcript import World

REPLY_SECONDS = HANG_S
SYNC_ITERATIONS = 3
_UNKNOWN = b"UNKNOWN_COMMAND\r\n"


class LiveConn:
    """The connection of one client.

    reset: the server has reset it. Replies that the server had still to send are lost then.
    """

    def __init__(self, daemon: Daemon, cut: Cut, timeout_s: float = REPLY_SECONDS) -> None:
        self._socket = daemon.connect()
        self._cut = cut
        self._timeout_s = timeout_s
        self._got = b""
        self.open = True
        self.reset = False

    def send(self, block: bytes) -> None:
        try:
            for chunk in self._cut.chunks(block):
                self._send(chunk)
        except BrokenPipeError:
            pass  # the server has closed already (`quit`); earlier replies can still be read
        except ConnectionResetError:
            self.reset = True

    def _send(self, chunk: bytes) -> None:
        """Reads replies while sending: the C server does not read while its replies are blocked.

        Raises TimeoutError.
        """
        deadline = time.monotonic() + REPLY_SECONDS
        while chunk and self.open:
            seconds = max(deadline - time.monotonic(), 0.0)
            readable, writable, _ = select.select([self._socket], [self._socket], [], seconds)
            if writable:
                chunk = chunk[self._socket.send(chunk, socket.MSG_DONTWAIT) :]
            elif readable:
                self._receive(0.0)
            else:
                raise TimeoutError("the server does not read")

    def read(self, count: int) -> list[bytes]:
        """That many replies; fewer if the connection ends or the timeout expires."""
        replies: list[bytes] = []
        deadline = time.monotonic() + self._timeout_s
        while len(replies) < count:
            taken = take_reply(self._got)
            if taken is not None:
                replies.append(taken[0])
                self._got = taken[1]
            elif not self._receive(deadline - time.monotonic()):
                break
        return replies

    def read_to_eof(self) -> list[bytes]:
        deadline = time.monotonic() + self._timeout_s
        while self._receive(deadline - time.monotonic()):
            pass
        replies, self._got = split_replies(self._got), b""
        return replies

    def rest(self) -> bytes:
        """Received bytes that no `read` has taken."""
        while self.open and self._receive(0.0):
            pass
        rest, self._got = self._got, b""
        return rest

    def _receive(self, seconds: float) -> bool:
        if not self.open or not select.select([self._socket], [], [], max(seconds, 0.0))[0]:
            return False
        try:
            data = self._socket.recv(1 << 20)
        except ConnectionResetError:  # the server closed with unread input
            self.reset = True
            data = b""
        self._got += data
        if not data:
            self.close()
        return bool(data)

    def shutdown(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._socket.close()
        self.open = False


class LivePeer:
    """One server and the clients of one transcript."""

    def __init__(
        self, daemon: Daemon, world: World, cut: Cut, timeout_s: float = REPLY_SECONDS
    ) -> None:
        self.daemon = daemon
        self.world = world
        self._cut = cut
        self._timeout_s = timeout_s
        self._conns: list[LiveConn] = []

    def open(self) -> LiveConn:
        conn = self._connect()
        self._conns.append(conn)
        self.sync(conn)  # the server has accepted the connection
        return conn

    def _connect(self) -> LiveConn:
        return LiveConn(self.daemon, self._cut, self._timeout_s)

    def sync(self, idle: LiveConn | None) -> None:
        """Returns when the server has processed everything sent so far.

        The reply to a later command shows it: earlier bytes are read in the same iteration of the
        event loop or before. The command is an unknown word, which no counter counts. It is sent
        several times because the C server needs several iterations to see a close.
        """
        if idle is None:
            time.sleep(0.02)
            return
        for _ in range(SYNC_ITERATIONS):
            if before := idle.rest():
                raise Mismatch(f"unexpected: {before!r}")
            idle.send(b"?\r\n")
            if (got := idle.read(1)) != [_UNKNOWN]:
                raise Mismatch(f"a client that should be idle got {got!r}")

    def advance(self, seconds: float) -> None:
        time.sleep(seconds)

    def drain(self) -> None:
        self.daemon.send_signal(signal.SIGUSR1)
        with self.daemon.connect() as probe:
            deadline = time.monotonic() + REPLY_SECONDS
            while True:
                probe.sendall(b"stats\r\n")
                stats = b""
                while take_reply(stats) is None:
                    stats += probe.recv(1 << 16)
                if b"draining: true" in stats:
                    return
                assert time.monotonic() < deadline, "SIGUSR1 did not start drain mode"

    def restart(self) -> None:
        """Kills the server and starts it again on the same directory. All clients are gone."""
        self.daemon.kill()
        self.stop()
        self._conns.clear()
        self.daemon.start()

    def set_wall_clock(self, seconds: float) -> None:
        raise NotImplementedError("a live server uses the clock of the machine")

    def stop(self) -> None:
        for conn in self._conns:
            conn.close()
