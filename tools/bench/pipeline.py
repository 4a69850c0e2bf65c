"""A pipelined connection. It fills a server before a measurement, and sends commands that beanload
cannot send.

Every reply is checked. Bodies must not contain line ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from testkit.closing import Closing

from .servers import Running

BATCH = 500  # commands in flight
RECEIVE_BYTES = 1 << 18
YEAR_S = 31_536_000


class Pipeline(Closing):
    """A connection to a running server."""

    def __init__(self, server: Running) -> None:
        self._connection = server.connect()
        self._lines = self._incoming()

    def close(self) -> None:
        self._connection.close()

    def ask(self, commands: Iterable[bytes], *replies: bytes) -> list[bytes]:
        """Sends all commands and returns all lines of their replies.

        The lines of each reply must begin with `replies`; otherwise raises AssertionError.
        """
        received: list[bytes] = []
        waiting = iter(commands)
        while batch := list(islice(waiting, BATCH)):
            self._connection.sendall(b"".join(batch))
            lines = list(islice(self._lines, len(batch) * len(replies)))
            assert len(lines) == len(batch) * len(replies), "the connection ended"
            for line, reply in zip(lines, replies * len(batch), strict=True):
                assert line.startswith(reply), f"{line!r} instead of {reply!r}"
            received += lines
        return received

    def reserve(self, count: int, body: bytes) -> list[int]:
        """Reserves jobs whose bodies begin with `body`, and returns their ids."""
        lines = self.ask([b"reserve\r\n"] * count, b"RESERVED", body)
        return [int(line.split()[1]) for line in lines[::2]]

    def stats(self) -> dict[str, int]:
        """The numeric values of `stats`."""
        self._connection.sendall(b"stats\r\n")
        assert next(self._lines).startswith(b"OK ")
        found = re.findall(r"^([a-z-]+): (\d+)$", next(self._lines).decode(), re.MULTILINE)
        return {name: int(value) for name, value in found}

    def _incoming(self) -> Iterator[bytes]:
        rest = b""
        while data := self._connection.recv(RECEIVE_BYTES):
            *lines, rest = (rest + data).split(b"\r\n")
            yield from lines


def make_tubes(server: Running, count: int) -> None:
    """Creates tubes, each with one delayed job."""
    if count:
        commands = (
            b"use idle-%d\r\nput 0 %d 60 1\r\nx\r\n" % (number, YEAR_S) for number in range(count)
        )
        with Pipeline(server) as pipeline:
            pipeline.ask(commands, b"USING", b"INSERTED")
