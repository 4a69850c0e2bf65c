"""The log: append, commit, and the account of what fits where.

May know: what its two threads report. Promises: where a record goes, and whether there is room for it, is decided here, on the owner's
thread, at once and for good; what the threads do has no influence on it but by what `collect` takes over. Nothing is
written where nothing was prepared. After a failure nothing is promised any more, and append and commit say so.

All methods belong to one thread, the owner's. None but make_room and close waits for the disk (unless threaded is False).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import takewhile

from wal.committer import Batch, Close, Committer, Drop, Durability, Fence, Operation, Rotate, Sync, Write
from wal.errors import LogFailed, LogFull
from wal.format import FRAME_BYTES, HEADER_BYTES, LENGTH_BYTES, META_BYTES, RECORD_BYTES_MAX
from wal.fs import NO_ROOM, FileSystem
from wal.preparer import OVERHEAD, Preparer
from wal.progress import Cleaned, Dropped, Event, Grown, Progress, Spare
from wal.recover import Recovered, recover
from wal.replay import Replay

# A frame is cut when it is this long: one checksum over much more makes nothing cheaper, and a torn frame is lost as a whole.
FRAME_MAX = 256 * 1024


class Log:
    """Made by Log.open. The attributes without an underscore are to be read, not written."""

    def __init__(self, replay: Replay, found: Recovered, segment_bytes: int, durability: Durability) -> None:
        self._fs: FileSystem = found.directory.fs
        self._directory = found.directory
        self._never = durability is Durability.NEVER
        self._promise_durable = durability is Durability.SYNC
        self._segment_bytes = segment_bytes
        self._meta: Callable[[], bytes] = bytes
        self._closed = False
        self._failure: LogFailed | None = None

        self.lsn = replay.next_lsn - 1  # of the last record appended
        self.written_lsn = self.lsn
        self.durable_lsn = found.durable_lsn
        self.promised_lsn = self.lsn  # up to which the mode's promise holds
        self._claimed = found.claimed_lsn  # the highest durable LSN that is written down, or about to be

        # The open frame. _space is what may still be added to it without a second thought; 0: there is none.
        self._records: list[bytes] = []
        self._space = 0
        self._operations: list[Operation] = []

        # The active segment: _left is what is behind _space.
        self.segment = found.number
        self._active = found.active
        self._active_bytes = found.active.size
        self._left = found.active.size - found.offset - FRAME_BYTES
        self.segment_sizes = found.sealed
        self.sealed_bytes = sum(found.sealed.values())
        self.oldest = min(found.sealed, default=found.number)
        self._dropped = 0  # segments below this number are dropped, or about to be

        self._spares: list[Spare] = []
        self._spare_bytes = 0
        self._dirty_bytes = sum(nbytes for _, nbytes in found.dirty)
        self.room = self._left
        self.short = False
        self._wish = 0
        self._made = 0
        self._goal = 0
        self._preparing = False

        self._threads: list[threading.Thread] = []

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
    ) -> Log:
        """Goes on where an exhausted replay ended.

        meta: its bytes go into the header of each new segment. notify: called (by any thread) when there is something to collect.
        at: wall time, ns. fs is the replay's, if not given.
        """
        if not replay.exhausted:
            raise ValueError("the replay is not exhausted")
        if segment_bytes < 4 * HEADER_BYTES:
            raise ValueError(f"segments of {segment_bytes} bytes are too small")
        if fs is not None:
            replay.fs = fs
        found = recover(replay, durability, segment_bytes, meta(), at)
        log = Log(replay, found, segment_bytes, durability)
        log._begin(found, durability, meta, notify, threaded)
        return log

    def _begin(
        self, found: Recovered, durability: Durability, meta: Callable[[], bytes], notify: Callable[[], None], threaded: bool
    ) -> None:
        self._meta = meta
        self._notify = notify
        self._progress = Progress(self.written_lsn, self.durable_lsn, self._claimed, notify if threaded else self._take_and_notify)
        self._preparer = Preparer(found.directory, self._progress, self._segment_bytes, found.dirty)
        drop = self._preparer.queue.put if threaded else self._preparer.carry_out
        self._committer = Committer(
            found.directory, self._progress, found.log_id, durability, found.active, found.number, found.offset, drop
        )
        if threaded:
            # Daemons: a process that ends without close() ends like a crashed one, instead of hanging.
            self._threads = [
                threading.Thread(target=self._committer.run, name="wal-committer", daemon=True),
                threading.Thread(target=self._preparer.run, name="wal-preparer", daemon=True),
            ]
            for thread in self._threads:
                thread.start()

    # --- appending

    def append(self, record: bytes) -> int:
        """Adds a record to the open frame; its LSN is `lsn` then. Returns the number of the segment it goes to.

        Raises LogFull (nothing changed) or LogFailed. Hot, hence flat: 0.15 us.
        """
        need = len(record) + LENGTH_BYTES
        if need > self._space:
            self._open_frame(need)
        self._space -= need
        self.room -= need
        self._records.append(record)
        self.lsn += 1
        return self.segment

    def fits(self, nbytes: int, floor: int = 0) -> bool:
        """Whether a record of nbytes could be appended now and leave at least floor bytes of room."""
        need = nbytes + LENGTH_BYTES
        if need <= self._space:
            return self.room - need >= floor
        need += FRAME_BYTES
        left = self._left + self._space
        if need <= left:
            return self.room - need >= floor
        # The rest of the active segment is lost by the rotation.
        return self.room - left - need >= floor and self._fitting_spare(need) is not None

    def _open_frame(self, need: int) -> None:
        """A new frame for a record that needs so much: behind the open one or, if it does not fit there, in the next segment."""
        self._check()
        need += FRAME_BYTES
        if need > self._left + self._space:
            if need > RECORD_BYTES_MAX:
                raise ValueError(f"a record of {need} bytes")
            spare = self._fitting_spare(need)
            if spare is None:
                raise LogFull(need - FRAME_BYTES - LENGTH_BYTES, self.room)
            self._rotate(spare)
        else:
            self._close_frame()
        self._left -= FRAME_BYTES
        self.room -= FRAME_BYTES
        self._space = min(self._left, max(FRAME_MAX, need) - FRAME_BYTES)
        self._left -= self._space

    def _close_frame(self) -> None:
        self._left += self._space
        self._space = 0
        if self._records:
            self._operations.append(Write(self.lsn + 1 - len(self._records), self._records))
            self._records = []

    def _fitting_spare(self, need: int) -> Spare | None:
        for spare in self._spares:
            if spare.known - OVERHEAD >= need:
                return spare
        return None

    def _rotate(self, spare: Spare) -> None:
        meta = self._meta()
        if len(meta) > META_BYTES:
            raise ValueError(f"metadata of {len(meta)} bytes: at most {META_BYTES} fit")
        self._close_frame()
        spare.taken = True
        self._spares.remove(spare)
        self._spare_bytes -= spare.known
        used = self._active_bytes - self._left - FRAME_BYTES
        self.segment_sizes[self.segment] = used
        self.sealed_bytes += used
        self.room -= self._left
        self.segment += 1
        self._active = spare
        self._active_bytes = spare.known
        self._left = spare.known - OVERHEAD
        self._operations.append(Rotate(spare, self.segment, self.lsn + 1, meta))

    # --- committing

    @property
    def pending(self) -> bool:
        """Whether something was appended and not committed yet."""
        return bool(self._records) or bool(self._operations)

    def commit(self, at: int) -> None:
        """Hands over all that was appended. Measured: 0.9 us besides the thread's own work."""
        if self._failure is not None:
            self._check()
        if self._records:
            self._close_frame()
        if self._operations:
            operations = self._operations
            self._operations = []
            self._hand_over(operations, at)

    def sync(self, at: int) -> None:
        """Asks for a sync of all that was committed; not of what is pending. Nothing, if nothing is ever synced."""
        if not self._never and self._failure is None and not self._closed:
            self._hand_over([Sync(False, 0)], at)

    def claim(self, at: int) -> None:
        """Writes down what is durable, if that is not said yet: for an owner who falls idle. Never when something is pending."""
        if self.durable_lsn <= self._claimed or self.pending or self._closed or self._failure is not None:
            return
        self._claimed = self.durable_lsn
        if self._left >= FRAME_BYTES:
            self._left -= FRAME_BYTES
            self.room -= FRAME_BYTES
            self._hand_over([Sync(True, self.lsn + 1)], at)
            return
        spare = self._fitting_spare(FRAME_BYTES)
        if spare is not None:  # the header of a segment claims as well
            self._rotate(spare)
            self.commit(at)

    def _hand_over(self, operations: list[Operation], at: int) -> None:
        batch = Batch(at, operations)
        if self._threads:
            self._committer.queue.put(batch)
        else:
            self._committer.carry_out([batch])

    # --- room

    @property
    def left(self) -> int:
        """Bytes left in the active segment behind the open frame."""
        return self._left + self._space

    @property
    def spare_bytes(self) -> int:
        """Bytes of the spares that are known to be prepared."""
        return self._spare_bytes

    def drain(self, at: int) -> None:
        """Commits and waits until both threads have carried out all they were given, drops included; then collects. Raises LogFailed.

        For an owner who can go on only when dropped segments have become room.
        """
        self.commit(at)
        if self._threads:
            for hand_over in (lambda fence: self._hand_over([Fence(fence)], at), self._preparer.queue.put):
                fence = threading.Event()
                hand_over(fence)
                fence.wait()
        self.collect()

    def trim(self, wish: int) -> None:
        """Gives back spares that are not needed for room to be at least wish, the largest first."""
        for spare in sorted(self._spares, key=lambda spare: -spare.known):
            if self.room - spare.known < wish or self._preparing:
                continue
            spare.taken = True  # nobody lengthens it any more
            self._spares.remove(spare)
            self._spare_bytes -= spare.known
            self.room -= spare.known - OVERHEAD
            with spare.lock:
                self._fs.close(spare.handle)
                self._fs.unlink(spare.path)

    def prepare(self, wish: int) -> None:
        """Makes room grow to wish, in the background. When short, a try that fails costs some I/O: ask again at a leisurely pace."""
        self._wish = wish
        lack = wish - self.room
        if lack <= 0:
            self.short = self.short and self._preparing
            return
        if self._closed or self._failure is not None:
            return
        step = self._preparer.step
        goal = self._made + (lack + step - 1) // step * step
        self._preparer.goal = goal
        if goal > self._goal or not self._preparing:
            self._goal = goal
            self._preparing = True
            self._order(())

    def _order(self, order: tuple[int, ...]) -> None:
        if self._threads:
            self._preparer.queue.put(order)
        else:
            self._preparer.carry_out(order)

    def make_room(self, nbytes: int, floor: int = 0) -> bool:
        """Sees to it that fits(nbytes, floor), on this thread. False if the disk is full; LogFailed if it is broken."""
        self._check()
        try:
            return self.fits(nbytes, floor) or self._make_room(nbytes, floor)
        except OSError as error:
            self._progress.fail(self._directory.path, 0, error)
            self.collect()
            raise

    def _make_room(self, nbytes: int, floor: int) -> bool:
        need = nbytes + LENGTH_BYTES + FRAME_BYTES
        while self._allocate(max(need + OVERHEAD, self._segment_bytes)):
            if self.fits(nbytes, floor):
                return True
        # Not even one more segment: then just what is lacking, behind the youngest spare or as one more.
        left = self._left + self._space
        lack = floor + need + (left if need > left else 0) - self.room
        for spare in self._spares[-1:]:
            if self._lengthen(spare, max(need + OVERHEAD, spare.known + lack)):
                return self.fits(nbytes, floor)
        return self._allocate(max(need, lack) + OVERHEAD) and self.fits(nbytes, floor)

    def _allocate(self, nbytes: int) -> bool:
        """A new spare."""
        try:
            spare = self._directory.new_spare()
        except OSError as error:
            return self._full(error)
        if self._lengthen(spare, nbytes):
            return True
        self._fs.close(spare.handle)
        self._fs.unlink(spare.path)
        return False

    def _lengthen(self, spare: Spare, nbytes: int) -> bool:
        with spare.lock:
            try:
                if nbytes > spare.size:
                    self._fs.allocate(spare.handle, spare.size, nbytes)
                    spare.size = nbytes
            except OSError as error:
                return self._full(error)
        self._grown(spare, nbytes)
        return True

    @staticmethod
    def _full(error: OSError) -> bool:
        if error.errno in NO_ROOM:
            return False
        raise error

    def _grown(self, spare: Spare, nbytes: int) -> None:
        """A spare, or what was one, is known to be so long."""
        more = nbytes - spare.known
        if more <= 0:
            return
        if not spare.taken:
            if not spare.known:
                self._spares.append(spare)
                self.room -= OVERHEAD
            self._spare_bytes += more
            self.room += more
        elif spare is self._active:
            self._active_bytes += more
            self._left += more
            self.room += more
        spare.known = nbytes

    # --- dropping

    def drop(self, before: int) -> None:
        """Drops all sealed segments below number before, when all that was appended until now is as safe as it gets.

        They become spares when there is less room than was last wished for.
        """
        numbers = tuple(takewhile(lambda number: number < before, filter(lambda number: number >= self._dropped, self.segment_sizes)))
        if not numbers or self._closed or self._failure is not None:
            return
        self._dropped = numbers[-1] + 1
        self.prepare(self._wish)
        self._hand_over([Drop(numbers, self.lsn)], 0)

    @property
    def total_bytes(self) -> int:
        """Of all files of the log on disk. Exact when the threads are idle and everything is collected."""
        return self.sealed_bytes + self._active_bytes + self._spare_bytes + self._dirty_bytes

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
        self.promised_lsn = self.durable_lsn if self._promise_durable else self.written_lsn
        if progress.claimed_lsn > self._claimed:
            self._claimed = progress.claimed_lsn
        while progress.events:
            self._apply(progress.events.popleft())
        if progress.failure is not None:
            self._failure = progress.failure
            # The next append must not go unnoticed.
            self._left += self._space
            self._space = 0

    def _take_and_notify(self) -> None:
        self._take()
        self._notify()

    def _apply(self, event: Event) -> None:
        if isinstance(event, Grown):
            self._made += event.made
            self._grown(event.spare, event.size)
        elif isinstance(event, Dropped):
            self.sealed_bytes -= self.segment_sizes.pop(event.number)
            self._dirty_bytes += event.kept
            self.oldest = next(iter(self.segment_sizes), self.segment)
        elif isinstance(event, Cleaned):
            self._dirty_bytes -= event.nbytes
        else:
            self._preparing = False
            self.short = event.short

    def _check(self) -> None:
        failure = self._failure
        if failure is not None:
            raise LogFailed(failure.path, failure.offset, failure.errno) from failure
        if self._closed:
            raise ValueError("the log is closed")

    # --- the end

    def close(self, at: int) -> None:
        """Commits, syncs, says so in a claim, and seals. Raises LogFailed, if the log failed, after everything was let go."""
        if self._closed:
            return
        self._take()
        if self._failure is None:
            self.commit(at)
        operations: list[Operation] = []
        if not self._never and self._claimed < self.lsn:
            operations.append(Sync(True, self.lsn + 1))  # there is always room for this one: OVERHEAD
        operations.append(Close())
        self._closed = True
        self._hand_over(operations, at)
        self._join()
        self._release()
        if self._failure is not None:
            self._check()

    def _join(self) -> None:
        if self._threads:
            committer, preparer = self._threads
            committer.join()  # the last drops go from one to the other
            self._preparer.queue.put(None)
            preparer.join()
        self._take()

    def _release(self) -> None:
        for spare in self._spares:
            self._fs.close(spare.handle)
        self._fs.close(self._directory.handle)
