"""The system calls of one poll batch: wait for events, receive, and send.

`_batchedio.c` has the same two functions. It makes all system calls of a batch in one call without
Python's lock, which saves more than a microsecond per command. It is built where a C compiler is.
Without it, the functions below are used.

receive_ready(epoll, timeout_ms, polls, receivable) waits until descriptors are ready, and
receives from them. It returns a list of (descriptor, flags of epoll, received) in the order of the
events. `received` is

- the bytes, b"" at the end of input, if the flags are EPOLLIN alone and `receivable[descriptor]` is
  not 0. They are at most BATCHED_BYTES. If there are so many, more may be left in the socket;
- the errno of the failed recv;
- None in all other cases, and if the batch has received much already: the caller must receive.

It polls `polls` times, at least once, and then waits for `timeout_ms`. The list is empty if no
event comes or a signal arrives. No clock is read. Raises OSError.

send_all(items) sends to descriptors. Each item is a tuple: the descriptor, the bytes, and what else
the caller needs. Returns None if all were sent. If one is not sent whole, nothing after it is sent,
and the result is its index and how many of its bytes were taken.

If a function of the extension raises MemoryError, the caller frees memory and calls it again with
the same arguments: no input is lost, and nothing is sent twice. After a MemoryError of the
functions below the process must end.
"""

import os
import select
from typing import Any

EVENTS_MAX = 256  # in one poll batch
BATCHED_BYTES = 16 * 1024  # at most, from one descriptor
INPUT_BYTES = 512 * 1024  # at most, in one poll batch

Received = bytes | int | None
Events = list[tuple[int, int, Received]]


def receive_ready_in_python(
    epoll: select.epoll, timeout_ms: int, polls: int, receivable: bytearray
) -> Events:
    ready: Events = []
    left = INPUT_BYTES
    for fd, flags in _wait_for_events(epoll, timeout_ms, polls):
        received: Received = None
        if (
            flags == select.EPOLLIN
            and left >= BATCHED_BYTES
            and fd < len(receivable)
            and receivable[fd]
        ):
            try:
                received = os.read(fd, BATCHED_BYTES)
                left -= len(received)
            except OSError as error:
                received = error.errno
            except MemoryError:
                pass  # before anything was received
        ready.append((fd, flags, received))
    return ready


def _wait_for_events(epoll: select.epoll, timeout_ms: int, polls: int) -> list[tuple[int, int]]:
    events = epoll.poll(0, EVENTS_MAX)
    for _ in range(polls - 1):
        if events:
            break
        events = epoll.poll(0, EVENTS_MAX)
    if timeout_ms and not events:
        events = epoll.poll(timeout_ms / 1000, EVENTS_MAX)
    return events


def send_all_in_python(items: list[Any]) -> tuple[int, int] | None:
    for index, item in enumerate(items):
        piece = item[1]
        try:
            taken = os.write(item[0], piece)
        except OSError:
            return index, 0
        if taken < len(piece):
            return index, taken
    return None


try:
    from beanstalkd_py.server._batchedio import receive_ready as receive_ready
    from beanstalkd_py.server._batchedio import send_all as send_all

    BUILT = True
except ImportError:
    receive_ready, send_all = receive_ready_in_python, send_all_in_python
    BUILT = False
