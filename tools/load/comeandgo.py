"""A great many jobs, all there at once and then all gone, again and again.

May know: a daemon, conversations. Promises: every reply is right, and memory is what it was each
time they are gone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from killtest.conversation import Conversation
from killtest.daemon import Daemon
from killtest.world import Fault

from .scale import Scale
from .vitals import GROWTH, MIB, check_memory, vitals

AT_ONCE = 10_000
SETTLE_S = 2.5  # the server looks every 2 s for something to give back
ENOUGH_CYCLES = 6
GROWTH_MIB = 4
BODIES = (1000, 100, 10)  # bytes


def come_and_go(daemon: Daemon, scale: Scale, chance: Random) -> str:
    pid = daemon.process.pid
    before = vitals(pid)
    left = []
    with Conversation(daemon.connect()) as client:
        id = _next_id(client)
        for cycle in range(scale.cycles):
            body = chance.randbytes(BODIES[cycle % len(BODIES)])
            _put(client, range(id, id + scale.jobs), body)
            _reserve_and_delete(client, range(id, id + scale.jobs), body)
            id += scale.jobs
            check_memory(pid, before)
            left.append(_settled(pid) // MIB)
    check_growth(left)
    memory = f"{before.rss_bytes // MIB} MiB before, {vitals(pid).most_bytes // MIB} at most, then {', '.join(map(str, left))}"
    return f"{scale.cycles} x {scale.jobs} jobs ({memory})"


def check_growth(left: Sequence[int]) -> None:
    """left: MiB after each cycle. Which of them leaves a little more behind is chance; that all of
    the later ones do is not.
    """
    half = len(left) // 2
    early, late = left[:half], left[half:]
    if len(left) >= ENOUGH_CYCLES and min(late) > GROWTH * min(early) + GROWTH_MIB:
        raise Fault(f"memory grows from cycle to cycle: {left} MiB")


def _settled(pid: int) -> int:
    """Bytes of memory, when they get no less any more."""
    before = vitals(pid).rss_bytes
    while True:
        time.sleep(SETTLE_S)
        now = vitals(pid).rss_bytes
        if now > before - MIB:
            return now
        before = now


def _next_id(client: Conversation) -> int:
    inserted, _ = client.ask(b"put 0 0 60 0\r\n", b"list-tube-used")
    client.ask(b"delete %d" % inserted.id)
    return inserted.id + 1


def _put(client: Conversation, ids: range, body: bytes) -> None:
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        client.expect(
            b"put 0 0 60 %d\r\n%b\r\n" % (len(body), body) * len(some),
            b"".join([b"INSERTED %d\r\n" % id for id in some]),
        )


def _reserve_and_delete(client: Conversation, ids: range, body: bytes) -> None:
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        client.expect(
            b"".join([b"reserve\r\ndelete %d\r\n" % id for id in some]),
            b"".join(
                [b"RESERVED %d %d\r\n%b\r\nDELETED\r\n" % (id, len(body), body) for id in some]
            ),
        )
