"""Waits for readiness events of the server's sockets, and receives from those that allow it."""

import select
from typing import Final

from beanstalkd_py.queue.memory import MemoryReserve
from beanstalkd_py.server.batchedio import BUILT, Events, receive_ready

# A busy-poll: so many polls take 15 to 40 us, depending on the machine. To block and to wake up
# costs as much CPU time, and 30 us more latency.
BUSY_POLLS: Final = 200 if BUILT else 60
FAILED_BUSY_POLLS: Final = 4  # in a row, before the server blocks without a busy-poll
BLOCKING_POLLS: Final = 64  # without a busy-poll, before the server tries one again
# How long the server waits for the next batch before it returns to the loop. So with a single
# client the loop does not look at its watchers for each command.
BATCH_WAIT_MS: Final = 1


class Poller:
    """receivable: by descriptor, whether `receive_ready` may receive from it."""

    def __init__(self, memory: MemoryReserve) -> None:
        self._memory = memory
        self.epoll = select.epoll()
        self.receivable = bytearray()
        # > 0: busy-polls that may still fail. < 0: how many polls must still block at once.
        self._busy_polls = FAILED_BUSY_POLLS

    def set_receivable(self, fd: int, receivable: bool) -> None:
        missing = fd + 1 - len(self.receivable)
        if missing > 0:
            self.receivable.extend(bytes(missing))
        self.receivable[fd] = receivable

    def poll(self) -> Events:
        """The events that there are now."""
        return self._receive_ready(0, 1)

    def wait(self, busy: bool) -> Events:
        """Waits up to BATCH_WAIT_MS for events. Busy-polls first, if that is allowed and a recent
        busy-poll succeeded.
        """
        if self._busy_polls > 0 and busy:
            events = self._receive_ready(0, BUSY_POLLS)
            if events:
                self._busy_polls = FAILED_BUSY_POLLS
                return events
            self._busy_polls = self._busy_polls - 1 or -BLOCKING_POLLS
        elif self._busy_polls < 0:
            self._busy_polls = self._busy_polls + 1 or 1
        return self._receive_ready(BATCH_WAIT_MS, 1)

    def _receive_ready(self, timeout_ms: int, polls: int) -> Events:
        try:
            return receive_ready(self.epoll, timeout_ms, polls, self.receivable)
        except MemoryError:
            if not BUILT:
                raise
            self._memory.release()
            return receive_ready(self.epoll, timeout_ms, polls, self.receivable)
