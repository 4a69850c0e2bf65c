"""An injected error of the disk. It fails the nth call. If space or file descriptors are the
resource that is missing, it also fails every call that needs the same resource for a while.

May know: the calls of the file-system seam. Promises: `failed` lists each call that failed.
"""

from __future__ import annotations

import errno
import os

from ..disk import MemoryDisk, nothing

_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
# A second list on purpose: with the log's own, the check would agree with any list.
NO_SPACE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, *_DESCRIPTORS))
ERRORS = (errno.EIO, *sorted(NO_SPACE))


class Fault:
    """nth: the number of the call, from 1. span: within so many calls from there, calls that need
    the missing resource fail as well.
    """

    def __init__(self, nth: int, error: int, span: int = 1) -> None:
        self.nth = nth
        self.error = error
        self.span = span
        self.calls = 0
        self.failed: list[str] = []  # call and file
        # The nth call needed the missing resource, so the log must survive the error.
        self.expected = False
        self._disk = MemoryDisk()

    def begin(self, disk: MemoryDisk) -> None:
        """From now on this disk's calls count."""
        self._disk = disk
        disk.before = self

    @property
    def failed_files(self) -> list[str]:
        return [call.split(" ", 1)[1] for call in self.failed]

    @property
    def hides_headroom(self) -> bool:
        """No descriptor was left to open a spare. So the log could not use space that it had: what
        was preallocated before the start, or what compaction freed.
        """
        return self.error in _DESCRIPTORS and any(call.startswith("open ") for call in self.failed)

    def end(self) -> None:
        """No call fails any more."""
        self._disk.before = nothing

    def __call__(self, call: str, path: str) -> None:
        self.calls += 1
        needs = self._needs_resource(call)
        if self.calls == self.nth:
            self.expected = needs
        elif not (needs and self.nth < self.calls < self.nth + self.span):
            return
        self.failed.append(f"{call} {os.path.basename(path)}")
        raise OSError(self.error, os.strerror(self.error), path)

    def _needs_resource(self, call: str) -> bool:
        """Whether the call needs the resource that the error reports as missing."""
        if self.error in _DESCRIPTORS:
            return call in ("create", "open")
        return self.error in NO_SPACE and (
            call in ("create", "allocate") or (call == "write" and self._disk.growing)
        )
