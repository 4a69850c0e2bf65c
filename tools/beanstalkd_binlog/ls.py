"""`ls`: one row per segment, and why it is still there."""

from __future__ import annotations

from beanstalkd_binlog.directory import Beside
from beanstalkd_binlog.fields import instant
from beanstalkd_binlog.light import stored
from beanstalkd_binlog.output import Column, Output, Table
from beanstalkd_binlog.segment import Segment
from beanstalkd_binlog.text import count
from beanstalkd_binlog.times import local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.usage import SegmentUsage
from beanstalkd_py.queue.model import Job

COLUMNS = (
    ("segment", True), ("state", False), ("size", True), ("live", True), ("dead", True), ("records", True), ("oldest job", True),
    ("first LSN", True), ("last LSN", True), ("first time", False), ("last time", False),
)  # fmt: skip


def ls(walk: Walk, output: Output) -> int:
    """Returns the exit status."""
    walk.finish()
    oldest = oldest_jobs(walk)
    table = Table(output, [Column(*column) for column in COLUMNS])
    for number in sorted(walk.reading.segments):
        segment = walk.reading.segments[number]
        live = live_bytes(walk, number)
        if output.as_json:
            output.json(_fields(segment, live, oldest.get(number)))
        else:
            table.row(*_cells(segment, live, oldest.get(number), output))
    table.end()
    if output.terminal and not output.as_json:
        _say_sum(walk, output)
    return walk.report()


def live_bytes(walk: Walk, number: int) -> int:
    account = walk.replayer.usage.by_number.get(number)
    return account.live if account else 0


def oldest_jobs(walk: Walk) -> dict[int, Job]:
    """Of each segment, the job that was put first among those with a record there that is needed."""
    found: dict[int, Job] = {}
    for job in walk.replayer.state.jobs.values():
        numbers = {stored(job).segment}
        if isinstance(job.update_segment, SegmentUsage):
            numbers.add(job.update_segment.number)
        for number in numbers:
            best = found.get(number)
            if best is None or (job.created_at, job.id) < (best.created_at, best.id):
                found[number] = job
    return found


def _fields(segment: Segment, live: int, oldest: Job | None) -> dict[str, object]:
    empty = not segment.records
    return {
        "segment": segment.number,
        "state": segment.state,
        "bytes": segment.file_bytes,
        "used_bytes": segment.used_bytes,
        "records": segment.records,
        "record_bytes": segment.record_bytes,
        "live_bytes": live,
        "dead_bytes": segment.record_bytes - live,
        "base_lsn": segment.base_lsn,
        "first_lsn": None if empty else segment.first_lsn,
        "last_lsn": None if empty else segment.last_lsn,
        **instant("created_at", segment.created_at),
        **(
            {"first_at": None, "first_at_ns": None}
            if empty
            else instant("first_at", segment.first_at)
        ),
        **({"last_at": None, "last_at_ns": None} if empty else instant("last_at", segment.last_at)),
        "oldest_job": oldest.id if oldest else None,
        **(instant("oldest_job_created_at", oldest.created_at) if oldest else {}),
    }


def _cells(segment: Segment, live: int, oldest: Job | None, output: Output) -> list[str]:
    lsns = [str(segment.first_lsn), str(segment.last_lsn)] if segment.records else ["", ""]
    times = [local(segment.first_at), local(segment.last_at)] if segment.records else ["", ""]
    sizes = map(output.size, (segment.file_bytes, live, segment.record_bytes - live))
    job = str(oldest.id) if oldest else ""
    return [str(segment.number), segment.state, *sizes, str(segment.records), job, *lsns, *times]


def _say_sum(walk: Walk, output: Output) -> None:
    segments = walk.reading.segments
    beside = Beside(walk.directory)
    total = sum(segment.file_bytes for segment in segments.values())
    line = f"{count(len(segments), 'segment')}, {output.size(total)}, of which live {output.size(walk.replayer.usage.live)}"
    line += f"; {count(beside.spares, 'spare')}, {output.size(beside.spare_bytes)}"
    if beside.torn:
        line += f"; {count(beside.torn, 'torn end')} kept, {output.size(beside.torn_bytes)}"
    output.line(line + ("; a server has it open" if walk.reading.running else ""))
