"""What a server holds before the clock starts: tubes and jobs, put over one connection by a pipeline.

May know: the protocol, a socket. Promises: every command was answered as it should be.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

from .servers import Running

WINDOW = 500  # commands on the way
RECEIVE_BYTES = 1 << 18
A_YEAR_S = 31_536_000


def make_tubes(server: Running, count: int) -> None:
    """Tubes that live because there is a delayed job in each."""
    if count:
        commands = (b"use idle-%d\r\nput 0 %d 60 1\r\nx\r\n" % (number, A_YEAR_S) for number in range(count))
        expect(server, commands, (b"USING", b"INSERTED"))


def expect(server: Running, commands: Iterable[bytes], replies: tuple[bytes, ...]) -> list[bytes]:
    """Sends all commands; each is answered by lines that begin like the replies. Returns all lines. Raises AssertionError."""
    with server.connect() as connection:
        lines: list[bytes] = []
        incoming = _lines(connection)
        for batch in _batches(commands):
            connection.sendall(b"".join(batch))
            for number in range(len(batch) * len(replies)):
                line = next(incoming)
                assert line.startswith(replies[number % len(replies)]), f"{line!r} instead of {replies!r}"
                lines.append(line)
        return lines


def _batches(commands: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for command in commands:
        batch.append(command)
        if len(batch) == WINDOW:
            yield batch
            batch = []
    if batch:
        yield batch


def _lines(connection: socket.socket) -> Iterator[bytes]:
    rest = b""
    while data := connection.recv(RECEIVE_BYTES):
        *lines, rest = (rest + data).split(b"\r\n")
        yield from lines
    raise AssertionError("the connection ended")
