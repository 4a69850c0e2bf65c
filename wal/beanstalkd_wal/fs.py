"""The file-system seam: all calls that the log makes. Tests replace it with a disk in memory.

Promises: a call does all that its docstring says, or raises OSError. The error has the path of the
file (`filename`), also where the call has only a handle. Only regular files are opened. No call
repeats a sync that has failed. A path is a str, a handle is an int (a file descriptor), sizes and
offsets are in bytes.

An interrupted sync (EINTR) has not failed, and Python calls it again (PEP 475): see
docs/durability.md.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct

from beanstalkd_wal.renaming import rename_exclusively

NOT_REGULAR = "not a regular file: move it away"
ZEROS = bytes(1 << 18)

# A full disk, a full quota, or a file that must not become larger (RLIMIT_FSIZE, the file system).
DISK_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
# Also no free file descriptor. After these errors preallocation is tried again later, and the log
# does not fail.
NO_SPACE = DISK_FULL | {errno.EMFILE, errno.ENFILE}

# struct flock: type, whence, start, length, pid.
_FLOCK = struct.Struct("@hhqqi0q")

# Errors of a file system that cannot sync directories: vboxsf, older CIFS, some FUSE.
_NO_DIRECTORY_SYNC = frozenset((errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP))

# Errors of a file system that does not support fallocate.
_NO_FALLOCATE = frozenset((errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS))
# The same for hard links.
_NO_LINKS = frozenset((errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL))
# The same for flock of a directory. EBADF: NFS, which needs a file that is open for writing.
_NO_FLOCK = frozenset((errno.EBADF, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK, errno.ENOSYS))


class FileSystem:
    """The operating system's file system. Has no state, so all threads may share it."""

    # --- names

    def list(self, directory: str) -> list[str]:
        return os.listdir(directory)

    def size(self, path: str) -> int:
        return require_regular(path).st_size

    def rename(self, old: str, new: str) -> None:
        """Raises FileExistsError if `new` exists, also if another process has just created it."""
        if not rename_exclusively(old, new):
            self._rename_by_link(old, new)

    def _rename_by_link(self, old: str, new: str) -> None:
        """For a file system without RENAME_NOREPLACE. A kill may leave both names (see `links`)."""
        try:
            os.link(old, new)
        except FileExistsError:
            if not os.path.samefile(old, new):  # else a kill interrupted this rename
                raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if os.path.lexists(new):  # no call of this file system does both steps at once
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new) from error
            os.rename(old, new)
            return
        handle = self.open_directory(os.path.dirname(new))
        try:
            self.sync_directory(handle)  # a power failure must not take both names
        finally:
            self.close(handle)
        os.unlink(old)

    def replace(self, old: str, new: str) -> None:
        """A rename that replaces the file `new`. Only for a file that the caller has just read."""
        os.replace(old, new)

    def links(self, path: str) -> int:
        """How many names the file has: 2 if a kill interrupted a rename."""
        return os.stat(path).st_nlink

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def open_directory(self, directory: str) -> int:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync_directory(self, handle: int) -> bool:
        """Makes names durable: files created, renamed and unlinked in it.

        fsync, because fdatasync of a directory may leave names out. False: the file system cannot
        sync directories, so nothing was done.
        """
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno in _NO_DIRECTORY_SYNC:
                return False
            name_file(error, handle)
            raise
        return True

    # --- contents

    def read(self, path: str, nbytes: int = -1) -> bytes:
        """The first nbytes of a file (fewer if it is shorter), or all of it."""
        require_regular(path)
        with open(path, "rb") as file:
            try:
                return file.read(nbytes)
            except OSError as error:
                error.filename = path
                raise

    def create(self, path: str) -> int:
        """Creates an empty file. Raises FileExistsError if there is a file with this name."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: str) -> int:
        require_regular(path)
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def close(self, handle: int) -> None:
        path = open_path(handle)  # also after a failure the handle is closed
        try:
            os.close(handle)
        except OSError as error:
            error.filename = path
            raise

    def write(self, handle: int, data: bytes, offset: int) -> None:
        try:
            done = os.pwrite(handle, data, offset)
            while done < len(data):
                done += os.pwrite(handle, data[done:], offset + done)
        except OSError as error:
            name_file(error, handle)
            raise

    def sync(self, handle: int) -> None:
        """Makes the contents and the size of a file durable."""
        try:
            os.fdatasync(handle)
        except OSError as error:
            name_file(error, handle)
            raise

    def truncate(self, handle: int, nbytes: int) -> None:
        try:
            os.ftruncate(handle, nbytes)
        except OSError as error:
            name_file(error, handle)
            raise

    def allocate(self, handle: int, old: int, new: int) -> None:
        """Lengthens a file from old to new bytes. After an error the file has its old size.

        The new bytes read as zeros, and writing to them needs no more space on the disk.
        """
        try:
            self._allocate(handle, old, new)
        except OSError as error:
            name_file(error, handle)
            self.truncate(handle, old)
            raise

    def _allocate(self, handle: int, old: int, new: int) -> None:
        try:
            os.posix_fallocate(handle, old, new - old)
        except OSError as error:
            if error.errno not in _NO_FALLOCATE:
                raise
            fill(self, handle, old, new)

    # --- the rest

    def lock(self, path: str) -> int:
        """Takes the C server's kind of lock: fcntl, exclusive, on the whole file.

        Raises BlockingIOError if another process holds it. The lock ends when the handle is closed.
        """
        with contextlib.suppress(FileNotFoundError):
            require_regular(path)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), path) from error
            error.filename = path
            raise
        return handle

    def lock_directory(self, directory: str) -> int:
        """Locks the directory itself, so the lock holds if the lock file is removed.

        Raises BlockingIOError if another process holds it. Returns -1 if the file system cannot
        lock directories. The lock ends when the handle is closed.
        """
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in _NO_FLOCK:
                return -1
            error.filename = directory
            raise
        return handle

    def is_open(self, handle: int, path: str) -> bool:
        """Whether the file with this name is the one that the handle is open for."""
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return False
        held = os.fstat(handle)
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def urandom(self, nbytes: int) -> bytes:
        return os.urandom(nbytes)

    def locked(self, path: str) -> bool:
        """Whether another process holds that lock. Takes no lock.

        Must not be called for a file that this process has locked. The check does not see this
        process's own lock, and when it closes the file, the lock ends.
        """
        require_regular(path)
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            return bool(
                _FLOCK.unpack(fcntl.fcntl(handle, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK
            )
        finally:
            os.close(handle)


def require_regular(path: str) -> os.stat_result:
    """Raises OSError if the path is a directory, a FIFO, a socket or a device.

    To be called before an open: that of a FIFO waits for its other side, and that of a device may
    have effects.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, NOT_REGULAR, path)
    return found


def sync_names(path: str) -> bool:
    """Makes the names in a directory durable (see `FileSystem.sync_directory`)."""
    fs = FileSystem()
    handle = fs.open_directory(path)
    try:
        return fs.sync_directory(handle)
    finally:
        fs.close(handle)


def name_file(error: OSError, handle: int) -> None:
    """Adds the path of the open file to an error of a call that has only its handle."""
    error.filename = open_path(handle)


def open_path(handle: int) -> str | None:
    """The path of an open file. None without /proc."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return None


def fill(fs: FileSystem, handle: int, start: int, end: int) -> None:
    """Writes zeros from start to end.

    A later sync of frames there writes data only and allocates no blocks (measured: 120 us against
    200 us for a write of 4 kB).
    """
    while start < end:
        piece = ZEROS if end - start >= len(ZEROS) else ZEROS[: end - start]
        fs.write(handle, piece, start)
        start += len(piece)
