"""The directory's lock: the C server's file name and kind of lock, so the two never share a log.

Promises ("one writer"): one holder at a time, among all processes and within this one (fcntl alone
does not exclude a second lock by the same process). The directory itself is locked too, so removing
the lock file lets no second server of ours in (where the file system can lock directories). The
lock ends with the process, however the process ends. The file stays.
"""

from __future__ import annotations

import os

from beanstalkd_wal.errors import Locked, SecondWriter
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import LOCK

_held: set[str] = set()


class Lock:
    """A lock that is held. `close` releases it; a second `close` does nothing."""

    def __init__(self, fs: FileSystem, path: str) -> None:
        """Takes the lock. Raises Locked, or OSError if the file cannot be opened or created."""
        self.path = path
        self._fs = fs
        self._handle = -1
        self._directory = -1  # stays -1 if the file system cannot lock directories
        try:
            self._handle = fs.lock(path)
            self._directory = fs.lock_directory(os.path.dirname(path))
        except OSError as error:
            self.close()
            if isinstance(error, BlockingIOError):
                raise Locked(error.filename) from error
            raise

    @property
    def covers_directory(self) -> bool:
        """Whether no second server of ours can start, even without the lock file."""
        return self._directory >= 0

    def check(self) -> None:
        """Raises SecondWriter if the lock file was removed or replaced: it keeps nobody out then.

        Costs two system calls, so it may be called often.
        """
        if not self._fs.is_open(self._handle, self.path):
            raise SecondWriter(self.path, "the lock file was removed or replaced")

    def close(self) -> None:
        if self._handle >= 0:
            _held.discard(self.path)
        handles = (self._handle, self._directory)
        self._handle = self._directory = -1
        for handle in handles:
            if handle >= 0:
                self._fs.close(handle)


def locked(directory: str | os.PathLike[str], fs: FileSystem | None = None) -> bool:
    """Whether anyone holds the lock at this moment. For readers, which take no lock.

    Raises OSError if the lock file cannot be opened; a missing file is not an error.
    """
    path = os.path.join(os.path.realpath(directory), LOCK)
    if path in _held:
        return True
    try:
        return (fs or FileSystem()).locked(path)
    except FileNotFoundError:
        return False


def lock(directory: str | os.PathLike[str], fs: FileSystem | None = None) -> Lock:
    """Takes the lock. Raises Locked if it is held, OSError if the file cannot be opened or made."""
    path = os.path.join(os.path.realpath(directory), LOCK)
    if path in _held:  # opening and closing the file again would end the lock
        raise Locked(path)
    held = Lock(fs or FileSystem(), path)
    _held.add(path)
    return held
