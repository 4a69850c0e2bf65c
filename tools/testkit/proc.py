"""What the kernel says of a process in /proc: state, memory, CPU time, descriptors, ports."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path

from .waiting import wait_until

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
RUNNING, SLEEPING, STOPPED = "R", "S", "T"
LISTENING = "0A"  # the state of a socket in /proc/PID/net/tcp
# Of the fields that `_stat` returns.
STATE, MINOR_FAULTS, USER_TICKS, SYSTEM_TICKS = 0, 7, 11, 12


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat that follow the name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def state(pid: int) -> str:
    return _stat(pid)[STATE]


def page_faults(pid: int) -> int:
    """How often the process got a page of memory without I/O, since its start."""
    return int(_stat(pid)[MINOR_FAULTS])


def cpu_ticks(pid: int) -> tuple[int, int]:
    """User and system time of all threads, since the start."""
    fields = _stat(pid)
    return int(fields[USER_TICKS]), int(fields[SYSTEM_TICKS])


def cpu_s(pid: int) -> float:
    return sum(cpu_ticks(pid)) / TICKS_PER_S


def cpu_ns(pid: int) -> int:
    """The same, in finer steps than ticks, by the scheduler's statistics."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in threads)


def waits(pid: int) -> int:
    """How often its main thread has given up the processor to wait for something."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def peak_bytes(pid: int) -> int:
    """The most memory that was ever resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return 1024 * int(line.split()[1])
    return 0


def descriptors(pid: int) -> list[str]:
    """What each open descriptor refers to, such as a path or `socket:[123]`."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def listening_port(pid: int, table: str = "tcp") -> int:
    """The port that the process listens on, by the kernel's table tcp or tcp6; 0 if there is none
    yet. A table is long if many connections were closed lately, so it is read only for a process
    that has sockets, and only its beginning: listening sockets come first.
    """
    with suppress(FileNotFoundError):  # the process has ended
        sockets = {name for name in descriptors(pid) if name.startswith("socket:")}
        with open(f"/proc/{pid}/net/{table}") if sockets else nullcontext(()) as lines:
            for fields in map(str.split, islice(lines, 1, None)):
                if fields[3] != LISTENING:
                    break
                if f"socket:[{fields[9]}]" in sockets:
                    return int(fields[1].rpartition(":")[2], 16)
    return 0


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process does not run inside the block (SIGSTOP, then SIGCONT)."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state(pid) == STOPPED, "the process is stopped")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
