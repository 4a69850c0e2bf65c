"""Splits the input of one client into lines and commands, without a server.

The parser receives one line or one body at a time, so that each line is known as it was sent.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from beanstalkd_py.protocol.commands import COUNT, PUT_BEGIN, Command
from beanstalkd_py.protocol.parser import Parser

_PUT = re.compile(rb"put +\d+ +\d+ +\d+ +(\d+)")


class Line(NamedTuple):
    """data: with its CRLF; b"" for the end of a body."""

    data: bytes
    command: Command


class Lines:
    """The input of one client."""

    def __init__(self, max_job_size: int) -> None:
        self._max_job_size = max_job_size
        self._parser = Parser(max_job_size)
        self._open = bytearray()  # bytes since the end of the last command
        self._line = bytearray()
        self.missing = 0  # bytes of a body, CRLF included, that must arrive before the next line

    def feed(self, data: bytes) -> list[Line]:
        """The lines and bodies that end in these bytes."""
        found = []
        at = 0
        while at < len(data):
            end = self.end_of_piece(data, at)
            command = self._take(data[at:end])
            at = end
            if command is not None:
                found.append(Line(bytes(self._line), command))
                self.missing = _body_bytes(self._line, command)
                self._line.clear()
                if not self.missing:
                    self._open.clear()
        return found

    def end_of_piece(self, data: bytes, at: int) -> int:
        """Where the line or the body ends that goes on at this place."""
        if self.missing:
            return min(at + self.missing, len(data))
        return data.find(b"\n", at) + 1 or len(data)

    @property
    def is_between(self) -> bool:
        """No line and no body has begun."""
        return not (self._line or self.missing)

    def ahead(self, data: bytes) -> list[Line]:
        """What `feed` would return."""
        twin = Lines(self._max_job_size)
        twin.feed(bytes(self._open))
        return twin.feed(data)

    def _take(self, piece: bytes) -> Command | None:
        self._open += piece
        if self.missing:
            self.missing -= len(piece)
        else:
            self._line += piece
        self._parser.feed(piece)
        return self._parser.next_command()


def _body_bytes(line: bytearray, command: Command) -> int:
    """The number of body bytes that this line of a put announces."""
    if command[0] not in (PUT_BEGIN, COUNT):
        return 0
    put = _PUT.match(line)
    assert put, line
    return int(put[1]) + 2
