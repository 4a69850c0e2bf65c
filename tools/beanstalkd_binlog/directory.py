"""Checks a directory before it is read, and counts the files beside the segments.

Promises: a directory without a log of ours is never taken for an empty log. An empty directory is a
log without jobs. Only names and sizes are looked at.
"""

from __future__ import annotations

import os
from contextlib import suppress

from beanstalkd_wal.names import LOCK, segment_numbers, segment_path, spare_numbers

from beanstalkd_binlog.status import NoLog
from beanstalkd_py.foreign.cbinlog import find_files

# Names that may stand in the directory of a log that has no segment yet.
_IGNORED = frozenset((LOCK, "lost+found"))
_IGNORED_PREFIXES = (".", "torn.", "damaged.", "second-writer.", "beanstalkd-binlog-")


def check(directory: str) -> None:
    """Raises NoLog unless the directory contains a log or is empty."""
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise NoLog(f"{directory}: {error.strerror}") from error
    if segment_numbers(names):
        return
    c_files = [os.path.basename(found.path) for found in find_files(directory)]
    if c_files:
        hint = "convert it with beanstalkd-binlog import"
        raise NoLog(f"{directory}: contains a binlog of the C server ({_range(c_files)}); {hint}")
    if not all(map(_is_ignored, names)):
        raise NoLog(f"{directory}: contains no log")


def _is_ignored(name: str) -> bool:
    return name in _IGNORED or name.startswith(_IGNORED_PREFIXES) or bool(spare_numbers([name]))


def _range(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


class OtherFiles:
    """Files of the log that are not segments: preallocated segments and torn tails."""

    def __init__(self, directory: str) -> None:
        names = os.listdir(directory)
        spares = [f"spare.{number}" for number in spare_numbers(names)]
        torn = [name for name in names if name.startswith("torn.")]
        self.spares = len(spares)
        self.spare_bytes = _total_bytes(directory, spares)
        self.torn = len(torn)
        self.torn_bytes = _total_bytes(directory, torn)


def segment_sizes(directory: str) -> list[int]:
    """Bytes of each segment file, in order."""
    numbers = segment_numbers(os.listdir(directory))
    return [os.stat(segment_path(directory, number)).st_size for number in numbers]


def _total_bytes(directory: str, names: list[str]) -> int:
    """A running server may delete a file before its size is read."""
    total = 0
    for name in names:
        with suppress(FileNotFoundError):
            total += os.stat(os.path.join(directory, name)).st_size
    return total
