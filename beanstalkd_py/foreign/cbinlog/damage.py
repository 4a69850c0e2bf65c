"""What a reader reports about a directory besides its jobs. The caller decides what to do."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a report means for the jobs."""

    # Nothing is missing. Logs end like this in normal operation, although the C server prints a
    # warning.
    HARMLESS = "harmless"
    # The last record of a file is unfinished: a crash interrupted the write.
    TORN = "torn"
    # Updates of jobs whose put is in no file, and no file is missing. Usually the C server had lost
    # these jobs before.
    ORPHAN = "orphan"
    # Something that had been written is missing or has changed.
    DAMAGE = "damage"


@dataclass(frozen=True)
class Damage:
    """One report. offset: where the unreadable or implausible part begins, as in the C server's
    messages. message: the C server's message, if it has one. job_ids: the jobs concerned, if known.
    """

    path: str
    offset: int
    message: str
    kind: Kind
    job_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}:{self.offset}: {self.message}"
