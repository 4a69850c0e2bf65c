"""A disk in memory behind the log's file-system seam. It can be full, fail at the nth call, report
every call, and lose its power.

May know: the seam (`wal.FileSystem`), files (`simulation.file`), random numbers. Promises:
deterministic. Reads return what was written. A failed write may be done in part; a failed
allocation does nothing.

A power cut keeps everything that was synced. Of the rest it keeps, at random: everything, nothing,
everything up to some instant, or any mixture, where each sector, file size and directory change is
kept or lost independently (docs/durability.md, assumptions 1 to 3).

    disk = MemoryDisk(seed)
    log = open_binlog("/log", ..., threaded=False, fs=disk)
    disk = disk.after_crash(Random(seed))     # or after_kill: the machine goes on
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from random import Random

from beanstalkd_wal.fs import FileSystem
from simulation.file import SECTOR, File
from simulation.names import Changes, NameChange, Names, changed, surviving

__all__ = ["ROOMY", "SECTOR", "File", "MemoryDisk", "PowerFailure", "fail_at"]

ROOMY = 1 << 40  # a capacity (bytes) that is never reached

Hook = Callable[[str, str], object]


class PowerFailure(BaseException):
    """Raised by `before`. Not an Exception, so that nothing in the log catches it."""


class MemoryDisk(FileSystem):
    """One directory.

    before(call, path) runs before each call. It may raise; an OSError is then the call's outcome.
    A full disk raises ENOSPC by itself (`capacity`, bytes). So does one without space for the name
    of one more file (`most_names`): a full XFS, or a disk without free inodes. Then files can still
    be overwritten, renamed and deleted.

    underway(call, path) runs in each call that changes something, when the change is done and not
    synced. A power cut at this moment falls into the middle of the call. In a sync, it runs before
    the sync takes effect.
    """

    def __init__(self, seed: int = 0) -> None:
        self.names: Names = {}
        self.synced_names: Names = {}
        self.changes: Changes = []  # not synced yet, oldest first
        self.renames_by_link = False  # as a file system without RENAME_NOREPLACE
        self.locks_directories = True
        self.has_two_writers = False  # then one may write behind the end that the other has cut
        self.locks: dict[int, str] = {}  # handle and path of each lock that is held
        self.handles: dict[int, tuple[str, File]] = {}
        self.next_handle = 3
        self.capacity = ROOMY
        self.most_names = ROOMY
        self.largest_file = ROOMY  # bytes; beyond it, writes fail with EFBIG
        self.growing = False  # the latest write lengthens a file
        self.cut_short = False  # a write failed, so it may have been done in part
        # False: the file system cannot sync directories. Each change of a name is durable at once.
        self.syncs_directories = True
        self.syncs = 0
        self.count = 0  # of all changes
        self.rng = Random(seed)
        self.before: Hook = nothing
        self.underway: Hook = nothing

    # --- names

    def list(self, directory: str) -> list[str]:
        self.before("list", directory)
        return [os.path.basename(path) for path in self.names]

    def size(self, path: str) -> int:
        self.before("size", path)
        return len(self._file(path).data)

    def rename(self, old: str, new: str) -> None:
        self.before("rename", old)
        if self.names.get(new) not in (None, self._file(old)):
            raise _exists(new)
        if self.renames_by_link:
            self._change("", new, self._file(old))
            self.underway("rename", old)
            self._sync_names()
            self.before("unlink", old)
        self._rename(old, new)

    def replace(self, old: str, new: str) -> None:
        self.before("replace", old)
        self._rename(old, new)

    def _rename(self, old: str, new: str) -> None:
        file = self._file(old)
        self._change(old, new, file)
        for handle, (_, opened) in self.handles.items():
            if opened is file:
                self.handles[handle] = new, file
        self.underway("rename", old)

    def links(self, path: str) -> int:
        self.before("links", path)
        return list(self.names.values()).count(self._file(path))

    def unlink(self, path: str) -> None:
        self.before("unlink", path)
        self._change(path, "", self._file(path))
        self.underway("unlink", path)

    def _change(self, old: str, new: str, file: File) -> None:
        change = NameChange(self._next(), old, new, file)
        change.apply(self.names)
        if self.syncs_directories:
            self.changes.append(change)
        else:
            change.apply(self.synced_names)

    def open_directory(self, directory: str) -> int:
        self.before("open_directory", directory)
        return self._handle(directory, File())

    def sync_directory(self, handle: int) -> bool:
        path, _ = self.handles[handle]
        self.underway("sync_directory", path)
        self.before("sync_directory", path)
        self.syncs += 1
        self._sync_names()
        return self.syncs_directories

    def _sync_names(self) -> None:
        self.synced_names = dict(self.names)
        self.changes.clear()

    # --- contents

    def read(self, path: str, nbytes: int = -1) -> bytes:
        self.before("read", path)
        data = self._file(path).data
        return bytes(data if nbytes < 0 else data[:nbytes])

    def create(self, path: str) -> int:
        self.before("create", path)
        if path in self.names:
            raise _exists(path)
        file = self._new_file(path)
        self.underway("create", path)
        return self._handle(path, file)

    def _new_file(self, path: str) -> File:
        if len(self.names) >= self.most_names:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        file = File()
        self._change("", path, file)
        return file

    def open(self, path: str) -> int:
        self.before("open", path)
        return self._handle(path, self._file(path))

    def close(self, handle: int) -> None:
        path, _ = self.handles.pop(handle)
        self.locks.pop(handle, None)
        self.before("close", path)

    def write(self, handle: int, data: bytes, offset: int) -> None:
        path, file = self.handles[handle]
        more = offset + len(data) - len(file.data)
        self.growing = more > 0
        if self.growing:
            assert self.has_two_writers or not path.endswith(".wal"), (
                f"{path}: write beyond the preallocated end"
            )
        try:
            if self.growing:
                self._reserve(path, len(file.data), more)
            self.before("write", path)
        except BaseException:
            # A write that fails or is interrupted may have been done in part.
            self.cut_short = True
            part = min(self.rng.randrange(len(data) + 1), max(self.capacity - self.used(), 0))
            file.write(self._next(), data[:part], offset)
            raise
        file.write(self._next(), data, offset)
        self.underway("write", path)

    def sync(self, handle: int) -> None:
        path, file = self.handles[handle]
        self.underway("sync", path)
        try:
            self.before("sync", path)
        except OSError:
            file.fail_sync(self.rng)
            raise
        self.syncs += 1
        file.sync()

    def truncate(self, handle: int, nbytes: int) -> None:
        path, file = self.handles[handle]
        self.before("truncate", path)
        assert nbytes <= len(file.data)
        if nbytes < len(file.data):
            file.resize(self._next(), nbytes)
        self.underway("truncate", path)

    def allocate(self, handle: int, old: int, new: int) -> None:
        path, file = self.handles[handle]
        self.before("allocate", path)
        assert old == len(file.data) < new
        self._reserve(path, old, new - old)
        file.resize(self._next(), new)
        self.underway("allocate", path)

    def lock(self, path: str) -> int:
        self.before("lock", path)
        file = self.names.get(path) or self._new_file(path)
        if any(self.handles[handle][1] is file for handle in self.locks):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
        return self._lock(path, file)

    def lock_directory(self, directory: str) -> int:
        self.before("lock_directory", directory)
        if not self.locks_directories:
            return -1
        if directory in self.locks.values():
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), directory)
        return self._lock(directory, File())

    def _lock(self, path: str, file: File) -> int:
        handle = self._handle(path, file)
        self.locks[handle] = path
        return handle

    def locked(self, path: str) -> bool:
        return path in self.locks.values()

    def is_open(self, handle: int, path: str) -> bool:
        self.before("is_open", path)
        return self.names.get(path) is self.handles[handle][1]

    def urandom(self, nbytes: int) -> bytes:
        return self.rng.randbytes(nbytes)

    # --- helpers

    def _next(self) -> int:
        self.count += 1
        return self.count

    def _file(self, path: str) -> File:
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.names[path]

    def _handle(self, path: str, file: File) -> int:
        self.next_handle += 1
        self.handles[self.next_handle] = path, file
        return self.next_handle

    def _reserve(self, path: str, size: int, nbytes: int) -> None:
        if size + nbytes > self.largest_file:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        if self.capacity < ROOMY and self.used() + nbytes > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def free(self) -> None:
        """The disk lacks nothing any more."""
        self.capacity = self.most_names = self.largest_file = ROOMY

    def used(self) -> int:
        return sum(len(file.data) for file in self.names.values())

    def fail_writeback(self) -> None:
        """The kernel's own write-back fails, after the process that would get the error has ended
        (see `File.fail_sync`).
        """
        for file in self.names.values():
            file.fail_sync(self.rng)

    # --- after a kill or a power cut

    def after_kill(self) -> MemoryDisk:
        """The process ended; the machine goes on. Everything written is there, synced or not."""
        self.handles.clear()
        self.locks.clear()
        self.before = self.underway = nothing
        return self

    def after_crash(self, rng: Random) -> MemoryDisk:
        """A new disk with what a power cut leaves; all of it counts as synced."""
        instants = self._instants()
        if instants and rng.randrange(4) == 0:
            at = rng.choice(instants)
            names = changed(
                self.synced_names, [change for change in self.changes if change.at <= at]
            )
            return self._synced(names, lambda file: file.at_instant(at, rng))
        names = changed(self.synced_names, surviving(self.changes, rng))
        return self._synced(names, lambda file: file.after_crash(rng))

    def _instants(self) -> tuple[int, ...]:
        """The instants of all changes that are not synced."""
        changes = [change.at for file in self._files() for change in file.changes]
        return tuple(sorted(changes + [change.at for change in self.changes]))

    def _files(self) -> set[File]:
        return {
            *self.names.values(),
            *self.synced_names.values(),
            *(change.file for change in self.changes),
        }

    def copy(self) -> MemoryDisk:
        """A copy in which everything is synced."""
        return self._synced(self.names, lambda file: bytes(file.data))

    def _synced(self, names: Names, content: Callable[[File], bytes]) -> MemoryDisk:
        """A new disk with these names and contents. A file with two names stays one file."""
        files = {file: File(content(file)) for file in dict.fromkeys(names.values())}
        disk = self._like()
        disk.names = {name: files[file] for name, file in names.items()}
        disk.synced_names = dict(disk.names)
        return disk

    def fork(self) -> MemoryDisk:
        """An independent copy that keeps what is synced and what is not. It has no handles and no
        hooks.
        """
        copies = {file: file.copy() for file in self._files()}
        disk = self._like()
        disk.count = self.count
        disk.names = {name: copies[file] for name, file in self.names.items()}
        disk.synced_names = {name: copies[file] for name, file in self.synced_names.items()}
        disk.changes = [change._replace(file=copies[change.file]) for change in self.changes]
        return disk

    def _like(self) -> MemoryDisk:
        disk = MemoryDisk()
        disk.rng.setstate(self.rng.getstate())
        disk.capacity = self.capacity
        disk.renames_by_link = self.renames_by_link
        disk.locks_directories = self.locks_directories
        disk.most_names = self.most_names
        disk.largest_file = self.largest_file
        disk.syncs_directories = self.syncs_directories
        return disk


def _exists(path: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)


def fail_at(disk: MemoryDisk, nth: int, error: int = errno.EIO) -> list[str]:
    """Makes the nth call from now fail; the next call is 1. Returns the list to which the disk
    adds each call.
    """
    calls: list[str] = []

    def before(call: str, path: str) -> None:
        calls.append(f"{call} {os.path.basename(path)}")
        if len(calls) == nth:
            raise OSError(error, os.strerror(error), path)

    disk.before = before
    return calls


def nothing(call: str, path: str) -> None:
    pass
