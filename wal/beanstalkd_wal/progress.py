"""What the two threads tell the log's owner.

May know: nothing. Promises: each field has one writer at a time (the committer's are the owner's
while it commits itself), so nothing here needs a lock; LSNs only grow, and `written_lsn` is raised
before `durable_lsn` is. The owner is woken by `notify` and looks for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from beanstalkd_wal.directory import Spare
from beanstalkd_wal.errors import LogFailed


class Grown:
    """A spare is new, or longer than it was, which makes so much more room."""

    __slots__ = ("made", "size", "spare")

    def __init__(self, spare: Spare, size: int, made: int) -> None:
        self.spare = spare
        self.size = size
        self.made = made


class Dropped:
    """A segment is gone from the log for good; `kept` bytes of it wait to be zeroed."""

    __slots__ = ("kept", "number")

    def __init__(self, number: int, kept: int) -> None:
        self.number = number
        self.kept = kept


class Cleaned:
    """A file that waited to be zeroed does so no longer: it is a spare now (Grown says so), or was
    unlinked.
    """

    __slots__ = ("nbytes",)

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


class Rested:
    """The preparer has done what it could; `short` if that was less than it was asked for."""

    __slots__ = ("short",)

    def __init__(self, short: bool) -> None:
        self.short = short


Event = Grown | Dropped | Cleaned | Rested


class Progress:
    def __init__(
        self, written_lsn: int, durable_lsn: int, watermark: int, notify: Callable[[], None]
    ) -> None:
        self.written_lsn = written_lsn
        self.durable_lsn = durable_lsn
        self.watermark = watermark
        self.carried = 0  # batches that the committer's thread is done with
        self.failure: LogFailed | None = None
        self.events: deque[Event] = deque()
        self.notify = notify

    def fail(self, path: str, offset: int, error: Exception) -> None:
        """The first failure counts. What is not an OSError is a mistake in the program: no better a
        reason to go on.
        """
        if self.failure is None:
            errno = error.errno or 0 if isinstance(error, OSError) else 0
            failure = LogFailed(path, offset, errno, "" if errno else repr(error))
            failure.__cause__ = error
            self.failure = failure
