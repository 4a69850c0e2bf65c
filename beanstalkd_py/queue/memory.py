"""The memory reserve: memory that puts must leave, for the time when the system gives no more.

When an allocation fails, the reserve is released. From then on puts are refused, and the reserve is
memory for everything else: replies, deletes, connections. The first put after more memory is free
sets the reserve aside again. It is accepted if a probe succeeds too (see below).

The reserve is never written to, so it takes address space and no memory of the machine. Both the
reserve and a probe are one block where the system has one. The memory of deleted jobs may be in
pieces, between blocks that are still used, so many small blocks do as well.

Puts also stop before the last memory is gone: now and then a put must find PROBE_BYTES. Many
failures cannot be handled where they occur, such as those in the event loop's own code, or of an
integer in a compiled module. A probe takes 8 us, so it is made after PUTS_A_PROBE puts, or after
larger bodies of BODIES_A_PROBE bytes in total.

`limit` is the limit of --max-memory on the bytes of all jobs, and of bodies that are being received
in pieces. It costs a put no comparison of its own: `probe_at` comes before the first put that could
reach the limit.
"""

from collections.abc import Callable
from typing import Final

RESERVE_BYTES: Final = 8 << 20
# A job, its record and the frame of the record: that is three times the body and 1 kB.
PROBE_BYTES: Final = 8 << 20
PUTS_A_PROBE: Final = 512
SMALL_BODY: Final = 2048  # bytes; larger bodies are counted
BODIES_A_PROBE: Final = 1 << 20  # bytes
PIECE_BYTES: Final = 256 << 10  # of a reserve or a probe that finds no block of the whole size
JOB_BYTES: Final = 400  # that a job takes beside its body, about
UNASKED_BYTES: Final = SMALL_BODY + JOB_BYTES  # at most, of a job whose put does not ask `may_put`
NO_LIMIT: Final = 1 << 60
PROBED_BODY: Final = 64 << 10  # bytes; the parser makes a probe for each larger body


class MemoryReserve:
    """allocate: returns so many bytes, or raises MemoryError. Large buffers are made with it too,
    so that a test can make it fail.

    short: the reserve was released, and is not set aside again yet. probe_at: a put with this id,
    or with a higher one, must ask `may_put`. refused: puts that were refused for lack of memory;
    the operator is told. used: bytes of all jobs. receiving: bytes of bodies that are not complete.
    limit: puts may not raise the two above it. over_limit: puts that were refused for it.
    """

    __slots__ = (
        "_bodies", "_reserve", "allocate", "limit", "over_limit", "probe_at", "receiving",
        "refused", "short", "used",
    )  # fmt: skip

    def __init__(self, allocate: Callable[[int], bytes] = bytes) -> None:
        self.allocate = allocate
        self.short = False
        self.probe_at = 0
        self.refused = 0
        self.used = 0
        self.receiving = 0
        self.limit = NO_LIMIT
        self.over_limit = 0
        self._bodies = 0  # bytes of larger bodies since the latest probe
        self._reserve: list[bytes] = []

    def hold(self) -> bool:
        """Sets the reserve aside. False if the system has not enough memory for it."""
        try:
            self._reserve = self._blocks(RESERVE_BYTES)
        except MemoryError:
            return False
        self.short = False
        return True

    def may_put(self, id: int, nbytes: int) -> bool:
        """Whether a put of a body of `nbytes` may take memory. To be called for ids from `probe_at`
        on, and for each body of more than SMALL_BODY bytes.
        """
        if self.exceeds_limit(nbytes + JOB_BYTES):
            return False
        left = self.limit - self.used - self.receiving - nbytes - JOB_BYTES
        safe = id + left // UNASKED_BYTES  # puts up to this id cannot exceed the limit
        if id < self.probe_at:
            self._bodies += nbytes
            if self._bodies < BODIES_A_PROBE:
                self.probe_at = min(self.probe_at, safe)
                return True
        if not self.has_room():
            return False
        self.probe_at = min(id + PUTS_A_PROBE, safe)
        self._bodies = 0
        return True

    def set_limit(self, limit: int) -> None:
        self.limit = limit
        self.probe_at = 0

    def exceeds_limit(self, nbytes: int) -> bool:
        """Whether so many bytes more would exceed the limit. If so, a put is refused."""
        if self.used + self.receiving + nbytes <= self.limit:  # `fits`, without the call
            return False
        self.over_limit += 1
        return True

    def fits(self, nbytes: int) -> bool:
        return self.used + self.receiving + nbytes <= self.limit

    def may_receive(self, nbytes: int) -> bool:
        """Whether so many bytes of a body may be kept until the rest of it comes. The caller takes
        them off `receiving` at the end of the body.
        """
        if self.exceeds_limit(nbytes):
            return False
        self.receiving += nbytes
        if self.limit != NO_LIMIT:
            self.probe_at -= nbytes // UNASKED_BYTES + 1  # so much fewer puts are safe
        return True

    def has_room(self) -> bool:
        """Whether a put may take memory. False for a put that is refused then."""
        if self.recovers():
            return True
        self.refused += 1
        return False

    def recovers(self) -> bool:
        """Sets the reserve aside again, if it was released, and makes a probe. With the reserve
        alone, the puts until the next probe could use memory to its end.
        """
        if self.short and not self.hold():
            return False
        try:
            self._blocks(PROBE_BYTES)
        except MemoryError:
            self.release()
            return False
        return True

    def _blocks(self, nbytes: int) -> list[bytes]:
        """So many bytes, in one block or in pieces. Raises MemoryError."""
        try:
            return [self.allocate(nbytes)]
        except MemoryError:
            return [self.allocate(PIECE_BYTES) for _ in range(nbytes // PIECE_BYTES)]

    def refuse(self) -> None:
        """An allocation for a put has failed."""
        self.refused += 1
        self.release()

    def release(self) -> None:
        """An allocation has failed."""
        self._reserve = []
        self.short = True
        self.probe_at = 0
