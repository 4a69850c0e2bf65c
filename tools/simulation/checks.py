"""Checks of a running server from outside: its log as a start would recover it now, its files, and
its answers to queries.

May know: the server run. Promises: a check changes nothing, except that an observer connected and
that `rest` lets time pass.
"""

from __future__ import annotations

import beanstalkd_wal as wal
from beanstalkd_wal.directory import steps_of

from beanstalkd_py.binlog.records import SHORT_STRUCT
from beanstalkd_py.binlog.usage import UPDATE_BYTES
from beanstalkd_py.config.options import SMALLEST_SEGMENT_BYTES

from .clock import MILLISECOND, SECOND
from .disk import MemoryDisk
from .server_run import DIRECTORY, Options, ServerRun, open_server
from .violation import Violation

LENGTH_FIELD = 4
OBSERVER = "observer"


def observe(run: ServerRun) -> str:
    """A client asks for everything that can be asked; the model knows the answers."""
    model = run.model
    asked = [b"stats", b"list-tubes", *(b"stats-tube %b" % tube.name for tube in model.tubes)]
    asked += [line % id for id in model.jobs for line in (b"stats-job %d", b"peek %d")]
    run.server.connect(OBSERVER)
    connection = run.server.connections[OBSERVER]
    for line in asked:
        connection.arrived = line + b"\r\n"
        run.server.read(connection, len(connection.arrived))
    run.server.lose(connection)
    return f"{len(asked)} queries are answered"


def kill_now(run: ServerRun) -> str:
    """Checks what a start would recover if the process were killed now."""
    log = run.server.log
    assert isinstance(log, wal.Log)
    all_written = not log.pending and log.written_lsn == log.lsn
    must = run.history.position if all_written else run.server.answered
    position = _recovered_position(run, run.machine.disk.copy(), must)
    return f"killed now, it would come back as after change {position}"


def cut_now(run: ServerRun) -> str:
    """The same for a power cut. Only for modes that promise something about power cuts."""
    disk = run.machine.disk.after_crash(run.rng)
    position = _recovered_position(run, disk, run.durable_position())
    return f"without power now, it would come back as after change {position}"


def _recovered_position(run: ServerRun, disk: MemoryDisk, must: int) -> int:
    disk.free()
    segment_bytes, max_job_size = run.options.segment_bytes, run.options.max_job_size
    options = Options(segment_bytes, wal.Durability.SYNC, 0, False, max_job_size)
    opened = open_server(disk, run.clock, options)
    return run.history.match(opened.contents, must, run.server.answered, run.clock.now)


def rest(run: ServerRun) -> str:
    """After a second without events: "torn is not corrupt", "the disk stays in proportion", and
    the log's own figures.
    """
    log = run.server.log
    lsn = -1
    while lsn != log.lsn:
        lsn = log.lsn
        run.pass_time(SECOND + run.options.sync_ms * MILLISECOND, smoothly=True)
    if not run.model.may_refuse:
        _check_proportion(run)
    files = _log_files(run)
    if log.total_bytes != sum(files.values()):
        raise Violation(f"the log counts {log.total_bytes} bytes, there are {files}")
    if len(run.machine.disk.handles) > 2 + sum("/spare." in path for path in files):
        raise Violation(f"open: {sorted(run.machine.disk.handles.values())}")
    if run.options.durability is not wal.Durability.NEVER:
        check_watermark(run.machine.disk.copy(), log.lsn)
    return f"rests, with {sum(files.values())} bytes on disk"


def _log_files(run: ServerRun) -> dict[str, int]:
    """The size of each file, except torn tails that were kept aside."""
    names = run.machine.disk.names
    return {path: len(file.data) for path, file in names.items() if "/torn." not in path}


def check_watermark(disk: MemoryDisk, lsn: int) -> None:
    """The log on disk ends at lsn, says that all of it is durable, and has no torn tail."""
    replay = wal.Replay(DIRECTORY, fs=disk)
    for _ in replay:
        pass
    if replay.torn is not None or (replay.watermark, replay.next_lsn) != (lsn, lsn + 1):
        raise Violation(
            f"the watermark is {replay.watermark} of {replay.next_lsn - 1} records, "
            f"and there are {lsn}; torn: {replay.torn}"
        )


def _check_proportion(run: ServerRun) -> None:
    """The files take at most twice the live bytes and two segments, and headroom for four of the
    largest jobs (see docs/architecture.md). Segments below the server's minimum need one more:
    headers take too large a part of them.
    """
    log = run.server.log
    # The active segment may be larger than the others: on a full disk all headroom becomes one.
    size = max([run.options.segment_bytes, log.active_bytes, *log.segment_sizes.values()])
    live = sum(
        SHORT_STRUCT.size + UPDATE_BYTES + LENGTH_FIELD + len(job.tube.name) + len(job.body)
        for job in run.model.jobs.values()
    )
    files = _log_files(run)
    largest = min(run.generator.largest, live)
    most = 2 * live + 2 * size + 4 * largest + (size if size < SMALLEST_SEGMENT_BYTES else 0)
    if sum(files.values()) > most:
        raise Violation(
            f"{sum(files.values())} bytes on disk for {live} live ones and segments of {size}: "
            f"{files}"
        )


def is_disk_full(error: OSError | wal.LogFailed | wal.LogFull) -> bool:
    return isinstance(error, wal.LogFull) or error.errno in wal.DISK_FULL


def check_refused_start(disk: MemoryDisk, segment_bytes: int) -> None:
    """A start on a full disk must use what was set aside."""
    least = 2 * steps_of(segment_bytes)[-1]
    spares = [path for path in disk.names if "/spare." in path]
    sizes = {path: len(disk.names[path].data) for path in spares}
    if any(nbytes >= least for nbytes in sizes.values()):
        raise Violation(f"a start was refused for want of space beside {sizes}")
