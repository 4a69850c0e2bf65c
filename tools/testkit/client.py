"""A client that sends bytes and takes whole replies; every wait ends after HANG_S."""

from __future__ import annotations

import socket
import struct

from .closing import Closing
from .replies import take_reply
from .waiting import HANG_S

RECEIVE_BYTES = 1 << 18
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger


def reset(connection: socket.socket) -> None:
    """Closes a TCP connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    connection.close()


class Client(Closing):
    """A connection. `say` sends, `hear` takes whole replies, `ask` does both."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(HANG_S)
        self._got = b""

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, count: int = 1) -> list[bytes]:
        """That many replies; fewer if the connection ends."""
        replies: list[bytes] = []
        while len(replies) < count:
            taken = take_reply(self._got)
            if taken is not None:
                replies.append(taken[0])
                self._got = taken[1]
                continue
            data = self._receive()
            if not data:
                break
            self._got += data
        return replies

    def hear_bytes(self, count: int) -> bytes:
        """That many bytes, whatever they are; fewer if the connection ends."""
        got = bytearray(self._got)
        while len(got) < count and (data := self._receive()):
            got += data
        self._got = bytes(got[count:])
        return bytes(got[:count])

    def unread(self) -> bytes:
        """What came after the last reply that was taken."""
        return self._got

    def ask(self, data: bytes) -> bytes:
        """Sends one command with its line end; the reply, b"" if the connection ends."""
        self.say(data)
        return b"".join(self.hear())

    def put(self, body: bytes = b"x", pri: int = 0, delay: int = 0, ttr: int = 60) -> int:
        """The id of the new job."""
        reply = self.ask(b"put %d %d %d %d\r\n%b\r\n" % (pri, delay, ttr, len(body), body))
        word, _, id = reply.partition(b" ")
        assert word == b"INSERTED", reply
        return int(id)

    def stats(self, command: bytes = b"stats") -> dict[str, str]:
        lines = self.ask(command + b"\r\n").decode().splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)

    def stat(self, key: bytes) -> bytes:
        for line in self.ask(b"stats\r\n").split(b"\n"):
            if line.startswith(key + b": "):
                return line.partition(b": ")[2]
        raise KeyError(key)

    def rest(self) -> bytes:
        """All that comes until the connection ends, in whatever way it ends."""
        pieces = [self._got]
        self._got = b""
        while data := self._receive():
            pieces.append(data)
        return b"".join(pieces)

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(RECEIVE_BYTES)
        except ConnectionResetError:
            return b""

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        reset(self.socket)
