"""The memory reserve: memory that puts must leave, for the time when the system gives no more.

When an allocation fails, the reserve is released. From then on puts are refused, and the reserve is
memory for everything else: replies, deletes, connections. The first put after more memory is free
sets the reserve aside again, and is accepted.

The reserve is never written to, so it takes address space and no memory of the machine.

Puts also stop before the last memory is gone: after every PROBE_EVERY bytes of puts, the next put
must find PROBE_BYTES. Many failures cannot be handled where they occur, such as those in the event
loop's own code, or of an integer in a compiled module.
"""

from collections.abc import Callable

RESERVE_BYTES = 8 << 20
PROBE_BYTES = 1 << 20
PROBE_EVERY = 64 << 10
JOB_BYTES = 512  # of a put, beside its body


class MemoryReserve:
    """allocate: returns so many bytes, or raises MemoryError. Large buffers are made with it too,
    so that a test can make it fail.

    short: the reserve was released, and is not set aside again yet. put_bytes: of the puts since
    the last probe.
    """

    __slots__ = ("_reserve", "allocate", "put_bytes", "short")

    def __init__(self, allocate: Callable[[int], bytes] = bytes) -> None:
        self.allocate = allocate
        self.short = False
        self.put_bytes = 0
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
        """Whether puts may take memory. To be called when `short` is set, or when `put_bytes` has
        come to PROBE_EVERY.
        """
        if self.short:
            return self.hold()
        self.put_bytes = 0
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
