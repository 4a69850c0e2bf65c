"""Facts about this process and its machine, as the operating system gives them."""

import os
import resource
from typing import NamedTuple


class Facts(NamedTuple):
    """Facts that stay the same while the process runs."""

    pid: int
    hostname: str
    os: str  # version of the kernel
    platform: str  # kind of machine


def facts() -> Facts:
    system = os.uname()
    return Facts(os.getpid(), system.nodename, system.version, system.machine)


def cpu_seconds() -> tuple[float, float]:
    """User and system time of the process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime
