"""A connection that reads while it sends, so that neither side blocks the other.

It returns all replies in order. It raises an error if the server closes, or is silent for too long.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterable, Iterator

from testkit.closing import Closing
from testkit.waiting import HANG_S

from .replies import Replies, Reply, fields

_RECEIVE_BYTES = 1 << 18
_SEND_BYTES = 1 << 18


class Closed(Exception):
    """The server closed the connection before it had sent all replies."""


class Conversation(Closing):
    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._replies = Replies()
        self._selector = selectors.DefaultSelector()
        self._selector.register(connection, selectors.EVENT_READ)

    def close(self) -> None:
        self._selector.close()
        self._socket.close()

    def send(self, *commands: bytes) -> None:
        """Sends commands without waiting. They must fit into the socket buffer."""
        self._socket.sendall(_lines(commands))

    def replies(self, count: int) -> list[Reply]:
        """The next replies."""
        return self._gather(b"", count)

    def hears_something(self, seconds: float) -> bool:
        """Whether the server sends anything within this time."""
        self._selector.modify(self._socket, selectors.EVENT_READ)
        return bool(self._selector.select(seconds))

    def ask(self, *commands: bytes) -> list[Reply]:
        """Sends commands, without their line ends, and returns the replies."""
        return self._gather(_lines(commands), len(commands)) if commands else []

    def _gather(self, sent: bytes, count: int) -> list[Reply]:
        found: list[Reply] = []
        for data in self._exchange(sent):
            found += self._replies.feed(data)
            if len(found) >= count:
                break
        assert len(found) == count, (
            f"{len(found)} replies instead of {count}: {[str(reply) for reply in found[-3:]]}"
        )
        return found

    def say(self, *commands: bytes) -> list[str]:
        """The first lines of the replies."""
        return [str(reply) for reply in self.ask(*commands)]

    def stats(self, of: bytes = b"stats") -> dict[str, str]:
        """The values of `stats`, `stats-job ID` or `stats-tube NAME`."""
        (reply,) = self.ask(of)
        assert reply.words[0] == b"OK", f"{of!r}: {reply}"
        return fields(reply.data)

    def expect(self, sent: bytes, expected: bytes) -> None:
        """Sends all bytes and expects exactly these replies; for millions of commands."""
        at = 0
        for data in self._exchange(sent):
            if data != expected[at : at + len(data)]:
                raise AssertionError(
                    f"at byte {at} of the replies: "
                    f"{_first_difference(data, expected[at : at + len(data)])}"
                )
            at += len(data)
            if at == len(expected):
                return

    def _exchange(self, sent: bytes) -> Iterator[bytes]:
        """Sends, and yields everything received meanwhile and afterwards."""
        rest = memoryview(sent)
        while True:
            interest = selectors.EVENT_READ | (selectors.EVENT_WRITE if rest else 0)
            self._selector.modify(self._socket, interest)
            events = self._selector.select(HANG_S)
            if not events:
                raise TimeoutError(f"no reply for {HANG_S:.0f} s")
            if events[0][1] & selectors.EVENT_READ:
                data = self._socket.recv(_RECEIVE_BYTES)
                if not data:
                    raise Closed
                yield data
            elif rest:
                rest = rest[self._socket.send(rest[:_SEND_BYTES]) :]


def _first_difference(data: bytes, expected: bytes) -> str:
    at = next(
        (at for at, (one, other) in enumerate(zip(data, expected, strict=False)) if one != other), 0
    )
    return f"{data[max(at - 40, 0) : at + 40]!r} instead of {expected[max(at - 40, 0) : at + 40]!r}"


def _lines(commands: Iterable[bytes]) -> bytes:
    return b"".join([command + b"\r\n" for command in commands])


def put(body: bytes, pri: int = 0, delay: int = 0, ttr: int = 60) -> bytes:
    """A put command for `ask`."""
    return b"put %d %d %d %d\r\n%b" % (pri, delay, ttr, len(body), body)


def batches(commands: Iterable[bytes], size: int = 500) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for command in commands:
        batch.append(command)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
