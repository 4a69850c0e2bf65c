"""Preallocates segments, and deletes retired ones.

Runs on a thread of its own (or inline), because this work is slow and not urgent.

Promises: a spare's bytes are filled with zeros, and they and its name are synced before they are
reported. After an error in NO_SPACE (a full disk, no file descriptors) the work stops until the
next order; the log does not fail. Segments are deleted from the oldest on, and each deletion is
durable before the next one. So a crash leaves no gap between segments. The file of a deleted
segment is filled with zeros before it is used again. So its old frames are not taken for new ones.
When the log is closed, the work is abandoned: the next start does what is left, as after a kill.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from beanstalkd_wal.directory import OVERHEAD, Directory, Spare, steps_of
from beanstalkd_wal.fs import NO_SPACE, fill
from beanstalkd_wal.names import segment_path
from beanstalkd_wal.progress import (
    DirtyFileDone,
    PreparerIdle,
    Progress,
    SegmentDeleted,
    SpareGrown,
)

FILL_BYTES = 4 << 20  # filled with zeros between two checks whether the work is abandoned

# What the queue holds: the numbers of segments to delete (possibly none), then preallocate; or an
# event to set when the orders before it are done; or None, which ends the thread.
Order = tuple[int, ...] | threading.Event | None


class Abandoned(Exception):
    """The log is being closed, and no promise needs this work."""


class Preparer:
    def __init__(
        self,
        directory: Directory,
        progress: Progress,
        segment_bytes: int,
        dirty: list[tuple[str, int]],
        reuse: bool = True,
        disk_full: bool = False,
    ) -> None:
        """reuse: keep the files of deleted segments as spares while headroom is short. (On a full
        disk they are kept in any case, if `Directory.may_reuse`.) disk_full: the start met a full
        disk.
        """
        self.directory = directory
        self.progress = progress
        self.segment_bytes = segment_bytes
        self._steps = steps_of(segment_bytes)
        self.step = self._steps[0]
        self.queue: SimpleQueue[Order] = SimpleQueue()
        # Bytes of headroom, counted since the log was opened. `made`: preallocated so far. `goal`:
        # preallocate until `made` reaches this; the owner writes it.
        self.goal = 0
        self.made = 0
        self.abandoned = False  # set by the owner, and never reset
        # Dirty files hold old data: deleted segments, spares of earlier runs. Paths and sizes.
        self._dirty = dirty
        self._reuse = reuse
        self._full = disk_full  # when a spare was last created or lengthened
        self._errno = 0  # the latest error of a full disk
        self._spares: list[Spare] = []  # those of this run, the latest last
        # Where it is working, for the report of a failure.
        self._path = directory.path
        self._offset = 0

    def run(self) -> None:
        """The thread's main function."""
        while True:
            order = self.queue.get()
            if order is None:
                return
            if isinstance(order, threading.Event):
                order.set()
            else:
                self.execute(order)

    def execute(self, order: tuple[int, ...]) -> None:
        """Deletes these segments, then preallocates up to the goal."""
        if self.progress.failure is None:
            try:
                self._delete(order)
                self._preallocate()
            except Abandoned:
                pass
            except Exception as error:
                self.progress.fail(self._path, self._offset, error)
        self.progress.notify()

    @property
    def has_dirty(self) -> bool:
        """Whether there are files to fill with zeros, or to delete."""
        return bool(self._dirty)

    # --- deleting

    def _delete(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            self._go_on()
            kept = self._unlink_or_keep(segment_path(self.directory.path, number))
            self.directory.sync_names()
            self.progress.events.append(SegmentDeleted(number, kept))

    def _unlink_or_keep(self, path: str) -> int:
        """Removes the segment's name. Returns the size of the dirty file that is left of it, or 0.

        The file is kept only if headroom is below the goal.
        """
        fs = self.directory.fs
        self._working_at(path, 0)
        self.directory.check_lock()
        nbytes = fs.size(path)
        reuse = self._reuse or (self._full and self.directory.may_reuse)
        # With a second name the file is also that of a copy of the directory (`cp -al`).
        reuse = reuse and fs.links(path) == 1
        if self.made >= self.goal or not reuse or self._is_too_small(nbytes):
            fs.unlink(path)
            return 0
        spare = self.directory.new_spare_path()
        self.directory.rename(path, spare)
        self._dirty.append((spare, nbytes))
        return nbytes

    def _is_too_small(self, nbytes: int) -> bool:
        """Whether a dirty file of so many bytes is deleted. It would become a small segment, and
        every segment costs a rotation. On a full disk a small one is kept: another program may
        take its space, or the disk may have no space for the name of a new file.
        """
        return nbytes < (self._steps[-1] if self._full else self.step)

    # --- preallocating

    def _preallocate(self) -> None:
        """Works until the goal is reached or the disk is full. If the goal is reached, deletes the
        dirty files that are left.
        """
        short = False
        while self.made < self.goal and not short:
            self._go_on()
            short = not self._advance()
            self.progress.notify()
        while self._dirty and not short:
            self._go_on()
            self._discard_dirty()
        self.progress.events.append(PreparerIdle(self._errno if short else 0))

    def _advance(self) -> bool:
        """One bounded step. False if the disk is full.

        Dirty files come first, because they need no new space. On an almost full disk the steps get
        smaller, to take the small space that a small segment frees before other programs take it.
        """
        if self._dirty:
            return self._had_space(self._clean)
        self._full = not any(self._had_space(partial(self._grow, step)) for step in self._steps)
        return not self._full

    def _had_space(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self._errno = error.errno or 0
            return False
        except MemoryError:  # as if space were missing: it is tried again later
            self._errno = errno.ENOMEM
            return False
        return True

    def _clean(self) -> None:
        """Turns the latest dirty file into a spare; deletes it if it is too small. If the file is
        larger than a segment, its end is cut off, except on a full disk: the space may be lost.
        """
        path, nbytes = self._dirty[-1]
        if self._is_too_small(nbytes):
            self._discard_dirty()
            return
        self._working_at(path, 0)
        self.directory.check_lock()
        fs = self.directory.fs
        handle = fs.open(path)
        spare = Spare(path, handle, nbytes if self._full else min(nbytes, self.segment_bytes))
        try:
            if spare.size < nbytes:
                fs.truncate(handle, spare.size)
            self._fill(handle, 0, spare.size)
            fs.sync(handle)
        except (OSError, MemoryError, Abandoned):
            fs.close(handle)
            raise
        self._dirty.pop()
        self.progress.events.append(DirtyFileDone(nbytes))
        self._report(spare, spare.size - OVERHEAD, reused=True)

    def _grow(self, step: int) -> None:
        spare = self._shorter_spare()
        if spare is None:
            self._create(step)
            return
        with spare.lock:
            # After the check above, the owner may have taken or lengthened the spare.
            if not spare.taken and spare.size < self.segment_bytes:
                old = spare.size
                self._lengthen(spare, min(old + step, self.segment_bytes))
                self._report_grown(spare, spare.size - old)

    def _shorter_spare(self) -> Spare | None:
        """The latest spare that is shorter than a segment: lengthening it needs no new file. A
        spare may be short because it was a segment, or because the owner has shortened it.
        """
        self._spares = [spare for spare in self._spares if not spare.taken]
        for spare in reversed(self._spares):
            if spare.size < self.segment_bytes:
                return spare
        return None

    def _create(self, step: int) -> None:
        self._working_at(self.directory.path, 0)
        spare = self.directory.new_spare()
        try:
            self._lengthen(spare, min(step, self.segment_bytes))
            self._go_on()
            self.directory.sync_names()  # so the spare survives a power cut
        except (OSError, MemoryError, Abandoned):
            self.directory.fs.close(spare.handle)
            self.directory.fs.unlink(spare.path)
            raise
        self._report(spare, spare.size - OVERHEAD)

    def _lengthen(self, spare: Spare, nbytes: int) -> None:
        self._working_at(spare.path, spare.size)
        self.directory.check_lock()
        fs = self.directory.fs
        try:
            self._fill(spare.handle, spare.size, nbytes)
            fs.sync(spare.handle)
        except (OSError, MemoryError, Abandoned):
            fs.truncate(spare.handle, spare.size)
            raise
        spare.size = nbytes

    def _fill(self, handle: int, start: int, end: int) -> None:
        """Writes zeros from start to end, and waits for the disk no longer than necessary."""
        for piece in range(start, end, FILL_BYTES):
            fill(self.directory.fs, handle, piece, min(piece + FILL_BYTES, end))
            self._go_on()

    def _report(self, spare: Spare, headroom: int, reused: bool = False) -> None:
        self._spares.append(spare)
        self._report_grown(spare, headroom, reused)

    def _report_grown(self, spare: Spare, headroom: int, reused: bool = False) -> None:
        self.made += headroom
        self.progress.events.append(SpareGrown(spare, spare.size, headroom, reused))

    def _discard_dirty(self) -> None:
        path, nbytes = self._dirty.pop()
        self._working_at(path, 0)
        self.directory.check_lock()
        self.directory.fs.unlink(path)
        self.progress.events.append(DirtyFileDone(nbytes))

    def _go_on(self) -> None:
        if self.abandoned:
            raise Abandoned

    def _working_at(self, path: str, offset: int) -> None:
        self._path = path
        self._offset = offset
