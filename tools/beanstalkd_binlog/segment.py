"""What is known of a segment after reading it, and the states of a segment.

`active`: a server appends to it, or did when it was killed. `sealed`: cut to its length. `torn` and
`corrupt`: damaged.
"""

from __future__ import annotations

import beanstalkd_wal as wal
from beanstalkd_wal.format import HEADER_BYTES, LENGTH_BYTES, Header

SEALED, ACTIVE, TORN, CORRUPT = "sealed", "active", "torn", "corrupt"


class Segment:
    """A segment, as far as it was read."""

    def __init__(self, number: int, path: str) -> None:
        self.number = number
        self.path = path
        self.state = SEALED
        self.file_bytes = 0
        self.used_bytes = HEADER_BYTES
        self.base_lsn = 0
        self.created_at = 0
        self.meta = b""
        self.records = 0
        self.record_bytes = 0  # including the length fields
        self.first_lsn = 0
        self.last_lsn = 0
        self.first_at = 0
        self.last_at = 0

    def update(self, info: wal.SegmentInfo) -> None:
        """Takes over what the replay knows of the file."""
        self.file_bytes = info.file_bytes
        self.used_bytes = info.used_bytes
        self.base_lsn = info.base_lsn
        self.created_at = info.created_at
        self.meta = info.meta

    def update_header(self, header: Header) -> None:
        """Takes over what the header says."""
        self.base_lsn = header.base_lsn
        self.created_at = header.created_at
        self.meta = header.meta

    def add(self, frame: wal.Frame) -> None:
        """Counts a frame."""
        self.used_bytes = frame.end
        if not frame.records:
            return
        self.first_lsn = self.first_lsn or frame.first_lsn
        self.first_at = self.first_at or frame.at
        self.last_lsn = frame.next_lsn - 1
        self.last_at = frame.at
        self.records += len(frame.records)
        self.record_bytes += sum(map(len, frame.records)) + LENGTH_BYTES * len(frame.records)


class Gap:
    """A running server deleted segments before they were read. The log continues at `first_lsn`."""

    def __init__(self, segment: int, first_lsn: int) -> None:
        self.segment = segment
        self.first_lsn = first_lsn

    def __str__(self) -> str:
        return (
            "the server deleted segments before they were read; "
            f"the log continues at LSN {self.first_lsn}"
        )
