"""A directory before it is read: whether there is a log in it, whose it is, and what lies beside
the segments.

May know: names and sizes. Promises: a directory without our log is never taken for an empty one; an
empty one is fine.
"""

from __future__ import annotations

import os
from contextlib import suppress

from beanstalkd_wal.names import LOCK, segment_numbers, spare_numbers

from beanstalkd_binlog.status import NoLog
from beanstalkd_py.foreign.cbinlog import find_files

# What may lie in the directory of a log that has no segment yet.
_NEUTRAL = frozenset((LOCK, "lost+found"))


def check(directory: str) -> None:
    """Raises NoLog unless there is a log to be read, or an empty directory."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise NoLog(f"{directory}: {error.strerror}") from error
    if segment_numbers(names):
        return
    theirs = find_files(directory)
    if theirs:
        files = _files([os.path.basename(found.path) for found in theirs])
        hint = "beanstalkd-binlog import makes a log of it"
        raise NoLog(f"{directory}: holds a binlog of the C beanstalkd ({files}), not ours; {hint}")
    if any(not _is_neutral(name) for name in names):
        raise NoLog(f"{directory}: no log there")


def _is_neutral(name: str) -> bool:
    return (
        name in _NEUTRAL
        or name.startswith((".", "torn.", "damaged.", "beanstalkd-binlog-"))
        or bool(spare_numbers([name]))
    )


def _files(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


class Beside:
    """Files of the log that are no segments."""

    def __init__(self, directory: str) -> None:
        names = os.listdir(directory)
        spares = [f"spare.{number}" for number in spare_numbers(names)]
        torn = [name for name in names if name.startswith("torn.")]
        self.spares = len(spares)
        self.spare_bytes = _bytes(directory, spares)
        self.torn = len(torn)
        self.torn_bytes = _bytes(directory, torn)


def _bytes(directory: str, names: list[str]) -> int:
    """Files may go while we look."""
    total = 0
    for name in names:
        with suppress(FileNotFoundError):
            total += os.stat(os.path.join(directory, name)).st_size
    return total
