"""The log: append records, commit them, preallocate headroom, retire segments.

Promises: `append` decides, on the owner's thread, to which segment a record goes and whether it has
headroom. This is not changed later. Frames are written only to bytes that were preallocated. After
a failure `promised_lsn` does not grow. When `collect` has taken over the failure, append and commit
raise LogFailed.

All methods belong to one thread, the owner's. Only ensure_headroom, trim, drain, close, and commit
with `inline` wait for the disk (with threaded=False, others do too).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Final

from beanstalkd_wal.directory import OVERHEAD, Durability, Spare
from beanstalkd_wal.errors import LogFull, SecondWriter
from beanstalkd_wal.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    LENGTH_BYTES,
    META_BYTES,
    RECORD_BYTES_MAX,
)
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.locking import Lock
from beanstalkd_wal.operations import (
    Close,
    Operation,
    Retire,
    Rotate,
    Sync,
    Write,
    WriteLong,
)
from beanstalkd_wal.recover import recover
from beanstalkd_wal.replay import Replay
from beanstalkd_wal.state import LogState
from beanstalkd_wal.threads import Threads

# A frame is closed at this length, in bytes. Longer frames do not make the checksum cheaper, and a
# torn frame is lost as a whole.
FRAME_MAX: Final = 256 * 1024


class Log(LogState):
    """Made by Log.open."""

    @staticmethod
    def open(
        replay: Replay,
        segment_bytes: int = 10 << 20,
        durability: Durability = Durability.SYNC,
        meta: Callable[[], bytes] = bytes,
        notify: Callable[[], None] = lambda: None,
        at: int = 0,
        threaded: bool = True,
        fs: FileSystem | None = None,
        raise_watermark: bool = True,
        lock: Lock | None = None,
    ) -> Log:
        """Continues after an exhausted replay. Waits until everything that the replay read is
        durable.

        meta: returns at most META_BYTES bytes for the header of each new segment. notify: called by
        any of the threads when `collect` has something to take over. at: wall time, ns. fs: by
        default the replay's. raise_watermark: the header of the new segment has a watermark that
        covers everything read. If False, the first frame has that watermark; so records of the
        first commit become durable together with it. lock: if it is lost, the log fails with
        SecondWriter. Raises LogFailed, NoThread; ValueError for bad arguments.
        """
        if not replay.exhausted:
            raise ValueError("the replay is not exhausted")
        if segment_bytes < 4 * HEADER_BYTES:
            raise ValueError(f"segments of {segment_bytes} bytes are too small")
        if fs is not None:
            replay.fs = fs
        found = recover(replay, durability, segment_bytes, meta(), at, raise_watermark, lock)
        threads = Threads(found, segment_bytes, durability, replay.next_lsn - 1, notify)
        log = Log(replay.next_lsn - 1, found, threads, durability, meta)
        if threaded:
            threads.start()
        else:
            threads.run_inline(log._take_over)
        return log

    # --- appending

    def append(self, record: bytes) -> int:
        """Adds a record to the open frame; `lsn` is then its LSN. Returns its segment's number.

        Raises LogFull (nothing changed) or LogFailed. Hot path, so without calls: 0.2 us.
        """
        need = len(record) + LENGTH_BYTES
        if need > self._space:
            self._open_frame(need)
        self._records.append(record)
        self._space -= need
        self.headroom -= need
        self.lsn += 1
        return self.segment

    def append_long(self, head: bytes, body: bytes) -> int:
        """`append` of head + body. A record of more than FRAME_MAX bytes gets a frame of its own,
        which the committer writes in pieces. So no copy of the body is made.
        """
        need = len(head) + len(body) + LENGTH_BYTES
        if need <= FRAME_MAX:
            return self.append(head + body)
        operation = WriteLong(self.lsn + 1, head, body)
        self._open_frame(need)
        self._operations.append(operation)
        self._space -= need
        self.headroom -= need
        self.lsn += 1
        return self.segment

    def fits(self, nbytes: int, minimum: int = 0) -> bool:
        """Whether a record of nbytes can be appended and leave at least `minimum` headroom."""
        need = nbytes + LENGTH_BYTES
        if need <= self._space:
            return self.headroom - need >= minimum
        need += FRAME_BYTES
        left = self._left + self._space
        if need <= left:
            return self.headroom - need >= minimum
        # A rotation loses the rest of the active segment.
        enough = self.headroom - left - need >= minimum
        return enough and self._spares.first_fitting(need) is not None

    def _open_frame(self, need: int) -> None:
        """Opens a frame for `need` bytes: in the active segment, else in the next one."""
        self._check()
        need += FRAME_BYTES
        if need <= self._left + self._space:
            self._close_frame()
        else:
            self._rotate(self._spare_for(need))
        self._space = min(self._left, max(FRAME_MAX, need)) - FRAME_BYTES
        self._left -= self._space + FRAME_BYTES
        self._framed += self._space + FRAME_BYTES
        self._update_headroom()

    def _spare_for(self, need: int) -> Spare:
        if need > RECORD_BYTES_MAX:
            raise ValueError(f"a record of {need} bytes")
        spare = self._spares.first_fitting(need)
        if spare is None:
            raise LogFull(need - FRAME_BYTES - LENGTH_BYTES, self.headroom)
        return spare

    def _close_frame(self) -> None:
        self._left += self._space
        self._framed -= self._space
        self._space = 0
        if self._records:
            self._operations.append(Write(self.lsn + 1 - len(self._records), self._records))
            self._records = []

    def _rotate(self, spare: Spare) -> None:
        meta = self._meta()
        if len(meta) > META_BYTES:
            raise ValueError(f"metadata of {len(meta)} bytes: at most {META_BYTES} fit")
        self._close_frame()
        used = self._active_bytes - self._left - (OVERHEAD - HEADER_BYTES)
        self.segment_sizes[self.segment] = used
        self.sealed_bytes += used
        self._spares.remove(spare)
        self.segment += 1
        self._active = spare
        self._active_bytes = spare.known
        self._left = spare.known - OVERHEAD
        self._update_headroom()
        self._operations.append(Rotate(spare, self.segment, self.lsn + 1, meta))

    # --- committing

    def commit(self, at: int, inline: bool = False) -> bool:
        """Hands everything appended to the committer. 1 us, besides the thread's own work.

        at: wall time, ns. inline: write (and sync) on this thread if possible, which has a lower
        latency when there is nothing else to do. It is possible for a single frame of at most
        FRAME_MAX bytes while the committer is idle; then the result is True, and `collect` has
        something to take over. Raises LogFailed.
        """
        if self._failure is not None:
            self._check()
        if self._records:
            self._close_frame()
        if self._operations:
            operations = self._operations
            self._operations = []
            if (
                inline
                and len(operations) == 1
                and _is_short(operations[0])
                and self._threads.commit_inline(operations, at)
            ):
                return True
            self._threads.commit(operations, at)
        return False

    def sync(self, at: int) -> None:
        """Asks for a sync of everything committed; pending records are not committed. Under
        Durability.NEVER this does nothing.
        """
        if not self._never and self._is_usable():
            self._threads.commit([Sync(False, 0)], at)

    def write_watermark(self, at: int) -> None:
        """Writes the durable watermark if it is higher than the one in the log. For an idle owner.

        Does nothing while records are pending. at: wall time, ns.
        """
        if self.durable_lsn <= self._watermark or self.pending or not self._is_usable():
            return
        if self._left >= FRAME_BYTES:
            self._watermark = self.durable_lsn
            self._left -= FRAME_BYTES
            self._update_headroom()
            self._threads.commit([Sync(True, self.lsn + 1)], at)
            return
        spare = self._spares.first_fitting(FRAME_BYTES)
        if spare is not None:  # the next segment's header has a watermark too
            self._watermark = self.durable_lsn
            self._rotate(spare)
            self.commit(at)

    def drain(self, at: int) -> None:
        """Commits, waits until both threads have done all their work, deletions too, and collects.

        For an owner that needs the headroom of retired segments to go on. Raises LogFailed.
        """
        self.commit(at)
        if self._is_usable():
            self._threads.drain(at)
        self.collect()

    # --- headroom

    def preallocate(self, target: int) -> None:
        """Raises the headroom to the target, in the background.

        On a full disk each call costs some I/O, so do not repeat it more than a few times a second.
        """
        if self._is_usable():
            self._spares.preallocate(target, self.headroom)

    def ensure_headroom(self, nbytes: int, minimum: int = 0) -> bool:
        """Allocates, on this thread, until fits(nbytes, minimum) is true.

        False if the disk is full. Raises OSError or LogFailed after any other error.
        """
        self._check()
        try:
            return self.fits(nbytes, minimum) or self._allocate(nbytes, minimum)
        except (OSError, SecondWriter) as error:
            self._fail(error)
            raise
        finally:
            self._update_headroom()

    def _allocate(self, nbytes: int, minimum: int) -> bool:
        need = nbytes + LENGTH_BYTES + FRAME_BYTES
        while self._spares.allocate(max(need + OVERHEAD, self._segment_bytes)):
            self._update_headroom()
            if self.fits(nbytes, minimum):
                return True
        # The disk has no space for a whole segment. So only the missing bytes are allocated: at the
        # end of the latest spare, or as a small spare.
        left = self.left
        missing = minimum + need + (left if need > left else 0) - self.headroom
        if not self._spares.lengthen_last(need, missing) and not self._spares.allocate(
            max(need, missing) + OVERHEAD
        ):
            return False
        self._update_headroom()
        return self.fits(nbytes, minimum)

    def join(self, nbytes: int) -> bool:
        """For a full disk: makes a preallocated segment that a record of nbytes fits into, from the
        space of shorter ones. False if that is not enough, or if another program takes a part of
        it. To be called when the threads are idle. Raises LogFailed.
        """
        if not self._is_usable() or self._spares.preparing or not self._spares.nbytes:
            return False
        try:
            return self._spares.join(nbytes + LENGTH_BYTES + FRAME_BYTES)
        except (OSError, SecondWriter) as error:
            self._fail(error)
            raise
        finally:
            self._update_headroom()

    def trim(self, target: int) -> None:
        """Frees preallocated segments that a headroom of `target` does not need."""
        if not self._is_usable() or self._spares.preparing:
            return
        try:
            self._spares.trim(self.headroom - target)
        except (OSError, SecondWriter) as error:
            self._fail(error)
        self._update_headroom()

    def retire(self, before: int) -> None:
        """Deletes all sealed segments with numbers below `before`, as soon as everything appended
        before this call is durable.

        While headroom is below the last target, their files become spares.
        """
        older = takewhile(lambda number: number < before, self.segment_sizes)
        numbers = tuple(number for number in older if number >= self._retired)
        if not numbers or not self._is_usable():
            return
        self._retired = numbers[-1] + 1
        self.preallocate(self._spares.target)
        self._threads.commit([Retire(numbers, self.lsn)], 0)

    # --- the end

    def check_lock(self) -> None:
        """Raises SecondWriter if the lock is lost; the log has failed then. To be called every
        second or so: a second server could start.
        """
        if self._is_usable():
            try:
                self._directory.check_lock()
            except (OSError, SecondWriter) as error:
                self._fail(error)

    def close(self, at: int) -> None:
        """Commits, syncs, writes the durable watermark, seals the active segment, ends the threads.

        After a failure this closes all files, then raises LogFailed. On a full disk the zeros at
        the end of the active segment are not cut off: they keep that space for the next start, so
        that no other program takes it. at: wall time, ns.
        """
        if self._closed:
            return
        self._take_over()
        if self._is_usable():
            self.commit(at)
        # `OVERHEAD` includes the frame of the watermark.
        next_lsn = self.lsn + 1 if self._watermark < self.lsn else 0
        self._closed = True
        close = Close(next_lsn, truncate=not self.disk_full)
        self._threads.close([*self._operations, close], at)  # others only if the log failed
        self._take_over()
        self._spares.close()
        self._directory.close()
        if self._failure is not None:
            self._check()


def _is_short(operation: Operation) -> bool:
    """Whether it writes a frame of at most FRAME_MAX bytes (a single record may be longer)."""
    return isinstance(operation, Write) and (
        len(operation.records) > 1 or len(operation.records[0]) <= FRAME_MAX
    )
