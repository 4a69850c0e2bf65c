"""Binlogs made by hand. The layout is written down here a second time, so that a mistake in
`format` is found.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from beanstalkd_py.foreign.cbinlog import CBinlog, read_directory

SECOND = 10**9
BORN = 1_795_443_751_676_942_000
DELETED, READY, RESERVED, BURIED, DELAYED = 0, 1, 2, 3, 4
HEADER = struct.pack("<i", 7)
SHORT_SIZE = 84


@dataclass(frozen=True)
class Rec:
    """One record; `short` and `full` give its bytes."""

    id: int = 1
    tube: bytes = b"default"
    body: bytes = b"hello"
    pri: int = 10
    delay: int = 0
    ttr: int = 60 * SECOND
    created_at: int | None = None
    deadline_at: int = 0
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0
    state: int = READY
    body_size: int | None = None

    @property
    def born(self) -> int:
        return BORN + self.id * 1000 if self.created_at is None else self.created_at

    def struct(self) -> bytes:
        size = len(self.body) + 2 if self.body_size is None else self.body_size
        return (
            struct.pack("<QIIqqii", self.id, self.pri, 0, self.delay, self.ttr, size, 0)
            + struct.pack("<qq", self.born, self.deadline_at)
            + struct.pack(
                "<IIIII", self.reserves, self.timeouts, self.releases, self.buries, self.kicks
            )
            + struct.pack("<BBH", self.state, 0, 0)
        )

    def short(self) -> bytes:
        return struct.pack("<i", 0) + self.struct()

    def struct_x86(self) -> bytes:
        """As 32-bit x86 has it, where an int64 needs an alignment of 4 bytes only."""
        data = self.struct()
        return data[:12] + data[16:36] + data[40:]

    def full_x86(self) -> bytes:
        return (
            struct.pack("<i", len(self.tube)) + self.tube + self.struct_x86() + self.body + b"\r\n"
        )

    def short_x86(self) -> bytes:
        return struct.pack("<i", 0) + self.struct_x86()

    def full(self) -> bytes:
        return struct.pack("<i", len(self.tube)) + self.tube + self.struct() + self.body + b"\r\n"

    def full_v5(self) -> bytes:
        return (
            struct.pack("<Q", len(self.tube)) + self.tube + self.struct_v5() + self.body + b"\r\n"
        )

    def short_v5(self) -> bytes:
        return struct.pack("<Q", 0) + self.struct_v5()

    def full_v5_x86(self) -> bytes:
        return (
            struct.pack("<I", len(self.tube))
            + self.tube
            + self.struct_v5_x86()
            + self.body
            + b"\r\n"
        )

    def short_v5_x86(self) -> bytes:
        return struct.pack("<I", 0) + self.struct_v5_x86()

    def struct_v5_x86(self) -> bytes:
        data = self.struct_v5()
        return data[:12] + data[16:36] + data[40:]

    def struct_v5(self) -> bytes:
        microseconds = replace(
            self,
            delay=self.delay // 1000,
            ttr=self.ttr // 1000,
            created_at=self.born // 1000,
            deadline_at=self.deadline_at // 1000,
        )
        return microseconds.struct()[:77]

    def but(self, **changes: object) -> Rec:
        return replace(self, **changes)  # type: ignore[arg-type]

    # What happens to a job, as the C server does it.

    def reserved(self) -> Rec:
        return self.but(
            state=RESERVED, reserves=self.reserves + 1, deadline_at=self.born + self.ttr
        )

    def buried(self, pri: int = 7) -> Rec:
        return self.reserved().but(state=BURIED, pri=pri, buries=self.buries + 1)

    def released(self, delay: int = 30 * SECOND) -> Rec:
        job = self.reserved()
        if not delay:
            return job.but(state=READY, delay=0, releases=self.releases + 1)
        return job.but(
            state=DELAYED,
            delay=delay,
            releases=self.releases + 1,
            deadline_at=self.born + 5 * SECOND + delay,
        )

    def kicked(self) -> Rec:
        return self.but(state=READY, kicks=self.kicks + 1)

    def deleted(self) -> Rec:
        return self.but(state=DELETED)


def make(directory: Path, *files: bytes, first: int = 1) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(files, first):
        (directory / f"binlog.{number}").write_bytes(data)
    return directory


def log(*records: bytes, zeros: int = 0) -> bytes:
    return HEADER + b"".join(records) + bytes(zeros)


def read(directory: Path, *files: bytes) -> CBinlog:
    if files:
        for old in directory.glob("binlog.*"):
            old.unlink()
        make(directory, *files)
    return read_directory(str(directory))


def ids(binlog: CBinlog) -> list[int]:
    return [job.id for job in binlog.jobs]


def kinds(binlog: CBinlog) -> list[str]:
    return [damage.kind.value for damage in binlog.damages]


def messages(binlog: CBinlog) -> list[str]:
    return [str(damage).removeprefix(binlog.path + "/") for damage in binlog.damages]


def offsets(records: Iterable[bytes]) -> list[int]:
    """Where each record of a log begins, and where the last one ends."""
    at = [len(HEADER)]
    for record in records:
        at.append(at[-1] + len(record))
    return at
