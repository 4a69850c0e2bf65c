"""Memory, descriptors and CPU time of a server process, read from /proc; and checks that an idle
server does not use more of them than before.

A Fault names the expected and the actual value.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

from killtest.conversation import Conversation, put
from killtest.fault import Fault
from testkit import proc, waiting
from testkit.daemon import Daemon

TIMEOUT_S = waiting.HANG_S
POLL_S = 0.05
LOG_FILES = 6  # further descriptors that a log may use, for preallocated segments
IDLE_TICKS = 2  # CPU ticks that an idle server may use per second
# Memory may grow by GROWTH, plus a share (1/PEAK_DIVISOR) of the peak, because Python returns only
# empty arenas to the system, plus SLACK_BYTES, because each allocating thread has its own arena.
GROWTH, PEAK_DIVISOR, SLACK_BYTES = 1.2, 20, 16 << 20
MIB = 1 << 20


class ProcessMetrics(NamedTuple):
    """sockets: how many of the descriptors. ticks: CPU time since the start of the process."""

    rss_bytes: int
    peak_rss_bytes: int
    descriptors: int
    sockets: int
    ticks: int


def process_metrics(pid: int) -> ProcessMetrics:
    open_files = proc.descriptors(pid)
    return ProcessMetrics(
        proc.resident_bytes(pid),
        proc.peak_bytes(pid),
        len(open_files),
        sum(name.startswith("socket:") for name in open_files),
        sum(proc.cpu_ticks(pid)),
    )


def wait_until(condition: Callable[[], bool], actual: Callable[[], object]) -> None:
    """Raises Fault with the actual state if the condition does not become true in time."""
    waiting.wait_until(condition, actual, TIMEOUT_S, POLL_S, Fault)


def check_serves(daemon: Daemon, times: int = 1) -> None:
    """A new client is served correctly. It uses a tube of its own."""
    with Conversation(daemon.connect()) as client:
        client.ask(b"use fresh", b"watch fresh", b"ignore default")
        for number in range(times):
            body = b"fresh %d" % number
            (inserted,) = client.ask(put(body))
            id = inserted.id
            received = client.say(b"reserve-with-timeout 300", b"delete %d" % id, b"peek %d" % id)
            if received != [f"RESERVED {id} {len(body)}", "DELETED", "NOT_FOUND"]:
                raise Fault(f"a new client receives {received} for job {id}")


def check_idle(daemon: Daemon, before: ProcessMetrics, stderr: str = "") -> None:
    """All clients have gone and left no job. stderr: pattern of the messages that are allowed."""
    pid = daemon.process.pid
    check_serves(daemon)
    wait_until(
        lambda: process_metrics(pid).sockets == before.sockets,
        lambda: f"{process_metrics(pid).sockets} sockets, not {before.sockets}",
    )
    _check_counts(daemon)
    wait_until(
        lambda: process_metrics(pid).descriptors <= before.descriptors + LOG_FILES,
        lambda: f"{process_metrics(pid).descriptors} descriptors, before {before.descriptors}",
    )
    wait_until(
        lambda: ticks_per_second(pid) <= IDLE_TICKS,
        lambda: f"{ticks_per_second(pid)} ticks of CPU in an idle second",
    )
    check_memory(pid, before)
    if not re.fullmatch(stderr, daemon.errors()):
        raise Fault(f"stderr: {daemon.errors()!r:.1000}, not {stderr!r}")


def check_memory(pid: int, before: ProcessMetrics) -> None:
    """Memory is about the same as before."""

    def allowed() -> float:
        return (
            GROWTH * before.rss_bytes
            + process_metrics(pid).peak_rss_bytes / PEAK_DIVISOR
            + SLACK_BYTES
        )

    wait_until(
        lambda: process_metrics(pid).rss_bytes <= allowed(),
        lambda: (
            f"{process_metrics(pid).rss_bytes / MIB:.1f} MiB, not {allowed() / MIB:.1f}; "
            f"{before.rss_bytes / MIB:.1f} before"
        ),
    )


def idle_metrics(daemon: Daemon) -> ProcessMetrics:
    """The metrics after all clients have disconnected."""
    with Conversation(daemon.connect()) as client:
        _wait_until_alone(client)
        metrics = process_metrics(daemon.process.pid)
    return metrics._replace(sockets=metrics.sockets - 1, descriptors=metrics.descriptors - 1)


def _wait_until_alone(client: Conversation) -> None:
    wait_until(lambda: client.stats()["current-connections"] == "1", lambda: client.stats())


def ticks_per_second(pid: int) -> int:
    before = process_metrics(pid).ticks
    time.sleep(1.0)
    return process_metrics(pid).ticks - before


def _check_counts(daemon: Daemon) -> None:
    """The counters of the server show no job and no waiting client."""
    with Conversation(daemon.connect()) as client:
        _wait_until_alone(client)
        stats = client.stats()
    left = {
        key: stats[key]
        for key in stats
        if key.startswith("current-jobs-") or key == "current-waiting"
    }
    if set(left.values()) != {"0"}:
        raise Fault(f"jobs or waiting clients are left: {left}")
