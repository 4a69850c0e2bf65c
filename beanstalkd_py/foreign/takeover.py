"""The way in from beanstalkd and the way back: the C server's binlog files into a log of ours, and
a log's jobs into such files.

A take-over reads `binlog.N` in DIR, writes every job into our own log between two IMPORT records,
syncs it, and only then moves the old files into `DIR/beanstalkd-binlog-DATE/`. None is ever
deleted. Killed before the second IMPORT record is on disk: the old files are whole and in place,
and the next start begins anew (its first IMPORT record voids what was written). Killed after it:
the log is whole, and the next start moves what is left to move. The record names the files by size
and time, so that files which the C server has written to since are not taken for those.
"""

import json
import os
import re
from collections.abc import Callable, Iterable

import beanstalkd_wal as wal

from beanstalkd_py.binlog import records
from beanstalkd_py.binlog.opening import Unreadable, apply_all
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.foreign import cbinlog
from beanstalkd_py.foreign.cbinlog import CJob
from beanstalkd_py.queue.model import BURIED, DELAYED, RESERVED, Job
from beanstalkd_py.queue.state import State

COMMIT_BYTES = 1 << 20
_OLD_FILE = re.compile(r"binlog\.-?\d*")

Report = Callable[[str], None]
Progress = Callable[[int, int], None]


class DamagedImport(Exception):
    """The C server's files are damaged; nothing was changed. One line for each damage, and one that
    says what to do.
    """

    def __init__(self, lines: list[str]) -> None:
        super().__init__(*lines)
        self.lines = lines


def needed(directory: str) -> bool:
    """Whether the C server left binlog files there."""
    return any(map(_OLD_FILE.fullmatch, os.listdir(directory)))


def take_over(
    directory: str,
    *,
    segment_bytes: int,
    wall_now: int,
    date: str,
    accept_damaged: bool,
    report: Report,
    progress: Progress = lambda done, total: None,
) -> None:
    """Makes our own the jobs of the C server's files in `directory`, which is locked and of which
    `needed` says so.

    wall_now: wall clock, ns. date: of the folder that the files go to. Raises DamagedImport,
    Unreadable, and what opening a log raises.
    """
    known = _Known(directory)
    present = _manifest(directory)
    if known.finished and all(entry in known.files for entry in present):
        folder = known.folder
        report("the take-over of beanstalkd's binlog goes on: its jobs are in the log already")
    else:
        folder = _new_folder(directory, date)
        read_into(
            directory,
            directory,
            known,
            {"folder": folder, "files": present},
            segment_bytes,
            wall_now,
            accept_damaged,
            report,
            progress,
        )
    _move(directory, folder, [name for name, _, _ in present])
    report(f"beanstalkd's binlog files are kept in {os.path.join(directory, folder)}")


def bring_in(
    source: str,
    directory: str,
    *,
    segment_bytes: int,
    wall_now: int,
    accept_damaged: bool,
    report: Report,
    progress: Progress = lambda done, total: None,
) -> int:
    """The same from another directory, whose files stay where they are. Returns the number of jobs."""
    return read_into(
        source,
        directory,
        _Known(directory),
        {},
        segment_bytes,
        wall_now,
        accept_damaged,
        report,
        progress,
    )


class _Known:
    """What our own log in a directory holds already."""

    def __init__(self, directory: str) -> None:
        self.replay = wal.Replay(directory)
        replayer = Replayer(State(), Usage(), 0)
        self.next_id = apply_all(self.replay, replayer, lambda line: None, lambda done, total: None)
        self.jobs = len(replayer.state.jobs)
        self.finished = bool(replayer.imported) and not replayer.importing
        try:
            self.folder, self.files = _remembered(replayer.imported)
        except (ValueError, RecursionError) as error:
            raise Unreadable(
                f"{directory}: what the log says of a take-over cannot be understood: {error}"
            ) from error


def _remembered(text: bytes) -> tuple[str, list[list[object]]]:
    """The folder that the old files go to, and what is known of each of them. Raises ValueError."""
    manifest = json.loads(text or b"{}")
    if not isinstance(manifest, dict):
        raise ValueError(f"{manifest!r:.50}")
    folder, files = manifest.get("folder", ""), manifest.get("files", [])
    if (
        not isinstance(folder, str)
        or os.path.basename(folder) != folder
        or not isinstance(files, list)
    ):
        raise ValueError(f"{manifest!r:.50}")
    return folder, files


