"""`compact`: the server's own compaction, run to its end, without a server.

Promises: every job is kept. Jobs are held in memory with their bodies, as in the server.
"""

from __future__ import annotations

import beanstalkd_wal as wal

from beanstalkd_binlog.directory import OtherFiles, segment_sizes
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.progress import Progress
from beanstalkd_binlog.status import CLEAN, UNREADABLE, BadLog, DiskError, warn
from beanstalkd_binlog.text import count
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import Unreadable, open_binlog
from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.queue.queue import Queue

DEFAULT_SEGMENT_BYTES = 10 << 20
LEAST_SEGMENT_BYTES = 65536
PAGE_BYTES = 4096


class _Usage:
    """What the log takes on disk."""

    def __init__(self, directory: str) -> None:
        self.segment_bytes = sum(segment_sizes(directory))
        self.spare_bytes = OtherFiles(directory).spare_bytes


def compact(directory: str, output: Output, at: int) -> int:
    """at: wall clock, ns. The caller holds the lock. Returns the exit status."""
    before = _Usage(directory)
    queue = Queue()
    messages: list[str] = []
    try:
        binlog = _open(directory, queue, at, messages)
        complete = _compact(binlog, at)
    except (wal.Corrupt, wal.NewerVersion, Unreadable) as error:
        raise BadLog(str(error)) from error
    except wal.LogFailed as error:
        raise DiskError(str(error)) from error
    for message in messages:
        warn(message)
    after = _Usage(directory)
    jobs, live = len(queue.jobs), binlog.usage.live
    if output.as_json:
        output.json(_fields(before, after, jobs, live, complete))
    else:
        _print(output, directory, before, after, jobs, live, complete)
    return CLEAN if complete else UNREADABLE


def _open(directory: str, queue: Queue, at: int, messages: list[str]) -> Binlog:
    with Progress("reading") as progress:
        return open_binlog(
            directory,
            queue,
            segment_bytes=_segment_bytes(directory),
            durability=wal.Durability.SYNC,
            now=at,
            wall_now=at,
            notify=lambda: None,
            report=messages_only(messages.append),
            progress=progress,
            threaded=False,
        )


def _compact(binlog: Binlog, at: int) -> bool:
    """Returns whether compaction was complete; False if the disk is full."""
    try:
        with Progress("compacting") as progress:
            binlog.end_iteration(at, at)
            return binlog.compact_all(progress)
    finally:
        binlog.close(at)


def _segment_bytes(directory: str) -> int:
    """The server's -s, as the largest segment shows it: the next start then finds the headroom that
    it needs.
    """
    sizes = segment_sizes(directory)
    if not sizes:
        return DEFAULT_SEGMENT_BYTES
    pages = -(-max(sizes) // PAGE_BYTES)
    return max(pages * PAGE_BYTES, LEAST_SEGMENT_BYTES)


def _fields(
    before: _Usage, after: _Usage, jobs: int, live: int, complete: bool
) -> dict[str, object]:
    return {
        "before_bytes": before.segment_bytes,
        "after_bytes": after.segment_bytes,
        "before_spare_bytes": before.spare_bytes,
        "after_spare_bytes": after.spare_bytes,
        "jobs": jobs,
        "live_bytes": live,
        "complete": complete,
    }


def _print(
    output: Output,
    directory: str,
    before: _Usage,
    after: _Usage,
    jobs: int,
    live: int,
    complete: bool,
) -> None:
    size = output.size_in_words
    for when, usage in (("before", before), ("after", after)):
        used = f"{size(usage.segment_bytes)} in segments, {size(usage.spare_bytes)} preallocated"
        output.line(f"{directory}: {when}: {used}")
    output.line(f"{directory}: {count(jobs, 'job')}, {size(live)} live")
    if not complete:
        output.line(f"{directory}: the disk is full: the log was not compacted completely")
