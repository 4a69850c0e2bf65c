"""Spares, prepared ahead: filled with zeros and synced before anybody counts on them; and the end
of dropped segments.

May know: files; nothing of frames. Runs in a thread of its own (or inline), since all of it is slow
and none of it urgent. Promises: what was reported as grown is physically there; a full disk, or no
file descriptor left, is a reason to rest, not a failure; segments vanish from the oldest on, each
for good before the next one does, so that a crash leaves no gap; a dropped segment's bytes are
overwritten before the file is offered again, so its frames never pass for new ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from beanstalkd_wal.directory import OVERHEAD, Directory, Spare
from beanstalkd_wal.fs import NO_ROOM, fill
from beanstalkd_wal.names import segment_path, spare_path
from beanstalkd_wal.progress import Cleaned, Dropped, Grown, Progress, Rested

# The smallest step in which a spare grows: a block of most file systems, and more than OVERHEAD.
LEAST = 4096

# Numbers of segments to drop; () is a wake-up only; an event is to be set in its turn; None is the
# end.
Order = tuple[int, ...] | threading.Event | None


class Preparer:
    def __init__(
        self,
        directory: Directory,
        progress: Progress,
        segment_bytes: int,
        dirty: list[tuple[str, int]],
    ) -> None:
        self.directory = directory
        self.progress = progress
        self.segment_bytes = segment_bytes
        self.step = max(segment_bytes // 16, OVERHEAD + 1)
        self._steps = [
            self.step,
            *(step for step in (self.step // 4, LEAST) if LEAST <= step < self.step),
        ]
        self.queue: SimpleQueue[Order] = SimpleQueue()
        # Bytes of room, added up over the log's life: what the owner would like to have been made
        # (he writes it), and what was.
        self.goal = 0
        self.made = 0
        self._dirty = dirty  # paths and sizes of files that were segments or spares before
        self._growing: Spare | None = None
        self._path = directory.path  # of what is being done, for the report
        self._offset = 0

    def run(self) -> None:
        while True:
            order = self.queue.get()
            if order is None:
                return
            if isinstance(order, threading.Event):
                order.set()
            else:
                self.carry_out(order)

    def carry_out(self, order: tuple[int, ...]) -> None:
        if self.progress.failure is None:
            try:
                self._drop(order)
                self._work()
            except Exception as error:
                self.progress.fail(self._path, self._offset, error)
        self.progress.notify()

    @property
    def has_dirty(self) -> bool:
        """Whether there are files that have to be zeroed, or given back."""
        return bool(self._dirty)

    # --- dropping

    def _drop(self, numbers: tuple[int, ...]) -> None:
        directory = self.directory
        for number in numbers:
            path = segment_path(directory.path, number)
            kept = self._leave(path)
            directory.sync_names()
            self.progress.events.append(Dropped(number, kept))

    def _leave(self, path: str) -> int:
        """Takes the segment's name away. What is left of it as a spare to be zeroed, in bytes."""
        directory = self.directory
        self._at(path, 0)
        nbytes = directory.fs.size(path)
        # A small file would make a small segment, and each costs a rotation. Without syncs, the
        # zeros might outlast a crash, and the new name not.
        if self.made >= self.goal or nbytes < self.step or not directory.sync:
            directory.fs.unlink(path)
            return 0
        spare = spare_path(directory.path, next(directory.numbers))
        directory.fs.rename(path, spare)
        self._dirty.append((spare, nbytes))
        return nbytes

    # --- preparing

    def _work(self) -> None:
        """Makes room until there is as much as was wished for, or no more to be had."""
        short = False
        while self.made < self.goal and not short:
            short = not self._advance()
            self.progress.notify()
        while (
            self._dirty and not short
        ):  # there is room enough: what would have to be zeroed first is given back
            self._discard()
        self.progress.events.append(Rested(short))

    def _advance(self) -> bool:
        """One bounded step. False if the disk is full. What was ours already comes first: it costs
        no new space.
        """
        if self._dirty:
            return self._had_room(self._clean)
        # The last bytes of a full disk count: what a small segment gave back must not be left to
        # others for being less than a step.
        return any(self._had_room(partial(self._grow, step)) for step in self._steps)

    @staticmethod
    def _had_room(act: Callable[[], None]) -> bool:
        try:
            act()
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            return False
        return True

    def _clean(self) -> None:
        path, nbytes = self._dirty[-1]
        if nbytes < self.step:  # a crash left it so: too small to be of use
            self._discard()
            return
        self._at(path, 0)
        fs = self.directory.fs
        handle = fs.open(path)
        spare = Spare(path, handle, min(nbytes, self.segment_bytes))
        try:
            if spare.size < nbytes:
                fs.truncate(handle, spare.size)
            fill(fs, handle, 0, spare.size)
            self.directory.sync_data(handle)
        except OSError:
            fs.close(handle)
            raise
        self._dirty.pop()
        self.progress.events.append(Cleaned(nbytes))
        self._grown(spare, spare.size - OVERHEAD)

    def _grow(self, step: int) -> None:
        spare = self._growing
        if spare is None or spare.taken or spare.size >= self.segment_bytes:
            self._create(step)
            return
        with spare.lock:
            # Taken in the meantime: the committer has it, or waits for this lock to have it.
            if not spare.taken:
                old = spare.size
                self._lengthen(spare, min(old + step, self.segment_bytes))
                self._grown(spare, spare.size - old)

    def _create(self, step: int) -> None:
        self._at(self.directory.path, 0)
        spare = self.directory.new_spare()
        try:
            self._lengthen(spare, min(step, self.segment_bytes))
        except OSError:
            self.directory.fs.close(spare.handle)
            self.directory.fs.unlink(spare.path)
            raise
        self._grown(spare, spare.size - OVERHEAD)

    def _lengthen(self, spare: Spare, nbytes: int) -> None:
        self._at(spare.path, spare.size)
        fs = self.directory.fs
        try:
            fill(fs, spare.handle, spare.size, nbytes)
            self.directory.sync_data(spare.handle)
        except OSError:
            fs.truncate(spare.handle, spare.size)
            raise
        spare.size = nbytes

    def _grown(self, spare: Spare, room: int) -> None:
        self._growing = spare
        self.made += room
        self.progress.events.append(Grown(spare, spare.size, room))

    def _discard(self) -> None:
        path, nbytes = self._dirty.pop()
        self._at(path, 0)
        self.directory.fs.unlink(path)
        self.progress.events.append(Cleaned(nbytes))

    def _at(self, path: str, offset: int) -> None:
        self._path = path
        self._offset = offset
