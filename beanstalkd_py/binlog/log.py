"""What the binlog, and whoever sends replies, need of a log.

`beanstalkd_wal.Log` is one implementation: files in a directory. This module says what any other
implementation must promise, for example a log on a replicated stream.

**Records and segments.** The log is a sequence of records (bytes). Records have LSNs: 1, 2, 3, ...
The log is divided into segments, numbered in ascending order. Records are appended to the active
segment, which has the highest number; the segments before it are sealed. A segment is the unit in
which the log is shortened: the binlog retires segments from the oldest on. What a segment is (a
file, a range of messages) and when a new one begins is the log's decision.

**Headroom.** Headroom is free space that the log has for itself already: nobody else can take it.
`append` must not fail later because the disk is full. So a log on a disk preallocates; a log with a
fixed capacity computes its headroom from that.

**Threads.** All methods belong to one thread, the owner's. Work in the background must not change
any of these attributes: its results are taken over by `collect`, `commit`, `drain` and
`ensure_headroom`.

**Failures.** A failed write is final: from then on the methods raise `beanstalkd_wal.LogFailed`,
and `promised_lsn` stays where it is. A full disk is not a failure.
"""

from collections.abc import Mapping
from typing import Protocol


class Promises(Protocol):
    """How far the log has come: what decides when a reply may be sent."""

    @property
    def lsn(self) -> int:
        """LSN of the record that was appended last."""

    @property
    def promised_lsn(self) -> int:
        """Up to here, records are as durable as the mode of the log promises. Never falls."""

    @property
    def durable_lsn(self) -> int:
        """Up to here, records survive a power failure. Never falls."""

    @property
    def promise_durable(self) -> bool:
        """Whether the mode promises durability: then promised_lsn equals durable_lsn."""

    @property
    def pending(self) -> bool:
        """Whether something was appended and not committed yet."""

    @property
    def watermark_behind(self) -> bool:
        """Whether something is durable, or will be, and the log has no durable watermark for it."""

    def collect(self) -> None:
        """Takes over the results of the background work. Raises LogFailed."""

    def sync(self, at: int) -> None:
        """Asks for a sync of all that was committed, for modes that do not sync by themselves.

        at: wall clock, ns.
        """

    def write_watermark(self, at: int) -> None:
        """Writes a durable watermark, if the log has none yet for what is durable. For an idle
        owner. at: wall clock, ns.
        """

    def close(self, at: int) -> None:
        """Commits, makes everything as durable as it gets, and ends. Raises LogFailed.

        at: wall clock, ns.
        """


class Log(Promises, Protocol):
    """What the binlog needs beside that: append, commit, headroom and segments."""

    # --- records

    def append(self, record: bytes) -> int:
        """Adds a record and returns the number of the segment it goes to. Nothing is written yet.

        Raises beanstalkd_wal.LogFull if there is no headroom for it in one piece (nothing has
        changed then), and LogFailed.
        """

    def commit(self, at: int, inline: bool = False) -> bool:
        """Hands everything that was appended to the background work. Raises LogFailed.

        at: wall clock, ns. inline: the log may do the work at once in this call, if that is quicker
        for an owner who has nothing else to do. Returns True if it did: then `collect` has results.
        """

    def drain(self, at: int) -> None:
        """Commits, waits until all background work is done, retired segments included, and
        collects. Raises LogFailed.

        at: wall clock, ns.
        """

    @property
    def appended_bytes(self) -> int:
        """Bytes that were appended since the log was opened, with all that their frames add."""

    @property
    def changes(self) -> int:
        """Grows whenever background work has changed anything here except LSNs."""

    # --- headroom

    @property
    def headroom(self) -> int:
        """Bytes that can be appended, length fields and frames included."""

    @property
    def disk_full(self) -> bool:
        """Whether preallocation in the background met a full disk, and has not succeeded since."""

    def preallocate(self, target: int) -> None:
        """Makes headroom grow to `target` bytes, in the background. On a full disk each call tries
        again.
        """

    def trim(self, target: int) -> None:
        """Gives back headroom that is not needed for `target` bytes. May wait for the disk."""

    def ensure_headroom(self, nbytes: int, floor: int = 0) -> bool:
        """Allocates at once, until a record of nbytes can be appended and leave `floor` bytes of
        headroom. Returns False if the disk is full. May wait for the disk. Raises LogFailed.
        """

    # --- segments

    @property
    def segment(self) -> int:
        """Number of the active segment."""

    @property
    def oldest(self) -> int:
        """Number of the oldest segment that still exists."""

    @property
    def active_bytes(self) -> int:
        """Bytes that the active segment takes, its headroom included."""

    @property
    def segment_sizes(self) -> Mapping[int, int]:
        """Bytes of each sealed segment by its number, ascending. A retired segment leaves this
        mapping when it is deleted.
        """

    @property
    def total_bytes(self) -> int:
        """Bytes that the whole log takes."""

    @property
    def unsealed_bytes(self) -> int:
        """Bytes that the log takes beside its sealed segments: the active segment, preallocated
        segments, and what is left of deleted segments and not given back yet.
        """

    def retire(self, before: int) -> None:
        """Deletes the sealed segments with numbers below `before`, in the background, as soon as
        everything appended until now is as durable as it gets.
        """
