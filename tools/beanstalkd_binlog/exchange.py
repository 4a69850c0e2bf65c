"""`import` and `export`: from the C server's binlog into a log of ours, and back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import beanstalkd_wal as wal

from beanstalkd_binlog.light import Bodies, stored
from beanstalkd_binlog.lock import locked
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.progress import Progress
from beanstalkd_binlog.status import BAD_LOG, CLEAN, NO_LOG, Stop, complain
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.opening import Unreadable, read_meta
from beanstalkd_py.foreign import cbinlog, takeover


class Refused(Stop):
    exit_code = BAD_LOG


class NothingThere(Stop):
    exit_code = NO_LOG


def bring_in(
    source: str, directory: str, output: Output, accept_damaged: bool, segment_bytes: int, at: int
) -> int:
    """Reads the C server's files in `source` into `directory`, which is made if need be. at: wall
    clock, ns.
    """
    if not cbinlog.find_files(source):
        raise NothingThere(f"{source}: no binlog.N there")
    os.makedirs(directory, exist_ok=True)
    lines: list[str] = []
    try:
        with locked(directory), Progress("importing") as progress:
            jobs = takeover.bring_in(
                source,
                directory,
                segment_bytes=segment_bytes,
                wall_now=at,
                accept_damaged=accept_damaged,
                report=lines.append,
                progress=progress,
            )
    except takeover.DamagedImport as error:
        for line in error.lines[:-1]:
            complain(line)
        raise Refused(error.lines[-1]) from error
    except (Unreadable, wal.Corrupt, wal.NewerVersion, wal.LogFull) as error:
        raise Refused(str(error)) from error
    if output.as_json:
        output.json({"jobs": jobs, "said": lines})
        return CLEAN
    for line in lines:
        output.line(line)
    return CLEAN


def export(directory: str, target: str, output: Output, segment_bytes: int) -> int:
    """Writes the jobs of our log into the new directory `target` for the C server. The bodies go
    one by one.
    """
    with Progress("reading") as progress:
        walk = Walk(directory, progress)
        walk.finish()
    if walk.corrupt:
        walk.report()
        raise Refused(
            f"{directory}: damaged: nothing was exported (beanstalkd-binlog repair makes it whole)"
        )
    with Bodies(directory) as bodies:
        try:
            written = cbinlog.write_directory(
                target, _c_jobs(walk, bodies), _next_id(walk), segment_bytes
            )
        except (ValueError, FileExistsError) as error:
            raise Refused(str(error)) from error
    if output.as_json:
        output.json(
            {
                "jobs": written.jobs,
                "bytes": written.bytes,
                "files": written.files,
                "needs_z": written.needs_z,
            }
        )
        return CLEAN
    output.line(
        f"{target}: {written.jobs} jobs, {output.size(written.bytes)}, {len(written.files)} files"
    )
    if written.needs_z > DEFAULT_Z:
        output.line(f"start beanstalkd with -z {written.needs_z} or more: with less it drops jobs")
    return CLEAN


DEFAULT_Z = 65535  # the C server's


def _c_jobs(walk: Walk, bodies: Bodies) -> Iterator[cbinlog.CJob]:
    for job in takeover.in_export_order(walk.replayer.state):
        body = bodies.read(job)
        if body is None:
            raise Refused(
                f"job {job.id}: its segment {stored(job).segment} is gone: a server runs and has dropped it; try again"
            )
        yield takeover.c_job(job, 0, body)


def _next_id(walk: Walk) -> int:
    """As the server would count on."""
    segments = walk.reading.segments
    promised = (
        read_meta(segments[max(segments)].path, segments[max(segments)].meta) if segments else 1
    )
    return max(promised, walk.replayer.highest_id + 1)
