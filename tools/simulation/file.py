"""A file of the disk in memory: what the process sees, what no power cut can take, and the changes
in between.

May know: nothing but bytes and rng. Promises: a change costs what it writes, not what the file
holds; what was synced survives everything; of what was not, each sector has the changes up to some
one, in the order in which they were made, and the size is one that the file had.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

SECTOR = 512  # bytes that a disk writes wholly or not at all


class Change(NamedTuple):
    """Bytes from `start` on are `data` now, and the file is `size` long. `at`: its place in the
    order of all changes of the disk.
    """

    at: int
    start: int
    data: bytes
    size: int

    def carry_out(self, content: bytearray, nbytes: int | None = None) -> None:
        """On what the changes before it have made; only the first nbytes of it, if given."""
        data = self.data[:nbytes]
        if self.start > len(content):
            content.extend(bytes(self.start - len(content)))
        content[self.start : self.start + len(data)] = data


class File:
    """Reads see `data`. It may be looked at and, by tests that damage it, changed from outside."""

    __slots__ = ("changes", "data", "synced")

    def __init__(self, content: bytes = b"") -> None:
        self.data = bytearray(content)
        self.synced = bytearray(content)
        self.changes: list[Change] = []  # since the last sync, oldest first

    def copy(self) -> File:
        twin = File()
        twin.data = bytearray(self.data)
        twin.synced = bytearray(self.synced)
        twin.changes = list(self.changes)
        return twin

    # --- what the process does

    def write(self, at: int, data: bytes, offset: int) -> None:
        change = Change(at, offset, data, max(len(self.data), offset + len(data)))
        change.carry_out(self.data)
        self.changes.append(change)

    def resize(self, at: int, nbytes: int) -> None:
        """What is cut off is zeros if the file grows again."""
        old = len(self.data)
        _resize(self.data, nbytes)
        self.changes.append(Change(at, nbytes, bytes(max(old - nbytes, 0)), nbytes))

    def sync(self) -> None:
        self._settle(len(self.changes))
        self.changes.clear()

    def fail_sync(self, rng: Random) -> None:
        """Some of what was written the kernel takes for written now: no later sync does it, and
        reads see it until the power goes.

        Sizes are not lost: they are in the file system's journal.
        """
        for n, change in enumerate(self.changes):
            if change.start < change.size and rng.random() < 0.5:  # it is a write
                self.changes[n] = change._replace(data=b"")

    def _settle(self, count: int) -> None:
        for change in self.changes[:count]:
            change.carry_out(self.synced)
            _resize(self.synced, change.size)

    # --- what is there after the power has failed

    def at_instant(self, at: int, rng: Random) -> bytes:
        """All changes before that one, and a part of it."""
        content = bytearray(self.synced)
        for change in self.changes:
            if change.at > at:
                break
            change.carry_out(content, None if change.at < at else _sectors(change, rng))
            _resize(content, change.size)
        return bytes(content)

    def after_crash(self, rng: Random) -> bytes:
        """As any of the ways of a disk has it: nothing of what was not synced, all of it, all up to
        some change, each sector for itself.
        """
        if not self.changes:
            return bytes(self.synced)
        way = rng.randrange(6)
        if way < 2:
            at = (self.changes[0].at - 1, self.changes[-1].at + 1)[way]
            return self.at_instant(at, rng)
        if way == 2:
            return self.at_instant(rng.choice(self.changes).at, rng)
        return self._sector_by_sector(rng, damaged=way == 5)

    def _sector_by_sector(self, rng: Random, damaged: bool) -> bytes:
        content = bytearray(self.synced)
        share = rng.choice((0.05, 0.3, 0.7))  # of a sector's changes, that it is the first one lost
        lost: set[int] = set()
        for change in self.changes:
            for start in range(
                change.start // SECTOR, (change.start + len(change.data) + SECTOR - 1) // SECTOR
            ):
                if start not in lost and rng.random() < share:
                    lost.add(start)
                if start not in lost:
                    _within(change, start * SECTOR, start * SECTOR + SECTOR).carry_out(content)
        if damaged:
            self._flip(content, rng)
        _resize(content, rng.choice([len(self.synced), *(change.size for change in self.changes)]))
        return bytes(content)

    def _flip(self, content: bytearray, rng: Random) -> None:
        """Bits that are neither what was there nor what was written: where something else was to be
        written than was there.
        """
        for _ in range(rng.randrange(1, 8)):
            change = rng.choice(self.changes)
            if not change.data:
                continue
            place = rng.randrange(len(change.data))
            offset = change.start + place
            if (
                offset < len(content)
                and change.data[place : place + 1] != self.synced[offset : offset + 1]
            ):
                content[offset] ^= 1 << rng.randrange(8)


def _resize(content: bytearray, nbytes: int) -> None:
    if nbytes < len(content):
        del content[nbytes:]
    else:
        content.extend(bytes(nbytes - len(content)))


def _sectors(change: Change, rng: Random) -> int:
    """How much of a write a power cut left, if all of it goes to the disk in order: up to the end
    of some sector.
    """
    end = change.start + rng.randrange(len(change.data) + 1)
    return max(end // SECTOR * SECTOR - change.start, 0)


def _within(change: Change, start: int, end: int) -> Change:
    """The part of a change that lies between two offsets of the file."""
    low = max(start, change.start)
    return Change(change.at, low, change.data[low - change.start : end - change.start], change.size)
