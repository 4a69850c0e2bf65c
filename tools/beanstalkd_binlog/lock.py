"""The directory's lock, for commands that change something: they refuse while a server (ours or the
C one) has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import beanstalkd_wal as wal

from beanstalkd_binlog.status import LOCKED, Stop


class InUse(Stop):
    exit_code = LOCKED


@contextmanager
def locked(directory: str) -> Iterator[None]:
    """Raises InUse while somebody has it."""
    try:
        lock = wal.lock(directory)
    except wal.Locked as error:
        raise InUse(f"{error}: stop the server first") from error
    try:
        yield
    finally:
        lock.close()
