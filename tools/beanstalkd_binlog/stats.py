"""`stats`: jobs by tube and state; size and growth of the log; the largest and the oldest jobs."""

from __future__ import annotations

from collections import defaultdict
from heapq import nlargest, nsmallest

import beanstalkd_wal as wal
from beanstalkd_wal.format import LENGTH_BYTES

from beanstalkd_binlog.directory import OtherFiles
from beanstalkd_binlog.fields import instant
from beanstalkd_binlog.light import stored
from beanstalkd_binlog.output import Column, Output, Table
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.text import count, text
from beanstalkd_binlog.times import SECOND, duration, local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.records import KIND_NAMES
from beanstalkd_py.queue.model import STATE_NAMES, Job

TOP = 5
RATE_SECONDS = 60  # a log that covers less time has no meaningful rate
STATES = ("ready", "delayed", "buried")
Counts = dict[str, list[int]]  # by name: number, bytes


class Growth:
    """Records and bytes by kind."""

    def __init__(self) -> None:
        self.kinds: Counts = {}
        self.first_at = 0
        self.last_at = 0

    def add(self, frame: wal.Frame) -> None:
        for record in frame.records:
            name = KIND_NAMES.get(record[0] if record else 0, "unreadable")
            sums = self.kinds.setdefault(name, [0, 0])
            sums[0] += 1
            sums[1] += len(record) + LENGTH_BYTES
        if frame.records:
            self.first_at = self.first_at or frame.at
            self.last_at = max(self.last_at, frame.at)

    @property
    def seconds(self) -> float:
        return (self.last_at - self.first_at) / 1e9


class Jobs:
    """Jobs and bytes of bodies by tube and state; the largest and the oldest jobs."""

    def __init__(self, walk: Walk) -> None:
        self.tubes: dict[bytes, Counts] = defaultdict(lambda: {state: [0, 0] for state in STATES})
        known = [*walk.replayer.state.jobs.values()]
        for job in known:
            sums = self.tubes[job.tube.name][STATE_NAMES[job.state]]
            sums[0] += 1
            sums[1] += len(job.body)
        self.count = len(known)
        self.body_bytes = sum(len(job.body) for job in known)
        self.biggest = nlargest(TOP, known, key=lambda job: (len(job.body), -job.id))
        self.oldest = nsmallest(TOP, known, key=lambda job: (job.created_at, job.id))


class Sizes:
    """What the log takes on disk."""

    def __init__(self, walk: Walk) -> None:
        segments = walk.reading.segments.values()
        self.segments = len(segments)
        self.log_bytes = sum(segment.file_bytes for segment in segments)
        self.record_bytes = sum(segment.record_bytes for segment in segments)
        self.live_bytes = walk.replayer.usage.live
        self.other = OtherFiles(walk.directory)


def stats(walk: Walk, output: Output, now: int) -> int:
    """Returns the exit status."""
    growth = Growth()
    for found in walk:
        if isinstance(found, wal.Frame):
            growth.add(found)
        elif isinstance(found, Gap):
            growth = Growth()
    walk.finish_replay()
    walk.replayer.state.tick(now)
    jobs, sizes = Jobs(walk), Sizes(walk)
    if output.as_json:
        output.json(_fields(walk, growth, jobs, sizes, now))
    else:
        _print(output, growth, jobs, sizes, now)
    return walk.report()


# --- JSON


