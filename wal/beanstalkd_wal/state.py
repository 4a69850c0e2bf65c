"""What the log's owner knows: LSNs, the open frame, segments, headroom, failure.

Promises: the two threads do not change this state. `collect` takes over their reports, on the
owner's thread. All sizes are in bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from beanstalkd_wal.directory import OVERHEAD, Durability
from beanstalkd_wal.errors import LogFailed
from beanstalkd_wal.operations import Operation
from beanstalkd_wal.progress import Event, PreparerIdle, SegmentDeleted, SpareGrown
from beanstalkd_wal.recover import Recovered
from beanstalkd_wal.spares import Spares
from beanstalkd_wal.threads import Threads


class LogState:
    """The part of `Log` that is to be read. Owners do not write to its attributes."""

    def __init__(
        self,
        lsn: int,
        found: Recovered,
        threads: Threads,
        durability: Durability,
        meta: Callable[[], bytes],
    ) -> None:
        self._directory = found.directory
        self._threads = threads
        self._progress = threads.progress
        self._segment_bytes = threads.preparer.segment_bytes
        self._never = durability is Durability.NEVER
        self.promise_durable = durability is Durability.SYNC  # else written records are promised
        self._meta = meta
        self._closed = False
        self.changes = 0  # a counter; grows when collect takes over anything other than LSNs
        self._failure: LogFailed | None = None

        self.lsn = lsn  # of the last record appended
        self.written_lsn = self.lsn
        self.durable_lsn = found.durable_lsn
        self.promised_lsn = self.lsn  # the mode's promise holds for all records up to it
        # The highest durable watermark that was written to the log, or will be by a commit that was
        # sent.
        self._watermark = found.watermark

        # The open frame. _space: bytes that append may still add to it; 0 if no frame is open.
        self._records: list[bytes] = []
        self._space = 0
        self._framed = 0  # bytes of all frames; the open one counts as if _space were used
        self._operations: list[Operation] = []

        # The active segment. _left: its free bytes that are not part of the open frame's _space.
        self.segment = found.number
        self._active = found.active
        self._active_bytes = found.active.size
        self._left = found.active.size - OVERHEAD
        self.segment_sizes = found.sealed  # of the sealed segments, by ascending number
        self.sealed_bytes = sum(found.sealed.values())
        self.oldest = min(found.sealed, default=found.number)
        self._retired = 0  # all segments below this number are deleted, or about to be

        dirty_bytes = sum(nbytes for _, nbytes in found.dirty)
        self._spares = Spares(found.directory, threads.preparer, threads.wake_preparer, dirty_bytes)
        self.headroom = self._left

    @property
    def pending(self) -> bool:
        """Whether something was appended and is not committed yet."""
        return bool(self._records) or bool(self._operations)

    @property
    def watermark_behind(self) -> bool:
        """Whether records are durable, or will be, that no durable watermark in the log covers."""
        return not self._never and self._watermark < self.lsn

    @property
    def appended_bytes(self) -> int:
        """Bytes appended since the log was opened: records, with what their frames add."""
        return self._framed - self._space

    @property
    def left(self) -> int:
        """Free bytes in the active segment, those of the open frame included."""
        return self._left + self._space

    @property
    def spare_bytes(self) -> int:
        """Size of the preallocated segments that the owner knows of."""
        return self._spares.nbytes

    @property
    def largest_spare(self) -> int:
        """Size of the largest preallocated segment that the owner knows of; 0 if there is none."""
        return self._spares.largest

    @property
    def active_bytes(self) -> int:
        """Size of the active segment's file, with its headroom."""
        return self._active_bytes

    @property
    def unsealed_bytes(self) -> int:
        """Size of all files of the log except sealed segments."""
        return self._active_bytes + self._spares.nbytes + self._spares.dirty_bytes

    @property
    def total_bytes(self) -> int:
        """Size of all files of the log. Exact when the threads are idle and all is collected."""
        return self.sealed_bytes + self.unsealed_bytes

    @property
    def disk_full(self) -> bool:
        """Whether the latest preallocation met a full disk."""
        return self._spares.disk_full

    @property
    def full_errno(self) -> int:
        """The errno of the latest allocation that met a full disk; 0 if none did."""
        return self._spares.full_errno

    @property
    def names_synced(self) -> bool:
        """False if the file system cannot sync directories. Then it decides how durable the names
        of the log's files are.
        """
        return self._directory.names_synced

    def _update_headroom(self) -> None:
        self.headroom = self._left + self._space + self._spares.headroom

    # --- reports of the threads

    def collect(self) -> None:
        """Takes over what the threads have reported. Raises LogFailed if that is a failure."""
        self._take_over()
        if self._failure is not None:
            self._check()

    def _take_over(self) -> None:
        progress = self._progress
        self.durable_lsn = progress.durable_lsn  # first: written_lsn is raised before it
        self.written_lsn = progress.written_lsn
        self.promised_lsn = self.durable_lsn if self.promise_durable else self.written_lsn
        if progress.watermark > self._watermark:
            self._watermark = progress.watermark
        if progress.events:
            self.changes += 1
            while progress.events:
                self._apply(progress.events.popleft())
            self._update_headroom()
        if progress.failure is not None:
            self._failure = progress.failure
            # With _space 0 the next append must open a frame, and raises LogFailed there.
            self._left += self._space
            self._space = 0

    def _apply(self, event: Event) -> None:
        if isinstance(event, SpareGrown):
            self._spares.on_grown(event)
            if event.spare is self._active and event.size > self._active_bytes:
                self._left += event.size - self._active_bytes
                self._active_bytes = event.size
        elif isinstance(event, SegmentDeleted):
            self.sealed_bytes -= self.segment_sizes.pop(event.number)
            self._spares.dirty_bytes += event.kept_bytes
            self.oldest = next(iter(self.segment_sizes), self.segment)
        elif isinstance(event, PreparerIdle):
            self._spares.on_idle(event.full_errno)
        else:
            self._spares.dirty_bytes -= event.nbytes

    # --- failure

    def _fail(self, error: Exception) -> None:
        self._progress.fail(self._directory.path, 0, error)
        self.collect()

    def _is_usable(self) -> bool:
        return self._failure is None and not self._closed

    def _check(self) -> None:
        failure = self._failure
        if failure is not None:
            raise failure.again() from failure
        if self._closed:
            raise ValueError("the log is closed")