def read_into(
    source: str,
    directory: str,
    known: _Known,
    manifest: dict[str, object],
    segment_bytes: int,
    wall_now: int,
    accept_damaged: bool,
    report: Report,
    progress: Progress,
) -> int:
    """The jobs of the C server's files in `source`, into the log in `directory`, durably. Returns
    their number.
    """
    if known.jobs:
        raise Unreadable(
            f"{directory}: a log with {known.jobs} jobs is there already, so beanstalkd's binlog files cannot be taken over into it"
        )
    found = cbinlog.read_directory(source, progress)
    lines = [str(damage) for damage in found.damages]
    if found.maybe_deleted:
        lines.append(
            f"jobs that may have been deleted behind the damage, and are kept: {_some(found.maybe_deleted)}"
        )
    if found.damaged and not accept_damaged:
        raise DamagedImport(
            [
                *lines,
                f"{source}: beanstalkd's binlog is damaged; --accept-damaged-import takes over what can be read",
            ]
        )
    for line in lines:
        report(line)
    next_id = max(found.next_id, known.next_id)
    log = wal.Log.open(
        known.replay,
        segment_bytes=segment_bytes,
        meta=lambda: records.encode_meta(next_id),
        at=wall_now,
        threaded=False,
    )
    try:
        _write(log, found.jobs, manifest, wall_now)
    finally:
        log.close(wall_now)
    report(f"{len(found.jobs)} jobs taken over from {len(found.files)} binlog files of beanstalkd")
    return len(found.jobs)


def _write(log: wal.Log, jobs: Iterable[CJob], manifest: dict[str, object], wall_now: int) -> None:
    text = json.dumps(manifest).encode()
    pending = 0
    buried = 0
    _append(log, records.Import(records.IMPORT_BEGIN, text))
    for job in jobs:
        buried += job.state == BURIED
        pending += _append(log, full_record(job, buried))
        if pending > COMMIT_BYTES:
            log.commit(wall_now)
            pending = 0
    _append(log, records.Import(records.IMPORT_END, text))
    log.commit(wall_now)


def _append(log: wal.Log, record: records.Record) -> int:
    data = records.encode(record)
    if not log.ensure_headroom(len(data)):
        raise wal.LogFull(len(data), log.headroom)
    log.append(data)
    return len(data)


def full_record(job: CJob, place: int) -> records.Full:
    """`place`: a buried job's in the order of burying."""
    deadline_at = {BURIED: place, DELAYED: job.deadline_at_ns}.get(job.state, 0)
    return records.Full(
        job.state, job.pri, job.id, job.delay_ns, job.ttr_ns, job.created_at_ns, deadline_at,
        job.reserves, job.timeouts, job.releases, job.buries, job.kicks, job.tube, job.body,
    )  # fmt: skip


def c_job(job: Job, offset: int, body: bytes) -> CJob:
    """A job of ours as the C server knows them. offset: wall clock minus monotonic clock, ns."""
    return CJob(
        job.id, job.tube.name, job.state, job.pri, job.delay, job.ttr, job.created_at + offset,
        job.deadline_at + offset if job.state in (DELAYED, RESERVED) else 0,
        job.reserves, job.timeouts, job.releases, job.buries, job.kicks, body,
    )  # fmt: skip


def in_export_order(state: State) -> Iterable[Job]:
    """By id; then the buried ones, tube by tube in the order of burying, since the C server goes by
    the order in which it finds them.
    """
    for id in sorted(state.jobs):
        if state.jobs[id].state != BURIED:
            yield state.jobs[id]
    buried = [job for tube in state.tube_list for job in tube.buried.values()]
    yield from sorted(buried, key=lambda job: job.deadline_at)


def _manifest(directory: str) -> list[list[object]]:
    """Name, size and time of each of the C server's files."""
    entries: list[list[object]] = []
    for name in sorted(filter(_OLD_FILE.fullmatch, os.listdir(directory))):
        found = os.stat(os.path.join(directory, name))
        entries.append([name, found.st_size, found.st_mtime_ns])
    return entries


def _new_folder(directory: str, date: str) -> str:
    """A name that nothing has yet."""
    name = f"beanstalkd-binlog-{date}"
    tries = 1
    folder = name
    while os.path.exists(os.path.join(directory, folder)):
        tries += 1
        folder = f"{name}-{tries}"
    return folder


def _move(directory: str, folder: str, names: list[object]) -> None:
    target = os.path.join(directory, folder)
    os.makedirs(target, exist_ok=True)
    for name in map(str, names):
        os.rename(os.path.join(directory, name), os.path.join(target, name))
    for path in (target, directory):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _some(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:20]))
    return shown if len(ids) <= 20 else f"{shown} and {len(ids) - 20} more"
