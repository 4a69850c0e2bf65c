"""An error of the disk: at the nth of its calls, and, if it is want of space or of descriptors, at
all that want them for a while.

May know: the seam's calls. Promises: one call fails for sure, and `failed` says which.
"""

from __future__ import annotations

import errno
import os

from beanstalkd_wal.fs import NO_ROOM

from ..disk import MemoryDisk, nothing

ERRORS = (errno.EIO, *sorted(NO_ROOM))
_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)


class Fault:
    """nth: of the calls; the first is 1. span: of so many calls from there those fail as well that
    want the same.
    """

    def __init__(self, nth: int, error: int, span: int = 1) -> None:
        self.nth = nth
        self.error = error
        self.span = span
        self.calls = 0
        self.failed: list[str] = []  # call and file
        self.expected = (
            False  # the nth wanted what there is none of: the log must be prepared for that
        )
        self._disk = MemoryDisk()

    def begin(self, disk: MemoryDisk) -> None:
        """From now on this disk's calls count."""
        self._disk = disk
        disk.before = self

    @property
    def blinding(self) -> bool:
        """Whether there was no descriptor for space that the log had already: what was set aside
        before a start, or what compaction gave back.
        """
        return self.error in _DESCRIPTORS and any(call.startswith("open ") for call in self.failed)

    def end(self) -> None:
        """Nothing fails any more."""
        self._disk.before = nothing

    def __call__(self, call: str, path: str) -> None:
        self.calls += 1
        wants = self._wants(call)
        if self.calls == self.nth:
            self.expected = wants
        elif not (wants and self.nth < self.calls < self.nth + self.span):
            return
        self.failed.append(f"{call} {os.path.basename(path)}")
        raise OSError(self.error, os.strerror(self.error), path)

    def _wants(self, call: str) -> bool:
        """Whether the call wants what the error says there is none of."""
        if self.error in _DESCRIPTORS:
            return call in ("create", "open")
        return self.error in NO_ROOM and (
            call in ("create", "allocate") or (call == "write" and self._disk.growing)
        )
