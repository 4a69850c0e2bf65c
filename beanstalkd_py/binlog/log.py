"""What the binlog, and the code that sends replies, need from a log.

`beanstalkd_wal.Log` is one implementation: files in a directory. This module says what any other
implementation must promise, for example a log on a replicated stream.

**Records and segments.** The log is a sequence of records (bytes). Records have LSNs: 1, 2, 3, ...
The log is divided into segments, numbered in ascending order. Records are appended to the active
segment, which has the highest number; the segments before it are sealed. The binlog shortens the
log by whole segments: it retires the oldest ones. The implementation decides what a segment is (a
file, a range of messages) and when a new one begins.

**Headroom.** Headroom is free space that the log has reserved: no other program can take it. A
commit must not fail because the disk is full. So a log on a disk preallocates; a log with a fixed
capacity computes its headroom from the capacity.

**Threads.** Only one thread, the owner's, may call the methods. Background threads must not change
these attributes: `collect`, `commit`, `drain` and `ensure_headroom` take over their results.

**Failures.** A failed write is final: from then on the methods raise `beanstalkd_wal.LogFailed`,
and `promised_lsn` stays where it is. A full disk is not a failure.
"""

from collections.abc import Mapping
from typing import Protocol


class Promises(Protocol):
    """How far the log is promised and durable. This decides when a reply may be sent."""

    @property
    def lsn(self) -> int:
        """LSN of the record that was appended last."""

    @property
    def promised_lsn(self) -> int:
        """All records up to this LSN are as durable as the log's mode promises. Never falls."""

    @property
    def durable_lsn(self) -> int:
        """All records up to this LSN survive a power failure. Never falls."""

    @property
    def promise_durable(self) -> bool:
        """Whether the mode promises durability: then promised_lsn equals durable_lsn."""

    @property
    def pending(self) -> bool:
        """Whether something was appended and not committed yet."""

    @property
    def watermark_behind(self) -> bool:
        """Whether records are durable, or will be, that no durable watermark in the log covers."""

    def collect(self) -> None:
        """Takes over the results of the background work. Raises LogFailed."""

    def sync(self, at: int) -> None:
        """Asks for a sync of everything committed. For modes that do not sync every commit.

        at: wall clock, ns.
        """

    def write_watermark(self, at: int) -> None:
        """Writes a durable watermark if records are durable that none covers yet. For an idle
        owner. at: wall clock, ns.
        """

    def check_lock(self) -> None:
        """Raises LogFailed if another server may write to the log. Called about once a second."""

    def close(self, at: int) -> None:
        """Commits, makes everything durable, and closes the log. Raises LogFailed.

        at: wall clock, ns.
        """


class Log(Promises, Protocol):
    """What the binlog needs in addition: append, commit, headroom and segments."""

    # --- records

    def append(self, record: bytes) -> int:
        """Adds a record and returns the number of the segment it goes to. Nothing is written yet.

        Raises LogFailed. Raises beanstalkd_wal.LogFull, and changes nothing, if no single segment
        has headroom for the record.
        """

    def append_long(self, head: bytes, body: bytes) -> int:
        """`append` of head + body. For a body that is too long to be copied."""

    def commit(self, at: int, inline: bool = False) -> bool:
        """Hands everything appended to the background threads. Raises LogFailed.

        at: wall clock, ns. inline: the log may write and sync in this call, if that has a lower
        latency. Returns True if it did so: then `collect` has results.
        """

    def drain(self, at: int) -> None:
        """Commits, waits until everything is durable and all background work is done, retired
        segments included, and collects. Raises LogFailed.

        at: wall clock, ns.
        """

    @property
    def appended_bytes(self) -> int:
        """Bytes appended since the log was opened: records, and what their frames add."""

    @property
    def changes(self) -> int:
        """A counter. Grows when results of background work changed an attribute other than LSNs."""

    # --- headroom

    @property
    def headroom(self) -> int:
        """Bytes that can be appended, length fields and frames included."""

    @property
    def disk_full(self) -> bool:
        """Whether preallocation in the background met a full disk, and has not succeeded since."""

    @property
    def full_errno(self) -> int:
        """The errno of the latest allocation that met a full disk; 0 if none did."""

    def preallocate(self, target: int) -> None:
        """Makes headroom grow to `target` bytes, in the background. On a full disk each call tries
        again.
        """

    def trim(self, target: int) -> None:
        """Frees headroom above `target` bytes. May wait for the disk."""

    def join(self, nbytes: int) -> bool:
        """For a full disk, after `drain`: makes the headroom of several segments one that a record
        of nbytes fits into. False if that is not enough. May wait for the disk. Raises LogFailed.
        """

    def ensure_headroom(self, nbytes: int, minimum: int = 0) -> bool:
        """Allocates in this call, until a record of nbytes can be appended and leaves `minimum`
        bytes of headroom. False if the disk is full. May wait for the disk. Raises LogFailed.
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
    def largest_spare(self) -> int:
        """Bytes of the largest preallocated segment; 0 if there is none."""

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
        """Bytes of all files of the log except sealed segments: the active segment, preallocated
        segments, and files of deleted segments that are not removed or reused yet.
        """

    def retire(self, before: int) -> None:
        """Deletes the sealed segments with numbers below `before`, in the background, as soon as
        everything appended before this call is durable.
        """
