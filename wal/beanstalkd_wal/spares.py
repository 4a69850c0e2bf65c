"""The owner's view of the spares: which are known, and the goal of the preparer.

Promises: bytes counted here are preallocated on the disk, and only the log can use them. On a full
disk a method returns False and raises nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from beanstalkd_wal.directory import OVERHEAD, Directory, Spare
from beanstalkd_wal.errors import SecondWriter
from beanstalkd_wal.fs import NO_SPACE
from beanstalkd_wal.preparer import Preparer
from beanstalkd_wal.progress import SpareGrown


class Spares:
    """All amounts are in bytes."""

    def __init__(
        self, directory: Directory, preparer: Preparer, wake: Callable[[], None], dirty_bytes: int
    ) -> None:
        self.nbytes = 0  # of the files
        self.headroom = 0  # the part of nbytes that frames can use
        self.dirty_bytes = dirty_bytes  # of files that must be filled with zeros before use
        self.disk_full = False
        self.full_errno = 0  # of the latest allocation that met a full disk
        self.target = 0
        self.preparing = False  # the preparer was woken, and has not reported PreparerIdle yet
        self._directory = directory
        self._preparer = preparer
        self._wake = wake
        self._spares: list[Spare] = []
        self._made = 0  # headroom from the preparer since the log was opened (Preparer.made)

    def first_fitting(self, nbytes: int) -> Spare | None:
        """The first spare that can hold frames of so many bytes."""
        for spare in self._spares:
            if spare.known - OVERHEAD >= nbytes:
                return spare
        return None

    def remove(self, spare: Spare) -> None:
        """The spare will be used by a rotation, or deleted. The preparer does not lengthen it
        again.
        """
        spare.taken = True
        self._spares.remove(spare)
        self.nbytes -= spare.known
        self.headroom -= spare.known - OVERHEAD

    # --- in the background

    def preallocate(self, target: int, headroom: int) -> None:
        """Makes the preparer raise the log's headroom from `headroom` to the target."""
        self.target = target
        step = self._preparer.step
        missing = max(target - headroom + step - 1, 0) // step * step
        before, self._preparer.goal = self._preparer.goal, self._made + missing
        if not missing:
            self.disk_full = self.disk_full and self.preparing
        # The preparer must delete dirty files of an earlier run even if nothing is missing.
        idle = not self.preparing and (missing or self._preparer.has_dirty)
        if idle or (missing and self._preparer.goal > before):
            self.preparing = True
            self._wake()

    def on_grown(self, event: SpareGrown) -> None:
        self._made += event.headroom
        if not event.reused:
            self.disk_full = False
        if not event.spare.taken:
            self._set_known(event.spare, event.size)

    def on_idle(self, full_errno: int) -> None:
        """full_errno: 0 if the goal was reached."""
        self.preparing = False
        self.disk_full = full_errno != 0
        if full_errno:
            self.full_errno = full_errno

    def _set_known(self, spare: Spare, nbytes: int) -> None:
        """Ignores a size that is not larger than the known one. The owner may have lengthened the
        spare after the preparer did, and the preparer's report comes later.
        """
        if nbytes <= spare.known:
            return
        if not spare.known:
            self._spares.append(spare)
            self.headroom -= OVERHEAD
        self.nbytes += nbytes - spare.known
        self.headroom += nbytes - spare.known
        spare.known = nbytes

    @property
    def largest(self) -> int:
        """Size of the largest spare; 0 if there is none."""
        return max((spare.known for spare in self._spares), default=0)

    # --- at once, on the owner's thread

    def allocate(self, nbytes: int) -> bool:
        """Creates one more spare. False if the disk is full; raises OSError."""
        fs = self._directory.fs
        try:
            spare = self._directory.new_spare()
        except OSError as error:
            return self._false_if_full(error)
        try:
            if self._lengthen(spare, nbytes):
                return True
        except (OSError, SecondWriter):
            fs.close(spare.handle)
            raise
        fs.close(spare.handle)
        fs.unlink(spare.path)
        return False

    def lengthen_last(self, frame_bytes: int, missing: int) -> bool:
        """Lengthens the latest spare by `missing` bytes, or more if frame_bytes need it.

        False if there is none, or if the disk is full; raises OSError.
        """
        if not self._spares:
            return False
        spare = self._spares[-1]
        return self._lengthen(spare, max(frame_bytes + OVERHEAD, spare.known + missing))

    def join(self, frame_bytes: int) -> bool:
        """Lengthens the largest spare with the space of others, the shortest first, until it can
        hold frames of frame_bytes.

        For a full disk, while the preparer is idle. At most one spare is gone at any time: if
        another program takes its space, the result is False. Raises OSError.
        """
        self._directory.check_lock()
        *others, largest = sorted(self._spares, key=lambda spare: spare.known)
        for spare in others:
            if largest.known - OVERHEAD >= frame_bytes:
                break
            self._unlink(spare)
            if not self._lengthen(largest, largest.known + spare.known):
                return False
        return largest.known - OVERHEAD >= frame_bytes

    def _lengthen(self, spare: Spare, nbytes: int) -> bool:
        self._directory.check_lock()
        with spare.lock:
            try:
                if nbytes > spare.size:
                    self._directory.fs.allocate(spare.handle, spare.size, nbytes)
                    spare.size = nbytes
            except OSError as error:
                return self._false_if_full(error)
        self._set_known(spare, nbytes)
        return True

    def _false_if_full(self, error: OSError) -> bool:
        if error.errno not in NO_SPACE:
            raise error
        self.full_errno = error.errno or 0
        return False

    def trim(self, excess: int) -> None:
        """Frees at most `excess` bytes of headroom: whole spares, the latest first, then the end of
        one more. The disk is not full then. Raises OSError.
        """
        self._directory.check_lock()
        for spare in self._spares[::-1]:
            headroom = spare.known - OVERHEAD
            if headroom <= excess:
                excess -= headroom
                self._delete(spare)
            elif excess >= self._preparer.step:
                self._shorten(spare, spare.known - excess)
                return

    def _delete(self, spare: Spare) -> None:
        self._unlink(spare)
        self.disk_full = False

    def _unlink(self, spare: Spare) -> None:
        self.remove(spare)
        with spare.lock:
            self._directory.fs.close(spare.handle)
            self._directory.fs.unlink(spare.path)

    def _shorten(self, spare: Spare, nbytes: int) -> None:
        with spare.lock:
            self._directory.fs.truncate(spare.handle, nbytes)
            spare.size = nbytes
        self.nbytes -= spare.known - nbytes
        self.headroom -= spare.known - nbytes
        spare.known = nbytes
        self.disk_full = False

    def close(self) -> None:
        """Closes the files. They stay on disk for the next start, which fills them with zeros
        again. So an error here can be ignored.
        """
        for spare in self._spares:
            with contextlib.suppress(OSError):
                self._directory.fs.close(spare.handle)
