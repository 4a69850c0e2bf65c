"""What a reader has to say about a directory besides its jobs. Libraries report, programs decide:
nothing here stops anything.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a report means for the jobs."""

    # nothing is missing: logs end like this in normal operation, though the C server warns
    HARMLESS = "harmless"
    TORN = "torn"  # the last record of a file is unfinished: the write that a crash interrupted
    # updates of jobs whose put is in no file, and no file is missing: they were lost before, as a
    # rule by the C server
    ORPHAN = "orphan"
    DAMAGE = "damage"  # something that had been written is missing, or not as it was written


@dataclass(frozen=True)
class Damage:
    path: str
    # where the part begins that could not be read or believed, as in the C server's messages
    offset: int
    message: str  # in the C server's words where it has some
    kind: Kind
    job_ids: tuple[int, ...] = ()  # jobs that this is about, as far as known

    def __str__(self) -> str:
        return f"{self.path}:{self.offset}: {self.message}"
