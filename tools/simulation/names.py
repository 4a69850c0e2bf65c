"""The names of files on the disk in memory, and changes of names that are not synced.

May know: files (`simulation.file`), random numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from simulation.file import File

Names = dict[str, File]
Changes = list["NameChange"]


class NameChange(NamedTuple):
    """The name `old` is removed and `new` becomes a name of the file; either may be "".

    at: see `Change.at`.
    """

    at: int
    old: str
    new: str
    file: File

    def apply(self, names: Names) -> None:
        names.pop(self.old, None)
        if self.new:
            names[self.new] = self.file


def surviving(changes: Changes, rng: Random) -> Changes:
    """Those that a power cut leaves: none, all, the oldest ones, or any."""
    way = rng.randrange(4)
    if way == 3:
        return [change for change in changes if rng.random() < 0.5]
    return changes[: (0, len(changes), rng.randrange(len(changes) + 1))[way]]


def changed(names: Names, changes: Iterable[NameChange]) -> Names:
    """These names after these changes."""
    names = dict(names)
    for change in changes:
        change.apply(names)
    return names
