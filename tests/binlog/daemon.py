"""A queue on its binlog with sessions, a fake clock, no threads and no sockets."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import beanstalkd_wal as wal
from testkit import queue_server
from testkit.queue_server import QueueServer

from beanstalkd_py.binlog import records
from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.model import DELAYED, READY, RESERVED
from beanstalkd_py.queue.queue import Queue

S = queue_server.SECOND
WALL = queue_server.WALL
SEGMENT = queue_server.SEGMENT_BYTES


class Daemon(QueueServer):
    """A queue with its binlog and some sessions on a fake clock, without threads or sockets."""

    def turn(self, session: Session | None = None) -> bytes:
        output = self.iterate()
        return output[session] if session is not None else b""

    def rest(self) -> None:
        """Iterations until compaction has caught up."""
        for _ in range(10_000):
            if not self.commit():
                return
        raise AssertionError("compaction never comes to rest")

    def restarted(self, directory: Path, **changes: Any) -> Daemon:
        """A start on the files as they are now, as after SIGKILL."""
        again = Daemon(directory, **{"now": self.now, "wall": self.wall, **changes})
        again.queue.tick(again.now)
        return again


def survivors(queue: Queue, now: int) -> dict[int, tuple[object, ...]]:
    """What a restart must restore of each job. Reserved jobs are ready then, and so are delayed
    jobs whose time has passed.
    """
    kept = {}
    for job in queue.jobs.values():
        ready = job.state == RESERVED or (job.state == DELAYED and job.deadline_at <= now)
        state = READY if ready else job.state
        kept[job.id] = (
            job.tube.name, state, job.pri, job.delay, job.ttr, job.body, job.created_at,
            0 if state == READY else job.deadline_at,
            job.timeouts, job.releases, job.buries, job.kicks,
        )  # fmt: skip
    return kept


def buried(queue: Queue) -> dict[bytes, list[int]]:
    return {tube.name: list(tube.buried) for tube in queue.tube_list if tube.buried}


def live_bytes(queue: Queue) -> int:
    """Live bytes, counted from the jobs alone."""
    total = 0
    for job in queue.jobs.values():
        total += job.full_segment.kept(job)
        total += (4 + records.UPDATE_STRUCT.size) * (job.update_segment is not None)
    return total


def one_command(random: random.Random, daemon: Daemon, ids: int) -> tuple[bytes, bytes | None]:
    id = b"%d" % random.randint(1, ids)
    pri = b"%d" % random.choice((0, 5, 1024, 4294967295))
    delay = b"%d" % random.choice((0, 0, 1, 100))
    kind = random.randrange(12)
    if kind < 3:
        body = random.randbytes(random.choice((0, 1, 50, 3000)))
        return b"put %b %b %d %d" % (pri, delay, random.choice((1, 60)), len(body)), body
    line = {
        3: b"reserve-with-timeout 0",
        4: b"delete " + id,
        5: b"release %b %b %b" % (id, pri, delay),
        6: b"bury %b %b" % (id, pri),
        7: b"kick %d" % random.randint(0, 3),
        8: b"kick-job " + id,
        9: b"reserve-job " + id,
        10: b"pause-tube %b %d"
        % (random.choice((b"default", b"a", b"b")), random.choice((0, 5, 1000))),
        11: b"use " + random.choice((b"default", b"a", b"b")),
    }[kind]
    return line, None


def append(directory: Path, *data: bytes, meta: bytes = encode_meta(1)) -> None:
    """Appends records that no server of this version would write."""
    replay = wal.Replay(directory)
    for _ in replay:
        pass
    log = wal.Log.open(replay, segment_bytes=SEGMENT, meta=lambda: meta, threaded=False)
    for record in data:
        log.append(record)
    log.commit(0)
    log.close(0)


def churn(daemon: Daemon) -> Iterator[None]:
    """Puts and deletes ten large jobs per step beside many small ones, so that compaction has work.
    The caller ends the iterations.
    """
    session = daemon.session()
    session.receive(b"put 0 0 60 1\r\nx\r\n" * 40_000, daemon.now)
    while True:
        session.receive(b"put 0 0 60 10000\r\n%b\r\n" % bytes(10_000) * 10, daemon.now)
        yield
        session.take_output()
        last = daemon.queue.next_id
        session.receive(
            b"".join(b"delete %d\r\n" % id for id in range(last - 10, last)), daemon.now
        )
