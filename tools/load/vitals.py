"""What a server costs, as the kernel sees it; and that it costs no more than before when nobody
asks for anything.

May know: /proc, a daemon, conversations. Promises: a Fault says what was expected and what is
there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from killtest.conversation import Conversation, put
from killtest.daemon import Daemon
from killtest.world import Fault

PATIENCE_S = 20.0
LOOK_AGAIN_S = 0.05
LOG_FILES = 6  # by which the descriptors of a log may have become more: segments that are prepared
IDLE_TICKS = 2  # in a second of rest
# Memory: so many times what it was; and, since Python gives back only whole MiBs in which nothing
# is left, this part of the most that it ever was, and so much (each thread that allocates has an
# arena of its own).
GROWTH, SHARE, SLACK_BYTES = 1.2, 20, 16 << 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


class Vitals(NamedTuple):
    """sockets: of all descriptors. ticks: of CPU time, since the process began."""

    rss_bytes: int
    most_bytes: int
    descriptors: int
    sockets: int
    ticks: int


def vitals(pid: int) -> Vitals:
    open_files = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            open_files.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    sockets = sum(name.startswith("socket:") for name in open_files)
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
    status = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Vitals(
        resident,
        1024 * int(status[1]) if status else 0,
        len(open_files),
        sockets,
        int(fields[11]) + int(fields[12]),
    )


def await_that(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > give_up_at:
            raise Fault(f"not within {PATIENCE_S:.0f} s: {what()}")
        time.sleep(LOOK_AGAIN_S)


def check_right_answers(daemon: Daemon, times: int = 1) -> None:
    """A fresh client is served as if there were nobody else. It uses a tube of its own."""
    with Conversation(daemon.connect()) as client:
        client.ask(b"use fresh", b"watch fresh", b"ignore default")
        for number in range(times):
            body = b"fresh %d" % number
            (inserted,) = client.ask(put(body))
            id = inserted.id
            said = client.say(b"reserve-with-timeout 5", b"delete %d" % id, b"peek %d" % id)
            if said != [f"RESERVED {id} {len(body)}", "DELETED", "NOT_FOUND"]:
                raise Fault(f"a fresh client is told {said} about job {id}")


def check_at_rest(daemon: Daemon, before: Vitals, said: str = "") -> None:
    """Everybody has gone and left no job. said: a pattern of what may stand on stderr."""
    pid = daemon.process.pid
    check_right_answers(daemon)
    await_that(
        lambda: vitals(pid).sockets == before.sockets,
        lambda: f"{vitals(pid).sockets} sockets, not {before.sockets}",
    )
    _check_counts(daemon)
    await_that(
        lambda: vitals(pid).descriptors <= before.descriptors + LOG_FILES,
        lambda: f"{vitals(pid).descriptors} descriptors, before {before.descriptors}",
    )
    await_that(
        lambda: ticks_of_a_second(pid) <= IDLE_TICKS,
        lambda: f"{ticks_of_a_second(pid)} ticks of CPU in a second of rest",
    )
    check_memory(pid, before)
    if not re.fullmatch(said, daemon.errors()):
        raise Fault(f"stderr: {daemon.errors()!r:.1000}, not {said!r}")


def check_memory(pid: int, before: Vitals) -> None:
    """It is what it was, and a little."""

    def allowed() -> float:
        return GROWTH * before.rss_bytes + vitals(pid).most_bytes / SHARE + SLACK_BYTES

    await_that(
        lambda: vitals(pid).rss_bytes <= allowed(),
        lambda: (
            f"{vitals(pid).rss_bytes / MIB:.1f} MiB, not {allowed() / MIB:.1f}; {before.rss_bytes / MIB:.1f} before"
        ),
    )


def vitals_at_rest(daemon: Daemon) -> Vitals:
    """When nobody is connected any more."""
    with Conversation(daemon.connect()) as client:
        _await_nobody_else(client)
        found = vitals(daemon.process.pid)
    return found._replace(sockets=found.sockets - 1, descriptors=found.descriptors - 1)


def _await_nobody_else(client: Conversation) -> None:
    await_that(lambda: client.stats()["current-connections"] == "1", lambda: client.stats())


def ticks_of_a_second(pid: int) -> int:
    before = vitals(pid).ticks
    time.sleep(1.0)
    return vitals(pid).ticks - before


def _check_counts(daemon: Daemon) -> None:
    """As the server itself counts."""
    with Conversation(daemon.connect()) as client:
        _await_nobody_else(client)
        stats = client.stats()
    left = {
        key: stats[key]
        for key in stats
        if key.startswith("current-jobs-") or key == "current-waiting"
    }
    if set(left.values()) != {"0"}:
        raise Fault(f"jobs or clients that should be gone: {left}")
