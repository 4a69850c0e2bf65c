"""The clock of this check is the server's: boot time, here in seconds. If the machine is suspended
during a run, both count it.
"""

from __future__ import annotations

import time


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
