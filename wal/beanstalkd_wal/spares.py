"""The owner's side of the spares: what is known to be prepared, what was asked for, and the
allocation of more at once.

May know: what the preparer reports. Promises: what is counted here is physically there and nobody
else's; a full disk is an answer, not an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from beanstalkd_wal.directory import OVERHEAD, Directory, Spare
from beanstalkd_wal.fs import NO_ROOM
from beanstalkd_wal.preparer import Preparer
from beanstalkd_wal.progress import Grown


class Spares:
    def __init__(
        self, directory: Directory, preparer: Preparer, wake: Callable[[], None], dirty_bytes: int
    ) -> None:
        self.nbytes = 0  # of the files
        self.headroom = 0  # in them, for frames
        self.dirty_bytes = dirty_bytes  # of files that have to be zeroed before they count
        self.disk_full = False
        self.wish = 0
        self.preparing = False
        self._directory = directory
        self._preparer = preparer
        self._wake = wake
        self._spares: list[Spare] = []
        self._made = 0  # see Preparer.made

    def fitting(self, need: int) -> Spare | None:
        """The first that holds frames of so many bytes."""
        for spare in self._spares:
            if spare.known - OVERHEAD >= need:
                return spare
        return None

    def take(self, spare: Spare) -> None:
        """It is a spare no longer, and will not be lengthened any more but for a step that is under
        way.
        """
        spare.taken = True
        self._spares.remove(spare)
        self.nbytes -= spare.known
        self.headroom -= spare.known - OVERHEAD

    # --- in the background

    def prepare(self, wish: int, room: int) -> None:
        self.wish = wish
        step = self._preparer.step
        lack = max(wish - room + step - 1, 0) // step * step
        before, self._preparer.goal = self._preparer.goal, self._made + lack
        if not lack:
            self.disk_full = self.disk_full and self.preparing
        # With room enough there is still what a crash has left: to be given back.
        idle = not self.preparing and (lack or self._preparer.has_dirty)
        if idle or (lack and self._preparer.goal > before):
            self.preparing = True
            self._wake()

    def report(self, event: Grown) -> None:
        self._made += event.made
        if not event.spare.taken:
            self.grown(event.spare, event.size)

    def rested(self, short: bool) -> None:
        self.preparing = False
        self.disk_full = short

    def grown(self, spare: Spare, nbytes: int) -> None:
        """A spare is known to be so long. What is no news is ignored: both sides may have
        lengthened it.
        """
        if nbytes <= spare.known:
            return
        if not spare.known:
            self._spares.append(spare)
            self.headroom -= OVERHEAD
        self.nbytes += nbytes - spare.known
        self.headroom += nbytes - spare.known
        spare.known = nbytes

    # --- at once

    def allocate(self, nbytes: int) -> bool:
        """One more. False if the disk is full."""
        fs = self._directory.fs
        try:
            spare = self._directory.new_spare()
        except OSError as error:
            return _full(error)
        try:
            if self._lengthen(spare, nbytes):
                return True
        except OSError:
            fs.close(spare.handle)
            raise
        fs.close(spare.handle)
        fs.unlink(spare.path)
        return False

    def lengthen_last(self, need: int, lack: int) -> bool:
        """The youngest by lack, and so far that it takes a frame of need."""
        if not self._spares:
            return False
        spare = self._spares[-1]
        return self._lengthen(spare, max(need + OVERHEAD, spare.known + lack))

    def _lengthen(self, spare: Spare, nbytes: int) -> bool:
        with spare.lock:
            try:
                if nbytes > spare.size:
                    self._directory.fs.allocate(spare.handle, spare.size, nbytes)
                    spare.size = nbytes
            except OSError as error:
                return _full(error)
        self.grown(spare, nbytes)
        return True

    def trim(self, excess: int) -> None:
        """Gives back so much room, or a little less, from the youngest spare on: whole files, and
        the end of one.
        """
        for spare in self._spares[::-1]:
            room = spare.known - OVERHEAD
            if room <= excess:
                excess -= room
                self.take(spare)
                with spare.lock:
                    self._directory.fs.close(spare.handle)
                    self._directory.fs.unlink(spare.path)
            elif excess >= self._preparer.step:
                self._cut(spare, spare.known - excess)
                return

    def _cut(self, spare: Spare, nbytes: int) -> None:
        with spare.lock:
            self._directory.fs.truncate(spare.handle, nbytes)
            spare.size = nbytes
        self.nbytes -= spare.known - nbytes
        self.headroom -= spare.known - nbytes
        spare.known = nbytes

    def close(self) -> None:
        """Lets go of the files. They stay for the next start, which trusts nothing in them: so a
        failure here means nothing.
        """
        for spare in self._spares:
            with contextlib.suppress(OSError):
                self._directory.fs.close(spare.handle)


def _full(error: OSError) -> bool:
    """For an allocation to return: False if there was no room, else it raises."""
    if error.errno in NO_ROOM:
        return False
    raise error
