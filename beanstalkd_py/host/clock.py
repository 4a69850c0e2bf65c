"""The clock for all instants in memory: boot time, in ns.

Boot time is the monotonic clock plus the time in which the machine was suspended. Nobody can set
it. So a delay of an hour ends after an hour, also if the machine was suspended meanwhile.

Timers of the kernel, and so those of the event loop, do not count suspension. A loop that waits for
an instant must look at this clock again and again.
"""

import time
from collections.abc import Callable
from functools import partial


def _clock() -> Callable[[], int]:
    boot_time = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    try:
        boot_time()
    except OSError:  # some sandboxes do not have this clock
        return time.monotonic_ns
    return boot_time


boot_ns: Callable[[], int] = _clock()


def clock_offset_ns() -> int:
    """Wall clock minus boot time."""
    return time.time_ns() - boot_ns()
