"""The directory's lock: the C server's file with the C server's kind of lock, so that the two never
share a directory.

May know: one file. Promises: one holder at a time, in this process (which fcntl alone would not see
to) and all others; the lock ends with the process, however it ends. The file stays.
"""

from __future__ import annotations

import os

from beanstalkd_wal.errors import Locked
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import LOCK

_held: set[str] = set()


class Lock:
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
    """Whether somebody has the lock at this moment. For readers, who take none. Raises OSError if
    that cannot be found out.
    """
    path = os.path.join(os.path.realpath(directory), LOCK)
    if path in _held:
        return True
    try:
        return (fs or FileSystem()).locked(path)
    except FileNotFoundError:
        return False


def lock(directory: str | os.PathLike[str], fs: FileSystem | None = None) -> Lock:
    """Raises Locked if somebody has it, OSError if the file cannot be had."""
    fs = fs or FileSystem()
    path = os.path.join(os.path.realpath(directory), LOCK)
    if path in _held:  # to open and close the file once more would end the lock
        raise Locked(path)
    try:
        handle = fs.lock(path)
    except BlockingIOError as error:
        raise Locked(path) from error
    _held.add(path)
    return Lock(fs, path, handle)
