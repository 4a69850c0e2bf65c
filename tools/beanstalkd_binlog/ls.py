"""`ls`: one row per segment, and the job that keeps it."""

from __future__ import annotations

from beanstalkd_binlog.directory import OtherFiles
from beanstalkd_binlog.fields import Fields, instant
from beanstalkd_binlog.light import stored
from beanstalkd_binlog.output import Column, Output, Table
from beanstalkd_binlog.segment import Segment
from beanstalkd_binlog.text import count
from beanstalkd_binlog.times import local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.usage import SegmentUsage
from beanstalkd_py.queue.model import Job

COLUMNS = (
    ("segment", True),
    ("state", False),
    ("size", True),
    ("live", True),
    ("dead", True),
    ("records", True),
    ("oldest job", True),
    ("first LSN", True),
    ("last LSN", True),
    ("first time", False),
    ("last time", False),
)


def ls(walk: Walk, output: Output) -> int:
    """Returns the exit status."""
    walk.read_all()
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
        _print_totals(walk, output)
    return walk.report()


def live_bytes(walk: Walk, number: int) -> int:
    usage = walk.replayer.usage.by_number.get(number)
    return usage.live if usage else 0


def oldest_jobs(walk: Walk) -> dict[int, Job]:
    """By segment: of the jobs with a live record there, the one that was put first."""
    found: dict[int, Job] = {}
    for job in walk.replayer.state.jobs.values():
        numbers = {stored(job).segment}
        if isinstance(job.update_segment, SegmentUsage):
            numbers.add(job.update_segment.number)
        for number in numbers:
            oldest = found.get(number)
            if oldest is None or (job.created_at, job.id) < (oldest.created_at, oldest.id):
                found[number] = job
    return found


def _fields(segment: Segment, live: int, oldest: Job | None) -> Fields:
    has_records = bool(segment.records)
    return {
        "segment": segment.number,
        "state": segment.state,
        "bytes": segment.file_bytes,
        "used_bytes": segment.used_bytes,
        "records": segment.records,
        "record_bytes": segment.record_bytes,
        "live_bytes": live,
        "dead_bytes": max(segment.record_bytes - live, 0),
        "base_lsn": segment.base_lsn,
        "first_lsn": segment.first_lsn if has_records else None,
        "last_lsn": segment.last_lsn if has_records else None,
        **instant("created_at", segment.created_at),
        **instant("first_at", segment.first_at if has_records else None),
        **instant("last_at", segment.last_at if has_records else None),
        "oldest_job": oldest.id if oldest else None,
        **(instant("oldest_job_created_at", oldest.created_at) if oldest else {}),
    }


def _cells(segment: Segment, live: int, oldest: Job | None, output: Output) -> list[str]:
    lsns = [str(segment.first_lsn), str(segment.last_lsn)] if segment.records else ["", ""]
    times = [local(segment.first_at), local(segment.last_at)] if segment.records else ["", ""]
    sizes = map(output.size, (segment.file_bytes, live, max(segment.record_bytes - live, 0)))
    job = str(oldest.id) if oldest else ""
    return [str(segment.number), segment.state, *sizes, str(segment.records), job, *lsns, *times]


def _print_totals(walk: Walk, output: Output) -> None:
    segments = walk.reading.segments
    other = OtherFiles(walk.directory)
    size = output.size_in_words
    total = sum(segment.file_bytes for segment in segments.values())
    live = walk.replayer.usage.live
    output.line(f"{count(len(segments), 'segment')}, {size(total)}, of which {size(live)} live")
    output.line(f"{count(other.spares, 'preallocated segment')}, {size(other.spare_bytes)}")
    if other.torn:
        output.line(f"{count(other.torn, 'torn tail')} kept, {size(other.torn_bytes)}")
    if walk.reading.running:
        output.line("a server has the log open")
