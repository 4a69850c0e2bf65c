"""What can go wrong with a log, as exceptions.

May know: nothing but paths and numbers. Promises: every error names the file it is about, and where
in it; what was expected and what was found.
"""

from __future__ import annotations

import os


class WalError(Exception):
    """Whatever this library raises on its own account (besides OSError while reading, which it lets
    through).
    """


class Corrupt(WalError):
    """What had been promised is damaged. Nothing was changed; an operator has to decide (repair)."""

    def __init__(self, path: str, offset: int, expected: str, found: str) -> None:
        super().__init__(path, offset, expected, found)
        self.path = path
        self.offset = offset
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        return f"{self.path}: corrupt at offset {self.offset}: expected {self.expected}, found {self.found}"


class NewerVersion(WalError):
    """A segment of a format that this version does not know. Nothing was changed."""

    def __init__(self, path: str, version: int, known: int) -> None:
        super().__init__(path, version, known)
        self.path = path
        self.version = version
        self.known = known

    def __str__(self) -> str:
        return f"{self.path}: format version {self.version} is newer than {self.known}, the newest known here"


class LogFailed(WalError):
    """A write or a sync failed. Final: what was not promised by then never will be by this log.

    errno is 0 when it was not the system that failed but the program; reason says how.
    """

    def __init__(self, path: str, offset: int, errno: int, reason: str = "") -> None:
        super().__init__(path, offset, errno, reason)
        self.path = path
        self.offset = offset
        self.errno = errno
        self.reason = reason or os.strerror(errno)

    def __str__(self) -> str:
        return f"{self.path}: failed at offset {self.offset}: errno {self.errno}: {self.reason}"


class LogFull(WalError):
    """The record does not fit into what is physically there. Nothing was changed; ensure_headroom() may
    help.
    """

    def __init__(self, nbytes: int, room: int) -> None:
        super().__init__(nbytes, room)
        self.nbytes = nbytes
        self.room = room

    def __str__(self) -> str:
        return f"no room for a record of {self.nbytes} bytes: {self.room} bytes are there, in all"


class Locked(WalError):
    """Another process (or this one) holds the directory's lock."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: locked by another process"
