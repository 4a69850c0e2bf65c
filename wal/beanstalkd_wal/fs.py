"""The file-system seam: the calls the log makes, and no others. Tests put a memory, a failing or a
crashing disk in its place.

May know: the operating system. Promises: a call did all of what it says, or raises OSError; no call
retries a sync. A path is a str, a handle an int.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

ZEROS = bytes(1 << 18)

# What a disk says when it is full, a quota used up, or the process out of file descriptors: for the
# preparation of room no failure, only a reason to try again later.
NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE))

# struct flock: type, whence, start, length, pid.
_FLOCK = struct.Struct("@hhqqi0q")

# Not every file system has fallocate.
_NO_ALLOCATE = frozenset((errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS))


class FileSystem:
    """The real one. It has no state, so all threads may share it."""

    # --- names

    def list(self, directory: str) -> list[str]:
        return os.listdir(directory)

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def rename(self, old: str, new: str) -> None:
        """Puts old in the place of new, which may exist."""
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def open_directory(self, directory: str) -> int:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync_directory(self, handle: int) -> None:
        """Makes names durable: what was created, renamed and unlinked. (fsync: fdatasync of a
        directory may leave names out.)
        """
        os.fsync(handle)

    # --- contents

    def read(self, path: str, nbytes: int = -1) -> bytes:
        """The first nbytes of a file (fewer if it is shorter), or all of it."""
        with open(path, "rb") as file:
            return file.read(nbytes)

    def create(self, path: str) -> int:
        """An empty file, whether one was there or not."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def open(self, path: str) -> int:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, handle: int) -> None:
        os.close(handle)

    def write(self, handle: int, data: bytes, offset: int) -> None:
        done = os.pwrite(handle, data, offset)
        while done < len(data):
            done += os.pwrite(handle, data[done:], offset + done)

    def sync(self, handle: int) -> None:
        """Makes the contents durable, and the size."""
        os.fdatasync(handle)

    def truncate(self, handle: int, nbytes: int) -> None:
        os.ftruncate(handle, nbytes)

    def allocate(self, handle: int, old: int, new: int) -> None:
        """Lengthens a file from old to new bytes that read as zeros and can be written on a full
        disk; or leaves it as it was.
        """
        try:
            self._allocate(handle, old, new)
        except OSError:
            os.ftruncate(handle, old)
            raise

    def _allocate(self, handle: int, old: int, new: int) -> None:
        try:
            os.posix_fallocate(handle, old, new - old)
        except OSError as error:
            if error.errno not in _NO_ALLOCATE:
                raise
            fill(self, handle, old, new)

    # --- the rest

    def lock(self, path: str) -> int:
        """Takes the C server's kind of lock: fcntl, for writing, on the whole file. BlockingIOError
        if somebody has it.
        """
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path) from error
            raise
        return handle

    def urandom(self, nbytes: int) -> bytes:
        return os.urandom(nbytes)

    def locked(self, path: str) -> bool:
        """Whether another process has that lock. Takes nothing; does not see a lock of this
        process, and would end it.
        """
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return bool(
                _FLOCK.unpack(fcntl.fcntl(handle, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK
            )
        finally:
            os.close(handle)


def fill(fs: FileSystem, handle: int, start: int, end: int) -> None:
    """Writes zeros: a later sync of frames there has only data to write, no block to allocate
    (measured: 120 us against 200 us).
    """
    while start < end:
        piece = ZEROS if end - start >= len(ZEROS) else ZEROS[: end - start]
        fs.write(handle, piece, start)
        start += len(piece)
