"""Logs that the queue and its binlog write under random commands, on a disk in memory.

Any files can be placed on such a disk.
"""

from __future__ import annotations

from random import Random

import beanstalkd_wal as wal
from simulation.disk import File, MemoryDisk
from testkit.memory import allocate_except_probes
from testkit.queue_server import QueueServer

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.records import IMPORT_BEGIN, IMPORT_END, Import, encode
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.schedules import record_run

SECOND = 1_000_000_000
START = 1000 * SECOND
WALL = 1_700_000_000 * SECOND  # wall clock minus boot time
# In 1883, and in 2231, where the largest delay ends beyond 64 bits.
FAR_WALLS = (-(1 << 61) - (1 << 58), 8_250_000_000 * SECOND)
SEGMENT_BYTES = 4096
DIRECTORY = "/log"

Files = dict[str, bytes]  # name -> content


def disk_of(files: Files) -> MemoryDisk:
    disk = MemoryDisk()
    disk.names = {f"{DIRECTORY}/{name}": File(data) for name, data in files.items()}
    disk.synced_names = dict(disk.names)
    return disk


def files_of(disk: MemoryDisk) -> Files:
    """All files, except the lock and spares."""
    names = {path.rpartition("/")[2]: file for path, file in disk.names.items()}
    return {
        name: bytes(file.data)
        for name, file in sorted(names.items())
        if not name.startswith(("spare", "lock"))
    }


def opened(
    disk: MemoryDisk,
    now: int = START,
    durability: wal.Durability = wal.Durability.SYNC,
    wall: int = WALL,
) -> tuple[Queue, Binlog]:
    server = QueueServer(
        DIRECTORY, now=now, wall=wall, segment_bytes=SEGMENT_BYTES, durability=durability, fs=disk
    )
    server.queue.memory.allocate = allocate_except_probes
    return server.queue, server.binlog


def make_log(rng: Random) -> Files:
    """Some segments with jobs in all states, pauses, dead records, and a clean or unclean end."""
    disk = MemoryDisk(rng.randrange(1 << 30))
    durability = rng.choice((wal.Durability.SYNC, wal.Durability.SYNC, wal.Durability.NEVER))
    now = START
    for _ in range(rng.choice((1, 1, 2))):
        wall = rng.choice((WALL, WALL, WALL, *FAR_WALLS))
        queue, binlog = opened(disk, now, durability, wall)
        if not queue.jobs and rng.random() < 0.2:
            _as_taken_over(queue, binlog)
        session = Session(Dispatcher(queue, max_job_size=3000, log=binlog.snapshot))
        if rng.random() < 0.3:
            record_run(queue, b"nightly", rng.choice((0, 1, 1_700_000_000)))
        for _ in range(rng.choice((5, 20, 60))):
            now += rng.choice((1, SECOND // 2, SECOND))
            queue.tick(now)
            session.receive(
                b"".join(command(rng, queue.next_id) for _ in range(rng.choice((1, 1, 5)))), now
            )
            session.take_output()
            binlog.end_iteration(now, now + wall)
        if rng.random() < 0.5:
            binlog.close(now + wall)
        disk.after_kill()
    return files_of(disk)


def _as_taken_over(queue: Queue, binlog: Binlog) -> None:
    """The log starts like one that was taken over from the C server."""
    for phase in (IMPORT_BEGIN, IMPORT_END):
        files = b'[["binlog.1", 4096, 1700000000000000000]]'
        text = b'{"folder": "beanstalkd-binlog-2026", "files": %b}' % files
        binlog.log.append(encode(Import(phase, text)))


def command(rng: Random, next_id: int) -> bytes:
    """A command that usually has an effect."""
    id, tube = rng.randrange(1, next_id + 1), rng.choice((b"default", b"a", b"some-longer.name"))
    pri, delay = rng.choice((0, 1024, 4294967295)), rng.choice((0, 0, 3, 100000))
    body = rng.randbytes(rng.choice((0, 1, 1, 20, 20, 300, rng.randrange(2000))))
    put = b"put %d %d %d %d\r\n%b\r\n" % (
        pri,
        delay,
        rng.choice((1, 60, 4294967295)),
        len(body),
        body,
    )
    settings = rng.choice((b"key=k", b"key=%d until=reserve" % id, b"expire=3 attempts=1"))
    put_with = b"put-with %d %d 60 %d %b tube=%b\r\n%b\r\n" % (
        *(pri, delay, len(body)),
        *(settings, tube, body),
    )
    held = [
        b"release %d %d %d\r\n" % (id, pri, delay),
        b"bury %d %d\r\n" % (id, pri),
        b"touch %d\r\n" % id,
    ]
    others = [
        b"delete %d\r\n" % id, b"kick-job %d\r\n" % id, b"kick 3\r\n",
        b"use %b\r\n" % tube, b"watch %b\r\n" % tube,
        b"pause-tube %b %d\r\n" % (tube, rng.choice((0, 5, 1000))),
        b"move-job %d %b\r\n" % (id, tube),
        b"set-tube %b dead-tube=a max-attempts=%d\r\n" % (tube, rng.choice((0, 1))),
        b"set-tube %b max-jobs=%d max-bytes=9999\r\n" % (tube, rng.choice((0, 20))),
    ]  # fmt: skip
    reserve = [b"reserve-with-timeout 0\r\n", b"reserve-job %d\r\n" % id]
    return rng.choice(
        [
            put,
            put,
            put,
            put_with,
            rng.choice(reserve),
            b"reserve-job %d\r\n" % id + rng.choice(held),
            rng.choice(others),
        ]
    )


def exercise(queue: Queue, binlog: Binlog, now: int) -> int:
    """Sends every command to the queue; none may raise. Returns the time afterwards."""
    dispatcher = Dispatcher(queue, max_job_size=3000, log=binlog.snapshot)
    session = Session(dispatcher)
    lines = [b"stats", b"list-tubes", b"put 0 0 1 1\r\nx", b"put 0 5 1 1\r\ny"]
    words = (b"stats-job", b"peek", b"kick-job", b"reserve-job", b"touch", b"stats-job")
    lines += [b"%b %d" % (word, id) for id in [*queue.jobs][:4] for word in words]
    lines += [b"release %d 5 %d" % (id, id % 3) for id in [*queue.jobs][:4:2]] + [
        b"bury %d 5" % id for id in [*queue.jobs][1:4:2]
    ]
    for tube in queue.tube_list[:3]:
        lines += [
            b"use " + tube.name,
            b"watch " + tube.name,
            b"stats-tube " + tube.name,
            b"peek-ready",
            b"peek-delayed",
            b"peek-buried",
            b"kick 2",
        ]
        lines += [b"pause-tube %b 1" % tube.name]
    lines += (
        [b"reserve-with-timeout 0"] * 3
        + [b"delete %d" % id for id in [*queue.jobs][:3]]
        + [b"stats", b"reserve-with-timeout 2"]
    )
    for line in lines:
        session.receive(line + b"\r\n", now)
        Session.settle(dispatcher, now)
        session.take_output()
        binlog.end_iteration(now, now + WALL)
        now += SECOND // 10
        queue.tick(now)
    session.lost(now)
    Session.settle(dispatcher, now)
    binlog.end_iteration(now, now + WALL)
    return now
