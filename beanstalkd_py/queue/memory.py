"""The memory reserve: memory that puts must leave, for the time when the system gives no more.

When an allocation fails, the reserve is released. From then on puts are refused, and the reserve is
memory for everything else: replies, deletes, connections. The first put after more memory is free
sets the reserve aside again. It is accepted if a probe succeeds too (see below).

The reserve is never written to, so it takes address space and no memory of the machine.

Puts also stop before the last memory is gone: now and then a put must find PROBE_BYTES. Many
failures cannot be handled where they occur, such as those in the event loop's own code, or of an
integer in a compiled module. A probe takes 8 us, so it is made after PUTS_A_PROBE puts, or after
larger bodies of BODIES_A_PROBE bytes in total.
"""

from collections.abc import Callable
from typing import Final

RESERVE_BYTES: Final = 8 << 20
# A job, its record and the frame of the record: that is three times the body and 1 kB.
PROBE_BYTES: Final = 8 << 20
PUTS_A_PROBE: Final = 512
SMALL_BODY: Final = 2048  # bytes; larger bodies are counted
BODIES_A_PROBE: Final = 1 << 20  # bytes
PROBED_BODY: Final = 64 << 10  # bytes; the parser makes a probe for each larger body


class MemoryReserve:
    """allocate: returns so many bytes, or raises MemoryError. Large buffers are made with it too,
    so that a test can make it fail.

    short: the reserve was released, and is not set aside again yet. probe_at: a put with this id,
    or with a higher one, must ask `may_put`. refused: puts that were refused for lack of memory;
    the operator is told.
    """

    __slots__ = ("_bodies", "_reserve", "allocate", "probe_at", "refused", "short")

    def __init__(self, allocate: Callable[[int], bytes] = bytes) -> None:
        self.allocate = allocate
        self.short = False
        self.probe_at = 0
        self.refused = 0
        self._bodies = 0  # bytes of larger bodies since the latest probe
        self._reserve = b""

    def hold(self) -> bool:
        """Sets the reserve aside. False if the system has not enough memory for it."""
        try:
            self._reserve = self.allocate(RESERVE_BYTES)
        except MemoryError:
            return False
        self.short = False
        return True

    def may_put(self, id: int, nbytes: int) -> bool:
        """Whether a put of a body of `nbytes` may take memory. To be called for ids from `probe_at`
        on, and for each body of more than SMALL_BODY bytes.
        """
        if id < self.probe_at:
            self._bodies += nbytes
            if self._bodies < BODIES_A_PROBE:
                return True
        if not self.has_room():
            return False
        self.probe_at = id + PUTS_A_PROBE
        self._bodies = 0
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
            self.allocate(PROBE_BYTES)
        except MemoryError:
            self.release()
            return False
        return True

    def refuse(self) -> None:
        """An allocation for a put has failed."""
        self.refused += 1
        self.release()

    def release(self) -> None:
        """An allocation has failed."""
        self._reserve = b""
        self.short = True
        self.probe_at = 0
