"""Watches the files of a directory with inotify (Linux).

All events since the start of the watch are reported in order.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

# From inotify(7).
KINDS = {
    0x00000001: "read",
    0x00000002: "changed",
    0x00000020: "opened",
    0x00000040: "moved from",
    0x00000080: "moved to",
    0x00000100: "created",
    0x00000200: "deleted",
}
_EVENT = struct.Struct("iIII")  # watch, kind, cookie, length of the name
_BUFFER_BYTES = 1 << 16
_C = ctypes.CDLL(None, use_errno=True)


class Event(NamedTuple):
    kind: str
    name: str


class Watch:
    def __init__(self, directory: str | Path) -> None:
        self._fd = _checked(_C.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
        _checked(_C.inotify_add_watch(self._fd, os.fsencode(directory), sum(KINDS)))

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def forget(self) -> None:
        """Discards the events so far."""
        while _ready(self._fd, 0.0):
            os.read(self._fd, _BUFFER_BYTES)

    def events(self, seconds: float, silence: float) -> Iterator[Event]:
        """Yields events until the time is over, or nothing has happened for `silence` seconds."""
        end_at = time.monotonic() + seconds
        while (left := end_at - time.monotonic()) > 0 and _ready(self._fd, min(left, silence)):
            yield from _events(os.read(self._fd, _BUFFER_BYTES))


def _events(data: bytes) -> Iterator[Event]:
    at = 0
    while at < len(data):
        _, mask, _, nbytes = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        name = data[at : at + nbytes].rstrip(b"\0")
        at += nbytes
        for kind, word in KINDS.items():
            if mask & kind:
                yield Event(word, os.fsdecode(name))


def _ready(fd: int, seconds: float) -> bool:
    return bool(select.select([fd], [], [], seconds)[0])


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
