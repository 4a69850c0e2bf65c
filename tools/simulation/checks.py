"""Looks at a run from outside: its log as a start would find it now, its disk, and what it says
about itself.

May know: the run. Promises: nothing of it changes, but that an observer was there and that it came
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
from .machine import PLENTY
from .server_run import DIRECTORY, Options, ServerRun, open_server
from .violation import Violation

LENGTH_FIELD = 4
OBSERVER = "observer"


def observe(run: ServerRun) -> str:
    """All that can be asked about, and the model knows the answers."""
    model = run.model
    asked = [b"stats", b"list-tubes", *(b"stats-tube %b" % tube.name for tube in model.tubes)]
    asked += [line % id for id in model.jobs for line in (b"stats-job %d", b"peek %d")]
    run.server.connect(OBSERVER)
    connection = run.server.connections[OBSERVER]
    for line in asked:
        connection.arrived = line + b"\r\n"
        run.server.read(connection, len(connection.arrived))
    run.server.lose(connection)
    return f"{len(asked)} things are observed"


def kill_now(run: ServerRun) -> str:
    """What a start would find if the process were killed now."""
    log = run.server.log
    all_written = not log.pending and log.written_lsn == log.lsn
    must = run.history.position if all_written else run.server.answered
    return f"killed now, it would come back as after change {_look(run, run.machine.disk.copy(), must)}"


def cut_now(run: ServerRun) -> str:
    """The same for the power; for modes that promise something about that."""
    return f"without power now, it would come back as after change {_look(run, run.machine.disk.after_crash(run.rng), run.durable_position())}"


def _look(run: ServerRun, disk: MemoryDisk, must: int) -> int:
    disk.capacity = PLENTY
    opened = open_server(
        disk,
        run.clock,
        Options(run.options.segment_bytes, wal.Durability.SYNC, 0, False, run.options.max_job_size),
    )
    return run.history.match(opened.contents, must, run.clock.now)


def rest(run: ServerRun) -> str:
    """After a second in which nothing happened: law 5, law 9, and the log's books."""
    log = run.server.log
    lsn = -1
    while lsn != log.lsn:
        lsn = log.lsn
        run.pass_time(SECOND + run.options.sync_ms * MILLISECOND, smoothly=True)
    if not run.model.may_refuse:
        _check_proportion(run)
    files = {
        path: len(file.data)
        for path, file in run.machine.disk.names.items()
        if "/torn." not in path
    }
    if log.total_bytes != sum(files.values()):
        raise Violation(f"the log knows of {log.total_bytes} bytes, there are {files}")
    if len(run.machine.disk.handles) > 2 + sum("/spare." in path for path in files):
        raise Violation(f"open: {sorted(run.machine.disk.handles.values())}")
    if run.options.durability is not wal.Durability.NEVER:
        check_claim(run.machine.disk.copy(), log.lsn)
    return f"rests, with {sum(files.values())} bytes on disk"


def check_claim(disk: MemoryDisk, lsn: int) -> None:
    """Law 5: all that is there is said to be durable, and nothing is torn."""
    replay = wal.Replay(DIRECTORY, fs=disk)
    for _ in replay:
        pass
    if replay.torn is not None or (replay.watermark, replay.next_lsn) != (lsn, lsn + 1):
        raise Violation(
            f"{replay.watermark} of {replay.next_lsn - 1} records are claimed, and there are {lsn}; torn: {replay.torn}"
        )


def _check_proportion(run: ServerRun) -> None:
    """Law 9. (Room for four of the largest jobs is on top, see architecture.md; segments that no
    server has hold too much else.)
    """
    size = max([run.options.segment_bytes, *run.server.log.segment_sizes.values()])
    live = sum(
        FULL_STRUCT.size + UPDATE_BYTES + LENGTH_FIELD + len(job.tube.name) + len(job.body)
        for job in run.model.jobs.values()
    )
    files = {
        path: len(file.data)
        for path, file in run.machine.disk.names.items()
        if "/torn." not in path
    }
    largest = min(run.generator.largest, live)
    most = 2 * live + 2 * size + 4 * largest + (size if size < SMALLEST_SEGMENT_BYTES else 0)
    if sum(files.values()) > most:
        raise Violation(
            f"{sum(files.values())} bytes on disk for {live} live ones and segments of {size}: {files}"
        )


def is_no_room(error: OSError | wal.LogFailed | wal.LogFull) -> bool:
    return isinstance(error, wal.LogFull) or error.errno == errno.ENOSPC
