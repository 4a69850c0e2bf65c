"""The directory's lock: the C server's file name and kind of lock, so the two never share a log.

Promises ("one writer"): one holder at a time, among all processes and within this one (fcntl alone
does not exclude a second lock by the same process). The lock ends with the process, however the
process ends. The file stays.
"""

from __future__ import annotations

import os

from beanstalkd_wal.errors import Locked
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import LOCK

_held: set[str] = set()


class Lock:
    """A lock that is held. `close` releases it; a second `close` does nothing."""

    def __init__(self, fs: FileSystem, path: str, handle: int) -> None:
        self.path = path
        self._fs = fs
        self._handle = handle

    def close(self) -> None:
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            _held.discard(self.path)
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
    fs = fs or FileSystem()
    path = os.path.join(os.path.realpath(directory), LOCK)
    if path in _held:  # opening and closing the file again would end the lock
        raise Locked(path)
    try:
        handle = fs.lock(path)
    except BlockingIOError as error:
        raise Locked(path) from error
    _held.add(path)
    return Lock(fs, path, handle)
