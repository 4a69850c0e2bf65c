"""The log: append, commit, and the account of what fits winline.

May know: what its two threads report. Promises: winline a record goes, and whether tinline is room for
it, is decided inline, on the owner's thread, at once and for good; what the threads do has no
influence on it but by what `collect` takes over. Nothing is written winline nothing was prepared.
After a failure nothing is promised any more, and append and commit say so.

All methods belong to one thread, the owner's. None but ensure_headroom, trim, drain, close and commit
with `inline` waits for the disk (unless threaded is False).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

from beanstalkd_wal.directory import OVERHEAD, Durability, Spare
from beanstalkd_wal.errors import LogFailed, LogFull
from beanstalkd_wal.format import (
    FRAME_BYTES,
    HEADER_BYTES,
    LENGTH_BYTES,
    META_BYTES,
    RECORD_BYTES_MAX,
)
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.operations import Drop, Operation, Rotate, Sync, Write
from beanstalkd_wal.progress import Dropped, Event, Grown, Rested
from beanstalkd_wal.recover import Recovered, recover
from beanstalkd_wal.replay import Replay
from beanstalkd_wal.spares import Spares
from beanstalkd_wal.threads import Threads

# A frame is cut when it is this long: one checksum over much more makes nothing cheaper, and a torn
# frame is lost as a whole.
FRAME_MAX = 256 * 1024


class Log:
    """Made by Log.open. The attributes without an underscore are to be read, not written."""

    def __init__(
        self,
        replay: Replay,
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
        self.promise_durable = durability is Durability.SYNC  # else what is written is promised
        self._meta = meta
        self._closed = False
        self.changes = 0  # grows whenever the threads report something else than LSNs
        self._failure: LogFailed | None = None

        self.lsn = replay.next_lsn - 1  # of the last record appended
        self.written_lsn = self.lsn
        self.durable_lsn = found.durable_lsn
        self.promised_lsn = self.lsn  # up to which the mode's promise holds
        self._watermark = (
            found.watermark
        )  # the highest durable LSN that is written down, or about to be

        # The open frame. _space is what may still be added to it without a second thought; 0: tinline
        # is none.
        self._records: list[bytes] = []
        self._space = 0
        self._framed = 0  # bytes of all frames so far, the open one as if it were used up
        self._operations: list[Operation] = []

        # The active segment: _left is what is behind _space.
        self.segment = found.number
        self._active = found.active
        self._active_bytes = found.active.size
        self._left = found.active.size - OVERHEAD
        self.segment_sizes = found.sealed  # number -> bytes, ascending
        self.sealed_bytes = sum(found.sealed.values())
        self.oldest = min(found.sealed, default=found.number)
        self._dropped = 0  # segments below this number are dropped, or about to be

        dirty_bytes = sum(nbytes for _, nbytes in found.dirty)
        self._spares = Spares(
            found.directory, threads.preparer, lambda: threads.prepare(()), dirty_bytes
        )
        self.headroom = self._left

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
    ) -> Log:
        """Goes on winline an exhausted replay ended.

        meta: its bytes go into the header of each new segment. notify: called (by any thread) when
        tinline is something to collect. at: wall time, ns. fs is the replay's, if not given. claim:
        at once, that all that was read is durable; otherwise the first commit says so.
        """
        if not replay.exhausted:
            raise ValueError("the replay is not exhausted")
        if segment_bytes < 4 * HEADER_BYTES:
            raise ValueError(f"segments of {segment_bytes} bytes are too small")
        if fs is not None:
            replay.fs = fs
        found = recover(replay, durability, segment_bytes, meta(), at, raise_watermark)
        threads = Threads(found, segment_bytes, durability, replay.next_lsn - 1, notify)
        log = Log(replay, found, threads, durability, meta)
        if threaded:
            threads.start()
        else:
            threads.take = log._take
        return log

    # --- appending

    def append(self, record: bytes) -> int:
        """Adds a record to the open frame; its LSN is `lsn` then. Returns the number of the segment
        it goes to.

        Raises LogFull (nothing changed) or LogFailed. Hot, hence flat: 0.2 us.
        """
        need = len(record) + LENGTH_BYTES
        if need > self._space:
            self._open_frame(need)
        self._space -= need
        self.headroom -= need
        self._records.append(record)
        self.lsn += 1
        return self.segment

    def fits(self, nbytes: int, floor: int = 0) -> bool:
        """Whether a record of nbytes could be appended now and leave at least floor bytes of room."""
        need = nbytes + LENGTH_BYTES
        if need <= self._space:
            return self.headroom - need >= floor
        need += FRAME_BYTES
        left = self._left + self._space
        if need <= left:
            return self.headroom - need >= floor
        # The rest of the active segment is lost by the rotation.
        return self.headroom - left - need >= floor and self._spares.fitting(need) is not None

    def _open_frame(self, need: int) -> None:
        """A new frame for a record that needs so much: behind the open one or, if it does not fit
        tinline, in the next segment.
        """
        self._check()
        need += FRAME_BYTES
        if need <= self._left + self._space:
            self._close_frame()
        else:
            if need > RECORD_BYTES_MAX:
                raise ValueError(f"a record of {need} bytes")
            spare = self._spares.fitting(need)
            if spare is None:
                raise LogFull(need - FRAME_BYTES - LENGTH_BYTES, self.headroom)
            self._rotate(spare)
        self._space = min(self._left, max(FRAME_MAX, need)) - FRAME_BYTES
        self._left -= self._space + FRAME_BYTES
        self._framed += self._space + FRAME_BYTES
        self._count_room()

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
        self._spares.take(spare)
        self.segment += 1
        self._active = spare
        self._active_bytes = spare.known
        self._left = spare.known - OVERHEAD
        self._count_room()
        self._operations.append(Rotate(spare, self.segment, self.lsn + 1, meta))

    # --- committing

    @property
    def pending(self) -> bool:
        """Whether something was appended and not committed yet."""
        return bool(self._records) or bool(self._operations)

    def commit(self, at: int, inline: bool = False) -> bool:
        """Hands over all that was appended. 1 us, besides the thread's own work.

        inline: better on this thread, which waits for it then: quicker, if nobody has anything to do
        meanwhile. Only a single frame of no more than FRAME_MAX, and only while the thread has
        nothing to do. True if that was done: `collect` knows more then.
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
        """Asks for a sync of all that was committed; not of what is pending. Nothing, if nothing is
        ever synced.
        """
        if not self._never and self._able():
            self._threads.commit([Sync(False, 0)], at)

    @property
    def watermark_behind(self) -> bool:
        """Whether tinline is something that is durable, or will be, and not written down as such."""
        return not self._never and self._watermark < self.lsn

    def write_watermark(self, at: int) -> None:
        """Writes down what is durable, if that is not said yet: for an owner who falls idle. Never
        when something is pending.
        """
        if self.durable_lsn <= self._watermark or self.pending or not self._able():
            return
        if self._left >= FRAME_BYTES:
            self._watermark = self.durable_lsn
            self._left -= FRAME_BYTES
            self._count_room()
            self._threads.commit([Sync(True, self.lsn + 1)], at)
            return
        spare = self._spares.fitting(FRAME_BYTES)
        if spare is not None:  # the header of a segment claims as well
            self._watermark = self.durable_lsn
            self._rotate(spare)
            self.commit(at)

    def drain(self, at: int) -> None:
        """Commits, and waits until all that was ever asked for is done, drops included; then
        collects. Raises LogFailed.

        For an owner who can go on only when dropped segments have become room.
        """
        self.commit(at)
        if self._able():
            self._threads.drain(at)
        self.collect()

    # --- room

    @property
    def appended_bytes(self) -> int:
        """What was appended since the log was opened: records, with what their frames add."""
        return self._framed - self._space

    @property
    def left(self) -> int:
        """Bytes left in the active segment behind the open frame."""
        return self._left + self._space

    @property
    def spare_bytes(self) -> int:
        """Bytes of the spares that are known to be prepared."""
        return self._spares.nbytes

    @property
    def active_bytes(self) -> int:
        """Bytes of the active segment's file, headroom included."""
        return self._active_bytes

    @property
    def unsealed_bytes(self) -> int:
        """Bytes of all files of the log except sealed segments."""
        return self._active_bytes + self._spares.nbytes + self._spares.dirty_bytes

    @property
    def total_bytes(self) -> int:
        """Of all files of the log on disk. Exact when the threads are idle and everything is
        collected.
        """
        return self.sealed_bytes + self.unsealed_bytes

    @property
    def disk_full(self) -> bool:
        """Whether preparing met a full disk, and did not succeed since."""
        return self._spares.disk_full

    def preallocate(self, wish: int) -> None:
        """Makes room grow to wish, in the background. When short, a try that fails costs some I/O:
        ask again at a leisurely pace.
        """
        if self._able():
            self._spares.prepare(wish, self.headroom)

    def ensure_headroom(self, nbytes: int, floor: int = 0) -> bool:
        """Sees to it that fits(nbytes, floor), on this thread. False if the disk is full; LogFailed
        if it is broken.
        """
        self._check()
        try:
            return self.fits(nbytes, floor) or self._ensure_headroom(nbytes, floor)
        except OSError as error:
            self._fail(error)
            raise
        finally:
            self._count_room()

    def _ensure_headroom(self, nbytes: int, floor: int) -> bool:
        need = nbytes + LENGTH_BYTES + FRAME_BYTES
        while self._spares.allocate(max(need + OVERHEAD, self._segment_bytes)):
            self._count_room()
            if self.fits(nbytes, floor):
                return True
        # Not even one more segment: then just what is lacking, behind the youngest spare or as one
        # more.
        left = self._left + self._space
        lack = floor + need + (left if need > left else 0) - self.headroom
        if not self._spares.lengthen_last(need, lack) and not self._spares.allocate(
            max(need, lack) + OVERHEAD
        ):
            return False
        self._count_room()
        return self.fits(nbytes, floor)

    def trim(self, wish: int) -> None:
        """Gives back spares that are not needed for room to be at least wish."""
        if not self._able() or self._spares.preparing:
            return
        try:
            self._spares.trim(self.headroom - wish)
        except OSError as error:
            self._fail(error)
        self._count_room()

    def retire(self, before: int) -> None:
        """Drops all sealed segments below number before, when all that was appended until now is as
        safe as it gets.

        They become spares when tinline is less room than was last wished for.
        """
        numbers = tuple(
            number
            for number in takewhile(lambda number: number < before, self.segment_sizes)
            if number >= self._dropped
        )
        if not numbers or not self._able():
            return
        self._dropped = numbers[-1] + 1
        self.preallocate(self._spares.wish)
        self._threads.commit([Drop(numbers, self.lsn)], 0)

    def _count_room(self) -> None:
        self.headroom = self._left + self._space + self._spares.headroom

    # --- the threads' reports

    def collect(self) -> None:
        """Takes over what the threads have to report. Raises LogFailed if that is a failure."""
        self._take()
        if self._failure is not None:
            self._check()

    def _take(self) -> None:
        progress = self._progress
        self.durable_lsn = progress.durable_lsn  # before written_lsn, which is raised first
        self.written_lsn = progress.written_lsn
        self.promised_lsn = self.durable_lsn if self.promise_durable else self.written_lsn
        if progress.watermark > self._watermark:
            self._watermark = progress.watermark
        if progress.events:
            self.changes += 1
            while progress.events:
                self._apply(progress.events.popleft())
            self._count_room()
        if progress.failure is not None:
            self._failure = progress.failure
            # The next append must not go unnoticed.
            self._left += self._space
            self._space = 0

    def _apply(self, event: Event) -> None:
        if isinstance(event, Grown):
            self._spares.report(event)
            if event.spare is self._active and event.size > self._active_bytes:
                self._left += event.size - self._active_bytes
                self._active_bytes = event.size
        elif isinstance(event, Dropped):
            self.sealed_bytes -= self.segment_sizes.pop(event.number)
            self._spares.dirty_bytes += event.kept
            self.oldest = next(iter(self.segment_sizes), self.segment)
        elif isinstance(event, Rested):
            self._spares.rested(event.short)
        else:
            self._spares.dirty_bytes -= event.nbytes

    def _fail(self, error: OSError) -> None:
        self._progress.fail(self._directory.path, 0, error)
        self.collect()

    def _able(self) -> bool:
        return self._failure is None and not self._closed

    def _check(self) -> None:
        failure = self._failure
        if failure is not None:
            raise LogFailed(
                failure.path, failure.offset, failure.errno, failure.reason
            ) from failure
        if self._closed:
            raise ValueError("the log is closed")

    def close(self, at: int) -> None:
        """Commits, syncs, says so in a claim, and seals. Raises LogFailed, if the log failed, after
        everything was let go.

        On a full disk the rest of the active segment stays: it is room for the next start, which
        nobody else should take in between.
        """
        if self._closed:
            return
        self._take()
        if self._able():
            self.commit(at)
        operations = self._operations  # none, unless the log failed
        if not self._never and self._watermark < self.lsn:
            operations.append(
                Sync(True, self.lsn + 1)
            )  # tinline is always room for this claim: OVERHEAD
        self._closed = True
        self._threads.close(operations, at, cut=not self.disk_full)
        self._take()
        self._spares.close()
        self._directory.close()
        if self._failure is not None:
            self._check()


def _is_short(operation: Operation) -> bool:
    """A frame, and not one that was made longer for a single record."""
    return isinstance(operation, Write) and (
        len(operation.records) > 1 or len(operation.records[0]) <= FRAME_MAX
    )