def _fields(walk: Walk, growth: Growth, jobs: Jobs, sizes: Sizes, now: int) -> dict[str, object]:
    paused = [tube for tube in walk.replayer.state.tubes.values() if tube.paused_until]
    return {
        "jobs": jobs.count,
        "body_bytes": jobs.body_bytes,
        "segments": sizes.segments,
        "log_bytes": sizes.log_bytes,
        "record_bytes": sizes.record_bytes,
        "live_bytes": sizes.live_bytes,
        "dead_bytes": max(sizes.record_bytes - sizes.live_bytes, 0),
        "spares": sizes.other.spares,
        "spare_bytes": sizes.other.spare_bytes,
        "torn_bytes": sizes.other.torn_bytes,
        "seconds": growth.seconds,
        "kinds": {
            name: {"records": each[0], "bytes": each[1]} for name, each in growth.kinds.items()
        },
        "tubes": {text(name): _state_fields(states) for name, states in sorted(jobs.tubes.items())},
        "paused": {
            text(tube.name): {"pause_ns": tube.pause, **instant("until", tube.paused_until)}
            for tube in paused
        },
        "biggest": [_job_fields(job) for job in jobs.biggest],
        "oldest": [_job_fields(job) for job in jobs.oldest],
        "running": walk.reading.running,
    }


def _state_fields(states: Counts) -> dict[str, object]:
    return {state: {"jobs": each[0], "bytes": each[1]} for state, each in states.items()}


def _job_fields(job: Job) -> dict[str, object]:
    return {
        "job": job.id,
        "tube": text(job.tube.name),
        "state": STATE_NAMES[job.state],
        "body_bytes": len(job.body),
        "segment": stored(job).segment,
        **instant("created_at", job.created_at),
    }


# --- tables


def _print(output: Output, growth: Growth, jobs: Jobs, sizes: Sizes, now: int) -> None:
    size = output.size_in_words
    log, live = sizes.log_bytes, sizes.live_bytes
    ratio = f" (ratio {log / live:.1f})" if live else ""
    segments = count(sizes.segments, "segment")
    spares = count(sizes.other.spares, "preallocated segment")
    output.line(f"{count(jobs.count, 'job')}, {size(jobs.body_bytes)} of bodies")
    output.line(f"log: {segments}, {size(log)}, of which {size(live)} live{ratio}")
    output.line(f"{spares}, {size(sizes.other.spare_bytes)}")
    _print_tubes(output, jobs)
    _print_kinds(output, growth)
    _print_top(output, "largest jobs", jobs.biggest, now)
    _print_top(output, "oldest jobs", jobs.oldest, now)


def _print_tubes(output: Output, jobs: Jobs) -> None:
    columns = [Column("tube")]
    for state in STATES:
        columns += [Column(state, True), Column("size", True)]
    table = Table(output, columns)
    for name, states in sorted(jobs.tubes.items()):
        cells = [text(name)]
        for state in STATES:
            cells += [str(states[state][0]), output.size(states[state][1])]
        table.row(*cells)
    _print_titled(output, "jobs by tube and state", table, bool(jobs.tubes))


def _print_kinds(output: Output, growth: Growth) -> None:
    columns = [Column("kind")]
    columns += [Column(title, True) for title in ("records", "size", "per hour")]
    table = Table(output, columns)
    hours = growth.seconds / 3600
    for name, (records, nbytes) in sorted(growth.kinds.items(), key=lambda item: -item[1][1]):
        rate = output.size(int(nbytes / hours)) if growth.seconds >= RATE_SECONDS else ""
        table.row(name, str(records), output.size(nbytes), rate)
    period = duration(int(growth.seconds * SECOND))
    title = f"growth by kind of record, in {period} since {local(growth.first_at)}"
    _print_titled(output, title, table, bool(growth.kinds))


def _print_top(output: Output, title: str, found: list[Job], now: int) -> None:
    titles = (
        ("job", True),
        ("tube",),
        ("state",),
        ("size", True),
        ("age", True),
        ("segment", True),
    )
    table = Table(output, [Column(*title) for title in titles])
    for job in found:
        age = duration(now - job.created_at)
        table.row(
            str(job.id),
            text(job.tube.name),
            STATE_NAMES[job.state],
            output.size(len(job.body)),
            age,
            str(stored(job).segment),
        )
    _print_titled(output, title, table, bool(found))


def _print_titled(output: Output, title: str, table: Table, wanted: bool) -> None:
    if wanted:
        output.line()
        output.line(title)
        table.end()
