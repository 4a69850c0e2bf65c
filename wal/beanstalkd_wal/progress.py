"""What the two threads report to the log's owner.

Promises: each field has one writer at a time, so nothing here needs a lock. (During an inline
commit the owner writes the committer's fields.) LSNs only grow. `written_lsn` is raised before
`durable_lsn`. `notify` wakes the owner, which then reads the fields (`Log.collect`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from errno import ENOMEM

from beanstalkd_wal.directory import Spare
from beanstalkd_wal.errors import LogFailed, failure_of


class SpareGrown:
    """A spare was created or lengthened. size: of the file; headroom: bytes gained; reused: it was
    made of a dirty file, so the disk gave no new space.
    """

    __slots__ = ("headroom", "reused", "size", "spare")

    def __init__(self, spare: Spare, size: int, headroom: int, reused: bool = False) -> None:
        self.spare = spare
        self.size = size
        self.headroom = headroom
        self.reused = reused


class SegmentDeleted:
    """A segment's deletion is durable. kept_bytes: size of the dirty file that is left, or 0."""

    __slots__ = ("kept_bytes", "number")

    def __init__(self, number: int, kept_bytes: int) -> None:
        self.number = number
        self.kept_bytes = kept_bytes


class DirtyFileDone:
    """A dirty file of so many bytes became a spare (SpareGrown says so), or was deleted."""

    __slots__ = ("nbytes",)

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


class PreparerIdle:
    """The preparer has no more work. full_errno: the error of a full disk, if that prevented the
    goal; else 0.
    """

    __slots__ = ("full_errno",)

    def __init__(self, full_errno: int) -> None:
        self.full_errno = full_errno


Event = SpareGrown | SegmentDeleted | DirtyFileDone | PreparerIdle


class Progress:
    def __init__(
        self, written_lsn: int, durable_lsn: int, watermark: int, notify: Callable[[], None]
    ) -> None:
        self.written_lsn = written_lsn
        self.durable_lsn = durable_lsn
        self.watermark = watermark  # the highest durable watermark that was written to the log
        self.batches_done = 0  # by the committer's thread
        self.failure: LogFailed | None = None
        # Made now, because there may be no memory for it later.
        self._no_memory = LogFailed("the log", 0, ENOMEM)
        self.events: deque[Event] = deque()
        self.notify = notify

    def fail(self, path: str, offset: int, error: Exception) -> None:
        """Records the first failure; later ones change nothing.

        path, offset: where the work was. The error may name another file, such as the directory.
        An error that is not an OSError is a bug in this program. It is as final as the others.
        """
        if self.failure is None:
            try:
                self.failure = (
                    error if isinstance(error, LogFailed) else failure_of(error, path, offset)
                )
            except MemoryError:
                self.failure = self._no_memory
