"""Puts a large number of jobs, then reserves and deletes all of them, for several cycles.

Every reply is checked. After each cycle the server must have returned the memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from killtest.conversation import Conversation
from killtest.fault import Fault
from testkit.daemon import Daemon

from .process_metrics import GROWTH, MIB, check_memory, process_metrics
from .scale import Scale

BATCH = 10_000
SETTLE_S = 2.5  # the server returns free memory every 2 s
MIN_CYCLES = 6
GROWTH_MIB = 4
BODIES = (1000, 100, 10)  # bytes


def job_cycles(daemon: Daemon, scale: Scale, rng: Random) -> str:
    pid = daemon.process.pid
    before = process_metrics(pid)
    left = []
    with Conversation(daemon.connect()) as client:
        id = _next_id(client)
        for cycle in range(scale.cycles):
            body = rng.randbytes(BODIES[cycle % len(BODIES)])
            _put(client, range(id, id + scale.jobs), body)
            _reserve_and_delete(client, range(id, id + scale.jobs), body)
            id += scale.jobs
            check_memory(pid, before)
            left.append(_settled(pid) // MIB)
    check_growth(left)
    memory = (
        f"{before.rss_bytes // MIB} MiB before, peak {process_metrics(pid).peak_rss_bytes // MIB}, "
        f"after each cycle {', '.join(map(str, left))}"
    )
    return f"{scale.cycles} x {scale.jobs} jobs ({memory})"


def check_growth(left: Sequence[int]) -> None:
    """left: MiB after each cycle.

    A single cycle may leave a little more by chance. If all later cycles do, memory leaks.
    """
    half = len(left) // 2
    early, late = left[:half], left[half:]
    if len(left) >= MIN_CYCLES and min(late) > GROWTH * min(early) + GROWTH_MIB:
        raise Fault(f"memory grows from cycle to cycle: {left} MiB")


def _settled(pid: int) -> int:
    """Bytes of memory, once they no longer shrink."""
    before = process_metrics(pid).rss_bytes
    while True:
        time.sleep(SETTLE_S)
        now = process_metrics(pid).rss_bytes
        if now > before - MIB:
            return now
        before = now


def _next_id(client: Conversation) -> int:
    inserted, _ = client.ask(b"put 0 0 60 0\r\n", b"list-tube-used")
    client.ask(b"delete %d" % inserted.id)
    return inserted.id + 1


def _put(client: Conversation, ids: range, body: bytes) -> None:
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        client.expect(
            b"put 0 0 60 %d\r\n%b\r\n" % (len(body), body) * len(some),
            b"".join([b"INSERTED %d\r\n" % id for id in some]),
        )


def _reserve_and_delete(client: Conversation, ids: range, body: bytes) -> None:
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        client.expect(
            b"".join([b"reserve\r\ndelete %d\r\n" % id for id in some]),
            b"".join(
                [b"RESERVED %d %d\r\n%b\r\nDELETED\r\n" % (id, len(body), body) for id in some]
            ),
        )
