"""Importing: writes the jobs of the C server's binlog files to a log of ours.

All jobs are written between two IMPORT records. The first one makes all earlier records of the log
void. The second one makes the import valid. After a crash before the second record is durable,
replay finds no jobs, and the import can be done again. The text of these records is for `takeover`.
"""

import json
from collections.abc import Callable, Iterable

import beanstalkd_wal as wal

from beanstalkd_py.binlog import records
from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.binlog.opening import Unreadable, apply_all, names_not_synced
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.foreign import cbinlog
from beanstalkd_py.foreign.cbinlog import CJob
from beanstalkd_py.foreign.old_files import DamagedImport
from beanstalkd_py.queue.model import BURIED, DELAYED
from beanstalkd_py.queue.state import State

COMMIT_BYTES = 1 << 20  # of records in one commit

Report = Callable[[str], None]
Progress = Callable[[int, int], None]


def no_progress(done: int, total: int) -> None:
    pass


class Present:
    """What our own log in a directory holds before an import.

    Raises wal.Corrupt, wal.NewerVersion, Unreadable and OSError.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.replay = wal.Replay(directory)
        replayer = Replayer(State(), Usage(), 0)
        self.next_id = apply_all(self.replay, replayer, lambda line: None, no_progress)
        self.jobs = len(replayer.state.jobs)
        self.is_imported = bool(replayer.imported) and not replayer.importing
        try:
            self.folder, self.files = _decode(replayer.imported)
        except (ValueError, RecursionError) as error:
            raise Unreadable(
                f"{directory}: the IMPORT record of the log cannot be read: {error}"
            ) from error


def _decode(text: bytes) -> tuple[str, list[list[object]]]:
    """The text of an IMPORT record: the folder for the old files, and an entry for each file (see
    `takeover`). Raises ValueError.
    """
    manifest = json.loads(text or b"{}")
    if not isinstance(manifest, dict):
        raise ValueError(f"{manifest!r:.50}")
    folder, files = manifest.get("folder", ""), manifest.get("files", [])
    is_name = isinstance(folder, str) and "/" not in folder
    if not is_name or not isinstance(files, list):
        raise ValueError(f"{manifest!r:.50}")
    return folder, files


def bring_in(
    source: str,
    directory: str,
    *,
    segment_bytes: int,
    wall_now: int,
    accept_damaged: bool,
    report: Report,
    progress: Progress = no_progress,
) -> int:
    """Imports the C server's files in `source` into the log in `directory`, which is locked and has
    no jobs. The files stay where they are. Returns the number of jobs.

    segment_bytes: bytes of a new segment. wall_now: wall clock, ns. accept_damaged: the operator
    consents to an import of what can be read. report: called with a line for the operator.
    progress: called with the bytes done and all bytes.

    Raises DamagedImport, Unreadable, wal.Corrupt, wal.NewerVersion, wal.LogFailed, wal.LogFull and
    OSError.
    """
    present = Present(directory)
    found = read(source, present, accept_damaged, report, progress)
    if not write(found, present, {}, segment_bytes, wall_now, report):
        report(names_not_synced(directory))
    return len(found.jobs)


def read(
    source: str, present: Present, accept_damaged: bool, report: Report, progress: Progress
) -> cbinlog.CBinlog:
    """The jobs of the C server's files in `source`. Arguments and exceptions as for `bring_in`."""
    if present.jobs:
        raise Unreadable(
            f"{present.directory}: a log with {present.jobs} jobs is there already, "
            "so the C server's binlog files cannot be taken over into it"
        )
    found = cbinlog.read_directory(source, progress)
    lines = [str(damage) for damage in found.damages]
    if found.maybe_deleted:
        lines.append(
            "jobs that may have been deleted in the damaged part, and are kept: "
            f"{_some(found.maybe_deleted)}"
        )
    if found.damaged and not accept_damaged:
        lines.append(
            f"{source}: the C server's binlog is damaged; "
            "--accept-damaged-import takes over what can be read"
        )
        raise DamagedImport(lines)
    for line in lines:
        report(line)
    return found


def write(
    found: cbinlog.CBinlog,
    present: Present,
    manifest: dict[str, object],
    segment_bytes: int,
    wall_now: int,
    report: Report,
) -> bool:
    """Writes the jobs into our log; they are durable when this returns. manifest: the text of the
    IMPORT records. Other arguments and exceptions as for `bring_in`.

    Returns False if the file system cannot sync the names of the log's files.
    """
    next_id = max(found.next_id, present.next_id)
    if present.replay.torn is not None:
        report(f"{present.replay.torn}")
    log = wal.Log.open(
        present.replay,
        segment_bytes=segment_bytes,
        meta=lambda: encode_meta(next_id),
        at=wall_now,
        threaded=False,
    )
    try:
        _write(log, found.jobs, manifest, wall_now)
    finally:
        log.close(wall_now)
    jobs = _count(len(found.jobs), "job")
    report(f"{jobs} taken over from {_count(len(found.files), 'binlog file')} of the C server")
    return log.names_synced


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
    """The FULL record of a job. place: of a buried job, in the order of burying."""
    deadline_at = {BURIED: place, DELAYED: job.deadline_at_ns}.get(job.state, 0)
    return records.Full(
        job.state, job.pri, job.id, job.delay_ns, job.ttr_ns, job.created_at_ns, deadline_at,
        job.reserves, job.timeouts, job.releases, job.buries, job.kicks, job.tube, job.body,
    )  # fmt: skip


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some(ids: list[int]) -> str:
    shown = ", ".join(map(str, ids[:20]))
    return shown if len(ids) <= 20 else f"{shown} and {len(ids) - 20} more"
