"""Repair: an operator's explicit act that makes a corrupt log readable again.

Promises: `plan` changes nothing. `mend` makes a durable copy of all bytes that it will take out,
and then replaces each segment by one rename. So an interrupted repair can be started again.
`repair_plan` decides what is kept and what is lost.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable
from typing import TypeVar

from beanstalkd_wal.branches import Aside, BeyondRepair
from beanstalkd_wal.directory import Directory, Spare
from beanstalkd_wal.format import encode_header, salt_of
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import (
    aside_path,
    candidates,
    damaged_path,
    segment_path,
    spare_numbers,
)
from beanstalkd_wal.repair_plan import (
    Loss,
    LostRecords,
    Part,
    Plan,
    Planner,
    SegmentPlan,
)

T = TypeVar("T")

__all__ = ["BeyondRepair", "Loss", "Plan", "mend", "plan"]


def plan(
    directory: str | os.PathLike[str],
    *,
    lost: bytes,
    accept: Callable[[bytes], bool] = lambda record: True,
    meta: bytes = b"",
    fs: FileSystem | None = None,
) -> Plan:
    """What a repair would do. Reads every byte, one segment at a time, and changes nothing.

    lost: the record that takes the place of each lost record. accept: whether the owner can read a
    record; others are taken out. meta: for new headers if no header is left. Raises NewerVersion,
    BeyondRepair, OSError.
    """
    return Planner(os.fspath(directory), fs or FileSystem(), accept, lost, meta).run()


def mend(what: Plan, fs: FileSystem | None = None) -> list[str]:
    """Carries the plan out; the directory must be locked.

    Returns the paths of the copies of what was taken out. Raises OSError.
    """
    fs = fs or FileSystem()
    spares = spare_numbers(fs.list(what.directory))
    directory = Directory(fs, what.directory, itertools.count(max(spares, default=0) + 1))
    copies: list[str] = []
    try:
        for aside in what.aside:
            copies.append(_set_aside(directory, aside))
        for segment in what.segments:
            if segment.changed:
                copies += _write_again(directory, segment, what.lost)
    finally:
        fs.close(directory.handle)
    return copies


def _set_aside(directory: Directory, aside: Aside) -> str:
    """Moves or copies a segment of a second writer, durably. Returns its new path."""
    fs = directory.fs
    path = segment_path(directory.path, aside.number)
    if aside.moved:
        target = _renamed(fs, path, aside_path(directory.path, aside.number))
    else:
        target = _copied(fs, aside_path(directory.path, aside.number), fs.read(path))
    directory.sync_names()
    return target


def _write_again(directory: Directory, segment: SegmentPlan, lost: bytes) -> list[str]:
    fs = directory.fs
    exists = os.path.basename(segment.path) in fs.list(directory.path)
    data = fs.read(segment.path) if exists else b""
    copies = [
        _keep_aside(directory, segment, data[offset : offset + length], offset)
        for offset, length in segment.taken
    ]
    directory.sync_names()
    # The new file has a spare's name until it is complete. After a kill, the next start treats it
    # as a spare.
    spare = directory.new_spare()
    _append(fs, spare, encode_header(segment.header))
    for part in segment.parts:
        for piece in _pieces(part, data, lost, salt_of(segment.header.log_id)):
            _append(fs, spare, piece)
    fs.sync(spare.handle)
    fs.close(spare.handle)
    directory.rename(spare.path, segment.path, replaces=exists)
    directory.sync_names()
    return copies


def _pieces(part: Part, data: bytes, lost: bytes, salt: int) -> Iterable[bytes]:
    if isinstance(part, LostRecords):
        return part.frames(lost, salt)
    return [part if isinstance(part, bytes) else data[part[0] : part[1]]]


def _append(fs: FileSystem, spare: Spare, data: bytes) -> None:
    fs.write(spare.handle, data, spare.size)
    spare.size += len(data)


def _keep_aside(directory: Directory, segment: SegmentPlan, data: bytes, offset: int) -> str:
    """A durable copy of bytes that are taken out, under a name that no file has."""
    fs = directory.fs
    return _copied(fs, damaged_path(directory.path, segment.header.number, offset), data)


def _copied(fs: FileSystem, wanted: str, data: bytes) -> str:
    """Writes a new file with the wanted name, or with a similar one that no file has."""
    path, handle = _with_free_name(wanted, fs.create)
    try:
        fs.write(handle, data, 0)
        fs.sync(handle)
    finally:
        fs.close(handle)
    return path


def _renamed(fs: FileSystem, old: str, wanted: str) -> str:
    return _with_free_name(wanted, lambda path: fs.rename(old, path))[0]


def _with_free_name(wanted: str, act: Callable[[str], T]) -> tuple[str, T]:
    """Calls act with the first name for which it does not raise FileExistsError."""
    paths = candidates(wanted)
    while True:
        path = next(paths)
        with contextlib.suppress(FileExistsError):
            return path, act(path)
