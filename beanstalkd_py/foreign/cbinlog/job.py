"""A job of the C server's binlog, independent of the layout in the file and of the queue.

States are the C server's numbers. Durations and instants are integers of nanoseconds, instants are
wall-clock time since the Unix epoch.
"""

from dataclasses import dataclass

READY, RESERVED, BURIED, DELAYED = 1, 2, 3, 4
STATE_NAMES = {READY: "ready", RESERVED: "reserved", BURIED: "buried", DELAYED: "delayed"}


@dataclass(slots=True)
class CJob:
    """The reader returns ready, delayed and buried jobs. The writer accepts reserved jobs as well,
    and writes them as ready.
    """

    id: int
    tube: bytes
    state: int
    pri: int
    delay_ns: int  # of the latest put or release
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
