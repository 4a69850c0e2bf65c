"""`import` and `export`: from the C server's binlog files to a log of ours, and back.

Promises: the source is never changed; a target that holds jobs or a binlog is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import beanstalkd_wal as wal

from beanstalkd_binlog.light import Bodies, stored
from beanstalkd_binlog.lock import locked
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.progress import Progress
from beanstalkd_binlog.status import CLEAN, BadLog, NoLog, warn
from beanstalkd_binlog.text import count
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.opening import Unreadable, find_next_id, names_not_synced, read_meta
from beanstalkd_py.foreign import cbinlog, exporting
from beanstalkd_py.foreign.importing import bring_in
from beanstalkd_py.foreign.old_files import DamagedImport

C_MAX_JOB_SIZE = 65535  # the C server's default of -z


def import_binlog(
    source: str, directory: str, output: Output, accept_damaged: bool, segment_bytes: int, at: int
) -> int:
    """Imports the C server's files in `source` into `directory`, which is created if it does not
    exist. at: wall clock, ns. Returns the exit status.
    """
    if not cbinlog.find_files(source):
        raise NoLog(f"{source}: no binlog.N files found")
    os.makedirs(directory, exist_ok=True)
    messages: list[str] = []
    jobs = _take_over(source, directory, accept_damaged, segment_bytes, at, messages)
    if output.as_json:
        output.json({"jobs": jobs, "said": messages})
        return CLEAN
    for message in messages:
        output.line(message)
    return CLEAN


def _take_over(
    source: str,
    directory: str,
    accept_damaged: bool,
    segment_bytes: int,
    at: int,
    messages: list[str],
) -> int:
    """Returns the number of jobs. Raises BadLog."""
    try:
        with locked(directory), Progress("importing") as progress:
            return bring_in(
                source,
                directory,
                segment_bytes=segment_bytes,
                wall_now=at,
                accept_damaged=accept_damaged,
                report=messages.append,
                progress=progress,
            )
    except DamagedImport as error:
        for line in error.lines[:-1]:
            warn(line)
        raise BadLog(error.lines[-1]) from error
    except (Unreadable, wal.Corrupt, wal.NewerVersion, wal.LogFull) as error:
        raise BadLog(str(error)) from error


def export_binlog(directory: str, target: str, output: Output, segment_bytes: int) -> int:
    """Writes the jobs as the C server's files into `target`. One body at a time is in memory.
    Returns the exit status.
    """
    with Progress("reading") as progress:
        walk = Walk(directory, progress)
        walk.read_all()
    if walk.corrupt:
        walk.report()
        hint = "run beanstalkd-binlog repair first"
        raise BadLog(f"{directory}: the log is damaged: nothing was exported ({hint})")
    with Bodies(directory) as bodies:
        jobs = _c_jobs(walk, bodies)
        try:
            written = cbinlog.write_directory(target, jobs, _next_id(walk), segment_bytes)
        except (ValueError, FileExistsError) as error:
            raise BadLog(str(error)) from error
    if not written.names_synced:
        warn(names_not_synced(target))
    _print(written, target, output)
    policies = len(walk.replayer.state.policies)
    if policies:
        warn(f"{target}: the C server knows no policies: {count(policies, 'tube')} had one")
    attributes = len(walk.replayer.state.attributes)
    if attributes:
        had = f"{count(attributes, 'job')} had some"
        warn(f"{target}: the C server knows no keys, expiries and other attributes: {had}")
    return CLEAN


def _print(written: cbinlog.Written, target: str, output: Output) -> None:
    if output.as_json:
        names = ("jobs", "bytes", "files", "needs_z")
        output.json({name: getattr(written, name) for name in names})
        return
    jobs, files = count(written.jobs, "job"), count(len(written.files), "file")
    output.line(f"{target}: {jobs}, {output.size_in_words(written.bytes)}, {files}")
    if written.needs_z > C_MAX_JOB_SIZE:
        needed = written.needs_z
        output.line(f"start beanstalkd with -z {needed} or more: with less it loses jobs")


def _c_jobs(walk: Walk, bodies: Bodies) -> Iterator[cbinlog.CJob]:
    for job in exporting.in_export_order(walk.replayer.state):
        body = bodies.read(job)
        if body is None:
            gone = f"a running server deleted segment {stored(job).segment} before it was read"
            raise BadLog(f"job {job.id}: {gone}; try again")
        yield exporting.c_job(job, 0, body)


def _next_id(walk: Walk) -> int:
    """The id that the server would give next."""
    segments = walk.reading.segments
    if not segments:
        return walk.replayer.highest_id + 1
    number = max(segments)
    last = segments[number]
    return find_next_id(read_meta(last.path, last.meta), number, walk.replayer)
