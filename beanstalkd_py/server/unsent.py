"""Replies that a transport has not taken: short ones joined, long ones as they are."""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.queue.memory import MemoryReserve

JOINED_BYTES: Final = 256 * 1024  # The bytes of a longer piece are not copied.

Unsent = list[bytearray | memoryview]


def keep(unsent: Unsent, data: bytes | memoryview, memory: MemoryReserve) -> None:
    """Adds bytes at the end."""
    try:
        if len(data) <= JOINED_BYTES:
            last = unsent[-1] if unsent else None
            if isinstance(last, bytearray):
                last += data
            else:
                unsent.append(bytearray(data))
            return
    except MemoryError:
        memory.release()
    unsent.append(memoryview(data))


def send_kept(unsent: Unsent, send: Callable[[bytes | bytearray | memoryview], int]) -> int:
    """Sends as much as the transport takes now. Returns the number of bytes. Raises what `send`
    raises, except BlockingIOError.
    """
    total = 0
    while unsent:
        try:
            with memoryview(unsent[0]) as view:
                sent = send(view)
        except BlockingIOError:
            break
        total += sent
        if not drop(unsent, sent):
            break
    return total


def drop(unsent: Unsent, sent: int) -> bool:
    """Removes so many bytes, which were sent, from the first piece. True if it was sent whole."""
    first = unsent[0]
    if sent == len(first):
        del unsent[0]
        return True
    if isinstance(first, bytearray):
        del first[:sent]
    else:
        unsent[0] = first[sent:]
    return False
