"""A job as it stands in the C server's binlog, freed of the file's layout. Knows nothing of the
queue.

States are the C server's numbers. Durations and instants are integers of nanoseconds, instants are
wall-clock time since the Unix epoch.
"""

from dataclasses import dataclass

READY, RESERVED, BURIED, DELAYED = 1, 2, 3, 4
STATE_NAMES = {READY: "ready", RESERVED: "reserved", BURIED: "buried", DELAYED: "delayed"}


@dataclass(slots=True)
class CJob:
    """The reader yields ready, delayed and buried jobs; the writer takes reserved ones too, and
    writes them as ready.
    """

    id: int
    tube: bytes
    state: int
    pri: int
    delay_ns: int  # the duration last given
    ttr_ns: int
    created_at_ns: int
    deadline_at_ns: int  # when a delayed job becomes ready; 0 in all other states
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int
    body: bytes  # without the CRLF that ends it on disk

    @property
    def state_name(self) -> str:
        return STATE_NAMES[self.state]
