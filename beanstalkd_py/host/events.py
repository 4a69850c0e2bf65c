"""Events for the operator, on stderr: one line each, as text or as JSON.

A line of text has the time (UTC), the level, the program's name and the message. A line of JSON has
the keys `time`, `level`, `event` and `message`, and the fields of the event. Under systemd the
journal adds the time and the program's name; there, a line has a prefix such as <4>, from which the
journal reads the level (sd-daemon(3)).

Before the options are known, a line has neither time nor level, as in the C server.
"""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Protocol

INTERVAL_NS = 60_000_000_000
PER_MINUTE = 10  # lines of one event, once the server serves
WAIT_S = 1.0  # for the reader of stderr, before the server ends

Field = str | int | float


class Level(IntEnum):
    """The numbers are those of syslog."""

    ERROR = 3  # the server ends
    WARNING = 4  # something needs the operator's attention, or needs it no longer
    INFO = 6


class Report(Protocol):
    """A function that reports a warning. event: its name, which stays the same where the message
    has numbers and names of files.
    """

    def __call__(self, message: str, event: str = "notice", **fields: Field) -> None: ...


class EventLog:
    """A `Report`, with methods for the other levels. Any thread may report, and so may a handler of
    a signal, which can interrupt another report.

    write: called with a line and how many seconds it may wait; False if the line is lost.
    is_journal: whether lines go to systemd's journal. wall, now: wall-clock and monotonic time, ns.
    """

    def __init__(
        self,
        prog: str,
        write: Callable[[str, float], bool],
        is_journal: bool = False,
        wall: Callable[[], int] = time.time_ns,
        now: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._prog = prog
        self._write = write
        self._is_journal = is_journal
        self._wall = wall
        self._now = now
        self._make: Callable[[Level, str, str, Mapping[str, Field]], str] = self._plain
        self._level = Level.INFO
        self._lock = threading.RLock()  # for what follows
        self._lost = 0  # lines that stderr did not take
        self._is_limited = False
        self._ends_at = 0  # the current minute
        self._counts: dict[str, int] = {}  # events in it, by name

    def set(self, format: str, level: str) -> None:
        """The options are known: `text` or `json`, and the name of a level."""
        self._make = self._json if format == "json" else self._text
        self._level = Level[level.upper()]

    def limit(self) -> None:
        """From here on, at most PER_MINUTE lines of an event are written within a minute."""
        self._is_limited = True

    def __call__(self, message: str, event: str = "notice", **fields: Field) -> None:
        self._report(Level.WARNING, message, event, fields)

    def info(self, message: str, event: str = "notice", **fields: Field) -> None:
        self._report(Level.INFO, message, event, fields)

    def error(self, message: str, event: str = "failed", **fields: Field) -> None:
        self._report(Level.ERROR, message, event, fields)

    def bug(self, error: BaseException) -> None:
        """Reports a broken invariant. In text, the traceback is below the line."""
        trace = "".join(traceback.format_exception(error))
        message = f"a bug in the server: {type(error).__name__}: {error}"
        self._report(Level.ERROR, message, "bug", {"traceback": trace})

    def check(self) -> None:
        """To be called every minute: reports how many lines were left out."""
        with self._lock:
            if self._now() >= self._ends_at:
                self._end_minute()
            self._tell_lost(0.0)

    def close(self) -> None:
        """The server ends: reports what `check` has not reported."""
        with self._lock:
            self._end_minute()
            self._tell_lost(0.0)

    def _report(self, level: Level, message: str, event: str, fields: Mapping[str, Field]) -> None:
        if level > self._level:
            return
        with self._lock:
            if level is Level.ERROR or self._admits(event):
                self._emit(level, message, event, fields)

    def _admits(self, event: str) -> bool:
        if not self._is_limited:
            return True
        if self._now() >= self._ends_at:
            self._end_minute()
        count = self._counts[event] = self._counts.get(event, 0) + 1
        return count <= PER_MINUTE

    def _end_minute(self) -> None:
        counts, self._counts = self._counts, {}
        self._ends_at = self._now() + INTERVAL_NS
        for event, count in counts.items():
            if count > PER_MINUTE:
                more = count - PER_MINUTE
                text = f"more event {event} within a minute was left out"
                if more > 1:
                    text = f"more events {event} within a minute were left out"
                self._emit(
                    Level.WARNING, f"{more} {text}", "left_out", {"of": event, "count": more}
                )

    def _emit(self, level: Level, message: str, event: str, fields: Mapping[str, Field]) -> None:
        """Never raises MemoryError: a report must not end a server that goes on without memory."""
        wait_s = WAIT_S if level is Level.ERROR else 0.0
        try:
            line = self._make(level, message, event, fields)
            if self._tell_lost(wait_s) and self._write(line, wait_s):
                return
        except MemoryError:
            pass
        self._lost += 1

    def _tell_lost(self, wait_s: float) -> bool:
        """Reports how many lines were lost. False if they still cannot be reported."""
        lost = self._lost
        if not lost:
            return True
        lines, them = ("1 line was", "it") if lost == 1 else (f"{lost} lines were", "them")
        message = f"{lines} left out, because stderr did not take {them}"
        told = self._write(self._make(Level.WARNING, message, "left_out", {"count": lost}), wait_s)
        if told:
            self._lost -= lost
        return told

    # --- what a line looks like

    def _plain(self, level: Level, message: str, event: str, fields: Mapping[str, Field]) -> str:
        prefix = f"<{level.value}>" if self._is_journal else ""
        begin = prefix or f"{self._prog}: "
        trace = str(fields.get("traceback", "")).splitlines()
        below = "".join(f"{prefix}{_escaped(line)}\n" for line in trace)
        return f"{begin}{_escaped(message)}\n{below}"

    def _text(self, level: Level, message: str, event: str, fields: Mapping[str, Field]) -> str:
        if self._is_journal:
            return self._plain(level, message, event, fields)
        stamp = f"{_shown(self._wall())} {level.name.lower()}"
        return f"{stamp} {self._plain(level, message, event, fields)}"

    def _json(self, level: Level, message: str, event: str, fields: Mapping[str, Field]) -> str:
        begin = f"<{level.value}>" if self._is_journal else ""
        stamp: dict[str, Field] = {} if self._is_journal else {"time": _shown(self._wall())}
        values = {"level": level.name.lower(), "event": event, "message": message, **fields}
        return f"{begin}{json.dumps({**stamp, **_decoded(values)})}\n"


def _escaped(text: str) -> str:
    """In printable characters. A name of a file may have any others."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    """A surrogate stands for a byte that is not UTF-8 (os.fsdecode)."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def _decoded(values: Mapping[str, Field]) -> dict[str, Field]:
    """Without surrogates, which some readers of JSON refuse."""
    return {
        key: "".join(_escape(each) if "\ud800" <= each <= "\udfff" else each for each in value)
        if isinstance(value, str)
        else value
        for key, value in values.items()
    }


def _shown(wall_ns: int) -> str:
    """2026-01-31T23:59:59.123Z"""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest // 1_000_000:03}Z"


def is_journal(fd: int, environ: Mapping[str, str]) -> bool:
    """Whether this descriptor is the stream that systemd has connected to its journal."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"
