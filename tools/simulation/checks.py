"""Looks at a life from outside: its log as a start would find it now, its disk, and what it says
about itself.

May know: the life. Promises: nothing of it changes, but that an observer was there and that it came
to rest.
"""

from __future__ import annotations

import errno

import beanstalkd_wal as wal

from beanstalkd_py.binlog.records import FULL_STRUCT
from beanstalkd_py.binlog.usage import UPDATE_BYTES
from beanstalkd_py.options import SMALLEST_SEGMENT_BYTES

from .clock import MILLISECOND, SECOND
from .disk import MemoryDisk
from .facts import Fault
from .life import DIRECTORY, Life, Options, open_server
from .machine import PLENTY

LENGTH_FIELD = 4
OBSERVER = "observer"


def observe(life: Life) -> str:
    """All that can be asked about, and the shadow knows the answers."""
    shadow = life.shadow
    asked = [b"stats", b"list-tubes", *(b"stats-tube %b" % tube.name for tube in shadow.tubes)]
    asked += [line % id for id in shadow.jobs for line in (b"stats-job %d", b"peek %d")]
    life.server.connect(OBSERVER)
    connection = life.server.connections[OBSERVER]
    for line in asked:
        connection.arrived = line + b"\r\n"
        life.server.read(connection, len(connection.arrived))
    life.server.lose(connection)
    return f"{len(asked)} things are observed"


def kill_now(life: Life) -> str:
    """What a start would find if the process were killed now."""
    log = life.server.log
    all_written = not log.pending and log.written_lsn == log.lsn
    must = life.history.position if all_written else life.server.answered
    return f"killed now, it would come back as after change {_look(life, life.machine.disk.copy(), must)}"


def cut_now(life: Life) -> str:
    """The same for the power; for modes that promise something about that."""
    return f"without power now, it would come back as after change {_look(life, life.machine.disk.after_crash(life.dice), life.durable())}"


def _look(life: Life, disk: MemoryDisk, must: int) -> int:
    disk.capacity = PLENTY
    opened = open_server(
        disk,
        life.clock,
        Options(
            life.options.segment_bytes, wal.Durability.SYNC, 0, False, life.options.max_job_size
        ),
    )
    return life.history.match(opened.facts, must, life.clock.now)


def rest(life: Life) -> str:
    """After a second in which nothing happened: law 5, law 9, and the log's books."""
    log = life.server.log
    lsn = -1
    while lsn != log.lsn:
        lsn = log.lsn
        life.pass_time(SECOND + life.options.sync_ms * MILLISECOND, smoothly=True)
    if not life.shadow.may_refuse:
        _check_proportion(life)
    files = {
        path: len(file.data)
        for path, file in life.machine.disk.names.items()
        if "/torn." not in path
    }
    if log.total_bytes != sum(files.values()):
        raise Fault(f"the log knows of {log.total_bytes} bytes, there are {files}")
    if len(life.machine.disk.handles) > 2 + sum("/spare." in path for path in files):
        raise Fault(f"open: {sorted(life.machine.disk.handles.values())}")
    if life.options.durability is not wal.Durability.NEVER:
        check_claim(life.machine.disk.copy(), log.lsn)
    return f"rests, with {sum(files.values())} bytes on disk"


def check_claim(disk: MemoryDisk, lsn: int) -> None:
    """Law 5: all that is there is said to be durable, and nothing is torn."""
    replay = wal.Replay(DIRECTORY, fs=disk)
    for _ in replay:
        pass
    if replay.torn is not None or (replay.watermark, replay.next_lsn) != (lsn, lsn + 1):
        raise Fault(
            f"{replay.watermark} of {replay.next_lsn - 1} records are claimed, and there are {lsn}; torn: {replay.torn}"
        )


def _check_proportion(life: Life) -> None:
    """Law 9. (Room for four of the largest jobs is on top, see architecture.md; segments that no
    server has hold too much else.)
    """
    size = max([life.options.segment_bytes, *life.server.log.segment_sizes.values()])
    live = sum(
        FULL_STRUCT.size + UPDATE_BYTES + LENGTH_FIELD + len(job.tube.name) + len(job.body)
        for job in life.shadow.jobs.values()
    )
    files = {
        path: len(file.data)
        for path, file in life.machine.disk.names.items()
        if "/torn." not in path
    }
    largest = min(life.talk.largest, live)
    most = 2 * live + 2 * size + 4 * largest + (size if size < SMALLEST_SEGMENT_BYTES else 0)
    if sum(files.values()) > most:
        raise Fault(
            f"{sum(files.values())} bytes on disk for {live} live ones and segments of {size}: {files}"
        )


def is_no_room(error: OSError | wal.LogFailed | wal.LogFull) -> bool:
    return isinstance(error, wal.LogFull) or error.errno == errno.ENOSPC
