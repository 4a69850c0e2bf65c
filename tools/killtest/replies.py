"""Splits the bytes of a server into replies. Raises an error for anything else."""

from __future__ import annotations

from typing import NamedTuple

_WITH_DATA = frozenset((b"RESERVED", b"FOUND", b"OK"))


class Reply(NamedTuple):
    words: list[bytes]
    data: bytes = b""

    @property
    def id(self) -> int:
        return int(self.words[1])

    def __str__(self) -> str:
        return b" ".join(self.words).decode(errors="replace")


class Replies:
    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that are complete now."""
        buffer = self._buffer + data if self._buffer else data
        found: list[Reply] = []
        start = 0
        while (end := buffer.find(b"\r\n", start)) >= 0:
            words = buffer[start:end].split(b" ")
            start_of_data = end + 2
            if words[0] not in _WITH_DATA:
                found.append(Reply(words))
                start = start_of_data
                continue
            end_of_data = start_of_data + int(words[-1])
            if end_of_data + 2 > len(buffer):
                break
            if buffer[end_of_data : end_of_data + 2] != b"\r\n":
                raise ValueError(f"no line's end behind the data of {words}")
            found.append(Reply(words, buffer[start_of_data:end_of_data]))
            start = end_of_data + 2
        self._buffer = buffer[start:]
        return found


def fields(data: bytes) -> dict[str, str]:
    """The values of a stats reply."""
    lines = data.decode().splitlines()[1:]
    return {key: value.strip('"') for key, _, value in (line.partition(": ") for line in lines)}
