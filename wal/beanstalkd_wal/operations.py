"""What the log asks of its committer: the vocabulary of the two, in the order in which the log
decided it.

May know: nothing. Promises: nothing here is decided by whoever carries it out.
"""

from __future__ import annotations

import threading

from beanstalkd_wal.directory import Spare


class Write:
    """A frame."""

    __slots__ = ("first_lsn", "records")

    def __init__(self, first_lsn: int, records: list[bytes]) -> None:
        self.first_lsn = first_lsn
        self.records = records


class Rotate:
    """Seal the active segment, begin this one in the spare."""

    __slots__ = ("base_lsn", "meta", "number", "spare")

    def __init__(self, spare: Spare, number: int, base_lsn: int, meta: bytes) -> None:
        self.spare = spare
        self.number = number
        self.base_lsn = base_lsn
        self.meta = meta


class Sync:
    """Make durable what was written; if claim, then say so in an empty frame."""

    __slots__ = ("claim", "next_lsn")

    def __init__(self, claim: bool, next_lsn: int) -> None:
        self.claim = claim
        self.next_lsn = next_lsn


class Drop:
    """Drop these segments once lsn is safe."""

    __slots__ = ("lsn", "numbers")

    def __init__(self, numbers: tuple[int, ...], lsn: int) -> None:
        self.numbers = numbers
        self.lsn = lsn


class Fence:
    """Say when everything before it has been carried out, or given up."""

    __slots__ = ("passed",)

    def __init__(self, passed: threading.Event) -> None:
        self.passed = passed


class Close:
    """Leave the active segment, sealed if cut, else with its zeros; the last operation."""

    __slots__ = ("cut",)

    def __init__(self, cut: bool) -> None:
        self.cut = cut


Operation = Write | Rotate | Sync | Drop | Fence | Close


class Batch:
    """The operations of one commit, and its wall time."""

    __slots__ = ("at", "operations")

    def __init__(self, at: int, operations: list[Operation]) -> None:
        self.at = at
        self.operations = operations
