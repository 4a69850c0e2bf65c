"""The operations that the log sends to its committer, in the order of their execution.

Promises: plain data. The log has made every decision before; the committer makes none.
"""

from __future__ import annotations

import threading

from beanstalkd_wal.directory import Spare


class Write:
    """Write one frame with these records."""

    __slots__ = ("first_lsn", "records")

    def __init__(self, first_lsn: int, records: list[bytes]) -> None:
        self.first_lsn = first_lsn
        self.records = records


class WriteLong:
    """Write one frame with one long record: head and body, which are not joined."""

    __slots__ = ("body", "first_lsn", "head")

    def __init__(self, first_lsn: int, head: bytes, body: bytes) -> None:
        self.first_lsn = first_lsn
        self.head = head
        self.body = body


class Rotate:
    """Seal the active segment; turn the spare into the next one. meta: bytes for its header."""

    __slots__ = ("base_lsn", "meta", "number", "spare")

    def __init__(self, spare: Spare, number: int, base_lsn: int, meta: bytes) -> None:
        self.spare = spare
        self.number = number
        self.base_lsn = base_lsn
        self.meta = meta


class Sync:
    """Make everything written so far durable; if `watermark`, write the durable watermark too."""

    __slots__ = ("next_lsn", "watermark")

    def __init__(self, watermark: bool, next_lsn: int) -> None:
        self.watermark = watermark
        self.next_lsn = next_lsn


class Retire:
    """Delete these segments once everything up to `lsn` is durable."""

    __slots__ = ("lsn", "numbers")

    def __init__(self, numbers: tuple[int, ...], lsn: int) -> None:
        self.numbers = numbers
        self.lsn = lsn


class Fence:
    """Set the event once everything before this has been done, or skipped after a failure."""

    __slots__ = ("passed",)

    def __init__(self, passed: threading.Event) -> None:
        self.passed = passed


class Close:
    """Sync and close the active segment; if `truncate`, cut off its zeros. The last operation.

    next_lsn: if it is not 0, write the durable watermark before that.
    """

    __slots__ = ("next_lsn", "truncate")

    def __init__(self, next_lsn: int, truncate: bool) -> None:
        self.next_lsn = next_lsn
        self.truncate = truncate


Operation = Write | WriteLong | Rotate | Sync | Retire | Fence | Close


class Batch:
    """The operations of one commit. at: its wall time, ns."""

    __slots__ = ("at", "operations")

    def __init__(self, at: int, operations: list[Operation]) -> None:
        self.at = at
        self.operations = operations
