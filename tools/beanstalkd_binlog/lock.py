"""The directory's lock, for commands that change something.

Promises: such a command refuses while a server, ours or the C server, holds the lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import beanstalkd_wal as wal

from beanstalkd_binlog.status import InUse


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Holds the lock. Raises InUse if another process holds it."""
    try:
        lock = wal.lock(directory)
    except wal.Locked as error:
        raise InUse(f"{error}: stop the server first") from error
    try:
        yield
    finally:
        lock.close()
