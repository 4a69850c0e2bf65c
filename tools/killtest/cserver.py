"""The C server, made to leave a binlog for a take-over; and what it makes of that binlog itself.

May know: the C server's command line, conversations, the world. Promises: afterwards the world
knows each job as the C server reads it back from the files that lie in the directory; the C server
is gone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from testkit.daemon import Daemon

from .audit import Found, look
from .conversation import Conversation, batches, put
from .mix import SHARED, priority
from .model import BURIED, start_from
from .world import Fault, World

SEGMENT_BYTES = 8192  # hundreds of files: it takes a moment to move them
LATER_S = 1_000_000


def leave_jobs(program: str, directory: str, world: World, count: int) -> None:
    """Puts so many jobs, does this and that to them, and kills the server."""
    with _running(program, directory) as server:
        ids = _put(server, world, count)
        gone = _change(server, world.chance, ids)
    with tempfile.TemporaryDirectory(prefix="c.") as copy:
        for path in Path(directory).glob("binlog.*"):
            shutil.copy(path, copy)
        with _running(program, copy) as server:
            there = look(server, ids)
    if set(there) != set(ids) - gone:
        raise Fault(
            f"the C server lost jobs itself: {sorted(set(ids) - gone - set(there))[:10]}, {sorted(gone & set(there))[:10]}"
        )
    for found in there.values():
        _adopt(world, found)
    world.highest_id = world.id_at_restart = max(ids)


def _put(server: Conversation, world: World, count: int) -> list[int]:
    chance = world.chance
    bodies = (world.body(int(chance.random() ** 4 * 3000)) for _ in range(count))
    puts = (
        put(body, priority(chance), LATER_S if chance.random() < 0.2 else 0, 600) for body in bodies
    )
    ids = []
    for batch in batches(puts, 200):
        ids += [reply.id for reply in server.ask(b"use " + chance.choice(SHARED), *batch)[1:]]
    return ids


def _change(server: Conversation, chance: Random, ids: Sequence[int]) -> set[int]:
    """Returns the ids of the jobs that are deleted. (A release without a delay is left out: the C
    server does not write it down.)
    """
    gone: set[int] = set()
    commands = []
    for id in ids:
        kind = chance.random()
        if kind < 0.2:
            gone.add(id)
            commands.append(b"delete %d" % id)
        elif kind < 0.5:
            commands.append(b"reserve-job %d" % id)
            commands.append(
                b"bury %d %d" % (id, priority(chance))
                if kind < 0.35
                else b"release %d %d %d" % (id, priority(chance), LATER_S)
            )
        elif kind < 0.6:
            commands.append(b"kick-job %d" % id)
    for batch in batches(commands):
        server.ask(*batch)
    return gone


def _adopt(world: World, found: Found) -> None:
    looked = found.seen
    if looked.where == BURIED:  # it counts the bury that it reads once more
        looked = looked._replace(buries=looked.buries - 1)
    job = world.met(found.id, found.body)
    job.tube = found.tube
    job.ttr = found.ttr
    job.created_from = looked.asked_at - found.age - 1
    job.created_to = looked.answered_at - found.age
    job.start = start_from(looked)
    world.pool(job.tube).add(job.id)


@contextmanager
def _running(program: str, directory: str) -> Iterator[Conversation]:
    """Killed at the end, like everything here."""
    options = ("-s", str(SEGMENT_BYTES))
    with (
        tempfile.TemporaryDirectory(prefix="c.") as folder,
        Daemon(options, f"unix:{folder}/socket", directory=directory, program=(program,)) as daemon,
        Conversation(daemon.start().connect()) as server,
    ):
        yield server
