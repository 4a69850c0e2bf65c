"""The library's exceptions.

Promises: an error about a file names the file and the place in it, what was expected there and what
was found.
"""

from __future__ import annotations

import os
from errno import ENOMEM


class WalError(Exception):
    """Base of all errors of this library. (OSError passes through as it is.)"""


class Corrupt(WalError):
    """Durable bytes are damaged. Nothing was changed; an operator has to decide (`repair`).

    offset: in bytes, in the file `path`.
    """

    def __init__(self, path: str, offset: int, expected: str, found: str) -> None:
        super().__init__(path, offset, expected, found)
        self.path = path
        self.offset = offset
        self.expected = expected
        self.found = found

    def __str__(self) -> str:
        place = f"{self.path}: corrupt at offset {self.offset}"
        return f"{place}: expected {self.expected}, found {self.found}"


class WrongName(Corrupt):
    """A segment whose file has another name. Nothing was changed, and nothing is lost.

    number: of the segment.
    """

    def __init__(self, path: str, number: int) -> None:
        super().__init__(path, 0, "a header", f"the header of segment {number}")
        self.number = number

    def __str__(self) -> str:
        return (
            f"{self.path}: this file is segment {self.number} and has a wrong name: rename it to "
            f"{self.number:08}.wal; if two files have each other's names, exchange them"
        )


class NewerVersion(WalError):
    """A segment of a newer format version than this program knows. Nothing was changed."""

    def __init__(self, path: str, version: int, known: int) -> None:
        super().__init__(path, version, known)
        self.path = path
        self.version = version
        self.known = known

    def __str__(self) -> str:
        newer = f"format version {self.version} is newer than {self.known}"
        return f"{self.path}: {newer}, the newest known here"


class LogFailed(WalError):
    """A write or a sync failed. Final: `promised_lsn` does not grow any more.

    errno is 0 for an error of the program itself, not of the system; `reason` then holds it.
    offset: in bytes, in the file `path`; 0 if the failure has no place in the file.
    """

    def __init__(self, path: str, offset: int, errno: int, reason: str = "") -> None:
        super().__init__(path, offset, errno, reason)
        self.path = path
        self.offset = offset
        self.errno = errno
        self.reason = reason or os.strerror(errno)

    def __str__(self) -> str:
        place = f" at offset {self.offset}" if self.offset else ""
        return f"{self.path}: failed{place}: errno {self.errno}: {self.reason}"

    def again(self) -> LogFailed:
        """The same failure, for a further call that meets it."""
        return LogFailed(self.path, self.offset, self.errno, self.reason)


class SecondWriter(LogFailed):
    """Another program may write to the directory. As final as a failed write.

    path: the lock file that is not ours any more, or a file that only another server can have made.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, 0, 0, reason)

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.reason}: another server may write to this directory, run only one"
        )

    def again(self) -> LogFailed:
        return SecondWriter(self.path, self.reason)


class LogFull(WalError):
    """There is no headroom for the record. Nothing was changed; `Log.ensure_headroom` may help.

    nbytes: of the record. headroom: of the log, in bytes.
    """

    def __init__(self, nbytes: int, headroom: int) -> None:
        super().__init__(nbytes, headroom)
        self.nbytes = nbytes
        self.headroom = headroom

    def __str__(self) -> str:
        return f"no headroom for a record of {self.nbytes} bytes: {self.headroom} bytes are left"


class Locked(WalError):
    """Another process, or this one, holds the directory's lock."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: locked by another process"


class NoThread(WalError):
    """The system refuses a thread, because of a limit or for lack of memory."""

    def __init__(self, limits: str) -> None:
        super().__init__(limits)
        self.limits = limits

    def __str__(self) -> str:
        return f"cannot start a thread; the limit may be {self.limits}"


def reason_of(errno: int) -> str:
    """What the system says of an errno."""
    return os.strerror(errno)


def failure_of(error: Exception, path: str, offset: int) -> LogFailed:
    """The LogFailed for an error of work at this place of a file.

    The error may name another file, such as the directory. Then the offset does not belong to it.
    """
    errno = ENOMEM if isinstance(error, MemoryError) else 0
    reason = ""
    if isinstance(error, OSError):
        errno = error.errno or 0
        reason = error.strerror or ""  # it may say more than the errno
        if error.filename and os.path.basename(error.filename) != os.path.basename(path):
            path, offset = str(error.filename), 0
    failure = LogFailed(path, offset, errno, reason if errno else repr(error))
    failure.__cause__ = error
    return failure
