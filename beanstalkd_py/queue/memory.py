"""The memory reserve: memory that puts must leave, for the time when the system gives no more.

When an allocation fails, the reserve is released. From then on puts are refused, and the reserve is
memory for everything else: replies, deletes, connections. The first put after more memory is free
sets the reserve aside again, and is accepted.

The reserve is never written to, so it takes address space and no memory of the machine.

Puts also stop before the last memory is gone: every PUTS_A_PROBE puts, and with each body of more
than PROBED_BODY bytes, a put must find PROBE_BYTES. Many failures cannot be handled where they
occur, such as those in the event loop's own code, or of an integer in a compiled module.
"""

from collections.abc import Callable

RESERVE_BYTES = 8 << 20
PROBE_BYTES = 8 << 20  # more than PUTS_A_PROBE jobs of PROBED_BODY bytes take
PUTS_A_PROBE = 64  # a power of two: the id of a put tells
PROBED_BODY = 64 << 10


class MemoryReserve:
    """allocate: returns so many bytes, or raises MemoryError. Large buffers are made with it too,
    so that a test can make it fail.

    short: the reserve was released, and is not set aside again yet.
    """

    __slots__ = ("_reserve", "allocate", "short")

    def __init__(self, allocate: Callable[[int], bytes] = bytes) -> None:
        self.allocate = allocate
        self.short = False
        self._reserve = b""

    def hold(self) -> bool:
        """Sets the reserve aside. False if the system has not enough memory for it."""
        try:
            self._reserve = self.allocate(RESERVE_BYTES)
        except MemoryError:
            return False
        self.short = False
        return True

    def has_room(self) -> bool:
        """Whether a put may take memory. Called if `short` is set, and for a probe."""
        if self.short:
            return self.hold()
        try:
            self.allocate(PROBE_BYTES)
        except MemoryError:
            self.release()
            return False
        return True

    def release(self) -> None:
        """An allocation has failed."""
        self._reserve = b""
        self.short = True
