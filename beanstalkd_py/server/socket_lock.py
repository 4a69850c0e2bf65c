"""The lock of a unix socket's file: PATH.lock, which exists only while the lock is held.

The file is opened, locked (flock), and removed before the lock is released. So a server that has
waited for the lock may hold that of a removed file; then it begins again. The kernel releases the
lock of a killed server, whose file is used again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

EXISTS = "another file already exists in the given path"
LOCK_TIMEOUT_S = 5.0  # for another server's steps


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Raises OSError, with the lock file in its text, or with the missing directory."""
    name = f"{path}.lock"
    fd = -1
    try:
        fd = _lock(name)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        where = os.path.dirname(path) if missing else name
        raise OSError(error.errno, f"{where}: {error.strerror}") from None
    try:
        yield
    finally:
        os.unlink(name)
        os.close(fd)


def _lock(name: str) -> int:
    give_up_at = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600)
        try:
            _require_lock_file(fd)
            _wait(fd, give_up_at)
            if _has_name(fd, name):
                return fd
        except OSError:
            os.close(fd)
            raise
        os.close(fd)


def _require_lock_file(fd: int) -> None:
    """Raises OSError for a file that is not ours."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size:
        raise OSError(errno.EEXIST, EXISTS)


def _wait(fd: int, give_up_at: float) -> None:
    """Tries again and again, because flock has no time limit."""
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up_at:
                raise
        time.sleep(0.01)


def _has_name(fd: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(name))
    except FileNotFoundError:
        return False
