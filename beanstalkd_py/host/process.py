"""Facts about this process and its machine, as the operating system gives them."""

import os
import resource
import time
from contextlib import suppress
from typing import NamedTuple

START_DESCRIPTORS = 12  # that a start needs, after it listens, to serve one client
SPARE_DESCRIPTORS = 16  # that no connection may use
HTTP_DESCRIPTORS = 104  # with --http, but at most a quarter of all descriptors
LOG_DESCRIPTORS = 64  # the same with a log, but at most a quarter of all descriptors
_START_TIME = 19  # of the fields in /proc/PID/stat after the name: since boot, in clock ticks


def fill_standard_descriptors() -> None:
    """Opens /dev/null as descriptor 0, 1 or 2 if it is closed. Otherwise a socket or a file of the
    log would get this number, and printed text would be written to it.
    """
    with suppress(OSError):
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(fd)


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


def age_s() -> float:
    """How long ago this process was started, in steps of 10 ms; 0 without /proc."""
    try:
        with open("/proc/self/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    started_s = int(fields[_START_TIME]) / os.sysconf("SC_CLK_TCK")
    return round(max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s), 2)


def require_descriptors(count: int) -> None:
    """Raises OSError if the process cannot have so many more."""
    held: list[int] = []
    try:
        for _ in range(count):
            held.append(os.dup(0))
    finally:
        for descriptor in held:
            os.close(descriptor)


def max_connections(logged: bool, http: bool) -> int:
    """The number of all descriptors, less those that the process itself needs. So neither accept()
    nor the log runs out of descriptors.

    The log keeps each preallocated segment open: 2 or 3 at the default size, dozens if segments are
    small and jobs are large.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    except (ValueError, OSError):
        pass  # some systems refuse their own hard limit: the soft limit stays
    try:
        in_use = len(os.listdir("/proc/self/fd"))
    except OSError:
        in_use = 8  # without /proc: an estimate that is a little too high
    spare = max(SPARE_DESCRIPTORS, min(LOG_DESCRIPTORS, soft // 4)) if logged else SPARE_DESCRIPTORS
    spare += min(HTTP_DESCRIPTORS, soft // 4) if http else 0
    return max(1, soft - in_use - spare)
