"""Lets the C server create a binlog for a take-over, and reads back what it contains.

Afterwards `knowledge` has each job as the C server reads it from these files, and the C server has
ended.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

from testkit.daemon import Daemon

from .audit import Found, find_jobs
from .conversation import Conversation, batches, put
from .fault import Fault
from .knowledge import Knowledge
from .mix import SHARED, priority
from .model import BURIED, start_from

SEGMENT_BYTES = 8192  # creates hundreds of files, so moving them takes some time
LATER_S = 1_000_000


def leave_jobs(program: str, directory: str, knowledge: Knowledge, count: int) -> None:
    """Puts jobs, changes some of them, and kills the server."""
    with _running(program, directory) as server:
        ids = _put(server, knowledge, count)
        deleted = _change(server, knowledge.rng, ids)
    with tempfile.TemporaryDirectory(prefix="c.") as copy:
        for path in Path(directory).glob("binlog.*"):
            shutil.copy(path, copy)
        with _running(program, copy) as server:
            there = find_jobs(server, ids)
    if set(there) != set(ids) - deleted:
        raise Fault(
            f"the C server lost or kept jobs: {sorted(set(ids) - deleted - set(there))[:10]}, "
            f"{sorted(deleted & set(there))[:10]}"
        )
    for found in there.values():
        _adopt(knowledge, found)
    knowledge.highest_id = knowledge.id_at_restart = max(ids)


def _put(server: Conversation, knowledge: Knowledge, count: int) -> list[int]:
    rng = knowledge.rng
    bodies = (knowledge.body(int(rng.random() ** 4 * 3000)) for _ in range(count))
    puts = (put(body, priority(rng), LATER_S if rng.random() < 0.2 else 0, 600) for body in bodies)
    ids = []
    for batch in batches(puts, 200):
        ids += [reply.id for reply in server.ask(b"use " + rng.choice(SHARED), *batch)[1:]]
    return ids


def _change(server: Conversation, rng: Random, ids: Sequence[int]) -> set[int]:
    """Returns the ids of the deleted jobs.

    A release without a delay is not used, because the C server does not record it.
    """
    deleted: set[int] = set()
    commands = []
    for id in ids:
        kind = rng.random()
        if kind < 0.2:
            deleted.add(id)
            commands.append(b"delete %d" % id)
        elif kind < 0.5:
            commands.append(b"reserve-job %d" % id)
            commands.append(
                b"bury %d %d" % (id, priority(rng))
                if kind < 0.35
                else b"release %d %d %d" % (id, priority(rng), LATER_S)
            )
        elif kind < 0.6:
            commands.append(b"kick-job %d" % id)
    for batch in batches(commands):
        server.ask(*batch)
    return deleted


def _adopt(knowledge: Knowledge, found: Found) -> None:
    looked = found.job_stats
    if looked.where == BURIED:  # the C server counts a bury again at each start
        looked = looked._replace(buries=looked.buries - 1)
    job = knowledge.met(found.id, found.body)
    job.tube = found.tube
    job.ttr = found.ttr
    job.created_from = looked.asked_at - found.age - 1
    job.created_to = looked.answered_at - found.age
    job.start = start_from(looked)
    knowledge.pool(job.tube).add(job.id)


@contextmanager
def _running(program: str, directory: str) -> Iterator[Conversation]:
    """The C server; it is killed at the end."""
    options = ("-s", str(SEGMENT_BYTES))
    with (
        tempfile.TemporaryDirectory(prefix="c.") as folder,
        Daemon(options, f"unix:{folder}/socket", directory=directory, program=(program,)) as daemon,
        Conversation(daemon.start().connect()) as server,
    ):
        yield server
