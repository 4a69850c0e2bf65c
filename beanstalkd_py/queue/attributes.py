"""Attributes: what a job has beyond the C server's fields. They stand in a table by job id, so a
job without any costs nothing.
"""

from heapq import heappop
from typing import Final, NamedTuple

from beanstalkd_py.queue.lazyheap import ID_BITS, ID_MASK, LazyHeap
from beanstalkd_py.queue.model import DELAYED, READY, Job, Tube

# Why a job became a dead letter.
NO_REASON: Final = 0
ATTEMPTS: Final = 1
EXPIRED: Final = 2
REASONS: Final = ("", "attempts", "expired")


class Attributes(NamedTuple):
    """key: unique in the tube of the job. until_reserve: it is so until the job is reserved first.
    expires_at: boot time, ns; in a record wall-clock time; 0: never. attempts: at most; 0: as the
    policy of the tube says. origin, reason: of a dead letter: the tube that it comes from, and why.
    """

    key: bytes = b""
    until_reserve: bool = False
    expires_at: int = 0
    attempts: int = 0
    origin: bytes = b""
    reason: int = NO_REASON


NO_ATTRIBUTES: Final = Attributes()


# What the attributes of a job count beside its `JOB_BYTES`. Measured: 280 to 430 bytes.
ATTRIBUTES_BYTES: Final = 400


def cost(attributes: Attributes) -> int:
    """Bytes that count for the limit of --max-memory."""
    if attributes == NO_ATTRIBUTES:
        return 0
    return ATTRIBUTES_BYTES + len(attributes.key) + len(attributes.origin)


class Expiries(LazyHeap[Job]):
    """When the ready and delayed jobs of a tube expire."""

    __slots__ = ("_attributes", "_tube")

    def __init__(self, tube: Tube, attributes: dict[int, Attributes]) -> None:
        super().__init__(tube.table, READY)
        self._tube = tube
        self._attributes = attributes

    def first(self) -> Job | None:
        keys = self.keys
        while keys:
            if self.is_live(keys[0]):
                return self._jobs.get(keys[0] & ID_MASK)
            heappop(keys)
        return None

    def is_live(self, key: int) -> bool:
        job = self._jobs.get(key & ID_MASK)
        if job is None or job.tube is not self._tube or job.state not in (READY, DELAYED):
            return False
        attributes = self._attributes.get(job.id)
        return attributes is not None and attributes.expires_at == key >> ID_BITS


class Marked:
    """The jobs of a tube that have attributes."""

    __slots__ = ("count", "expiries", "expiring", "keys")

    def __init__(self, tube: Tube, attributes: dict[int, Attributes]) -> None:
        self.count = 0
        self.keys: dict[bytes, int] = {}  # ids by unique key
        self.expiring = 0  # jobs that will expire, in any state
        self.expiries = Expiries(tube, attributes)

    def add(self, job: Job, attributes: Attributes) -> None:
        self.count += 1
        if attributes.key:
            self.keys[attributes.key] = job.id
        if attributes.expires_at:
            self.expiring += 1
            self.expiries.push(attributes.expires_at, job.id, self.expiring)

    def discard(self, job: Job, attributes: Attributes) -> None:
        self.count -= 1
        self.expiring -= attributes.expires_at != 0
        if attributes.key and self.keys.get(attributes.key) == job.id:
            del self.keys[attributes.key]


def id_of_key(tube: Tube | None, key: bytes) -> int:
    """The job with this unique key in the tube; 0 if there is none."""
    marked = None if tube is None else tube.marked
    return marked.keys.get(key, 0) if isinstance(marked, Marked) else 0
