"""A file of the disk in memory: its contents as the process sees them, its synced contents, and the
changes in between.

May know: bytes and random numbers. Promises: the cost of a change depends on its own size, not on
the file's. Synced contents survive everything. After a crash, each sector has its changes up to
some change, in the order in which they were made, and the size is one that the file had.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

SECTOR = 512  # bytes that a disk writes completely or not at all


class Change(NamedTuple):
    """A write of `data` at `start`, after which the file has `size` bytes. `at`: the place of this
    change in the order of all changes of the disk.
    """

    at: int
    start: int
    data: bytes
    size: int

    def apply(self, content: bytearray, nbytes: int | None = None) -> None:
        """Applies the change to `content`, which has all earlier changes. nbytes: only so many
        bytes of `data`.
        """
        data = self.data[:nbytes]
        if self.start > len(content):
            content.extend(bytes(self.start - len(content)))
        content[self.start : self.start + len(data)] = data


class File:
    """Reads return `data`. Tests may read `data`, and change it to damage the file."""

    __slots__ = ("changes", "data", "synced")

    def __init__(self, content: bytes = b"") -> None:
        self.data = bytearray(content)
        self.synced = bytearray(content)
        self.changes: list[Change] = []  # since the last sync, oldest first

    def copy(self) -> File:
        copy = File()
        copy.data = bytearray(self.data)
        copy.synced = bytearray(self.synced)
        copy.changes = list(self.changes)
        return copy

    # --- what the process does

    def write(self, at: int, data: bytes, offset: int) -> None:
        change = Change(at, offset, data, max(len(self.data), offset + len(data)))
        change.apply(self.data)
        self.changes.append(change)

    def resize(self, at: int, nbytes: int) -> None:
        """Bytes that are cut off are zeros if the file grows again."""
        old = len(self.data)
        _resize(self.data, nbytes)
        self.changes.append(Change(at, nbytes, bytes(max(old - nbytes, 0)), nbytes))

    def sync(self) -> None:
        self._apply_to_synced(len(self.changes))
        self.changes.clear()

    def fail_sync(self, rng: Random) -> None:
        """After a failed sync the kernel treats some of the data as written. No later sync writes
        it, and reads return it until the power fails.

        Sizes are not lost, because they are in the file system's journal.
        """
        for n, change in enumerate(self.changes):
            if change.start < change.size and rng.random() < 0.5:  # it is a write
                self.changes[n] = change._replace(data=b"")

    def _apply_to_synced(self, count: int) -> None:
        for change in self.changes[:count]:
            change.apply(self.synced)
            _resize(self.synced, change.size)

    # --- after a power cut

    def at_instant(self, at: int, rng: Random) -> bytes:
        """The contents with all changes before that instant, and a part of the change at it."""
        content = bytearray(self.synced)
        for change in self.changes:
            if change.at > at:
                break
            change.apply(content, None if change.at < at else _sectors(change, rng))
            _resize(content, change.size)
        return bytes(content)

    def after_crash(self, rng: Random) -> bytes:
        """The contents after a power cut: with no unsynced change, with all of them, with all up
        to some change, or with each sector kept or lost independently.
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
        # The probability for each change of a sector that it is the first one lost.
        share = rng.choice((0.05, 0.3, 0.7))
        lost: set[int] = set()
        for change in self.changes:
            for start in range(
                change.start // SECTOR, (change.start + len(change.data) + SECTOR - 1) // SECTOR
            ):
                if start not in lost and rng.random() < share:
                    lost.add(start)
                if start not in lost:
                    _within(change, start * SECTOR, start * SECTOR + SECTOR).apply(content)
        if damaged:
            self._flip(content, rng)
        _resize(content, rng.choice([len(self.synced), *(change.size for change in self.changes)]))
        return bytes(content)

    def _flip(self, content: bytearray, rng: Random) -> None:
        """Flips bits, so that bytes are neither the old nor the new ones. Only bytes that a change
        was to replace by another value are affected.
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
    """How many bytes of a write a power cut left, if the disk wrote the sectors in order."""
    end = change.start + rng.randrange(len(change.data) + 1)
    return max(end // SECTOR * SECTOR - change.start, 0)


def _within(change: Change, start: int, end: int) -> Change:
    """The part of a change between two offsets of the file."""
    low = max(start, change.start)
    return Change(change.at, low, change.data[low - change.start : end - change.start], change.size)
