"""`compact`: by the server's own compaction, but until hardly anything dead is left, and without a
server.

May know: the engine and its binlog, into which the jobs are read, bodies and all, as a server
would.
"""

from __future__ import annotations

import os

import beanstalkd_wal as wal
from beanstalkd_wal.names import segment_numbers, segment_path

from beanstalkd_binlog.directory import Beside
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.progress import Progress
from beanstalkd_binlog.status import BAD_LOG, CLEAN, UNREADABLE, Stop, complain
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import Unreadable, open_binlog
from beanstalkd_py.queue.engine import Engine

DEFAULT_SEGMENT_BYTES = 10 << 20


class Bad(Stop):
    exit_code = BAD_LOG


class Failed(Stop):
    exit_code = UNREADABLE


def compact(directory: str, output: Output, at: int) -> int:
    """at: wall clock, ns. The directory is locked. Returns the exit status."""
    before = _bytes(directory)
    lines: list[str] = []
    try:
        with Progress("reading") as progress:
            engine = Engine()
            opened = open_binlog(
                directory,
                engine,
                segment_bytes=_segment_bytes(directory),
                durability=wal.Durability.SYNC,
                now=at,
                wall_now=at,
                notify=lambda: None,
                report=lines.append,
                progress=progress,
                threaded=False,
            )
        whole = _compact(opened, at)
    except (wal.Corrupt, wal.NewerVersion, Unreadable) as error:
        raise Bad(str(error)) from error
    except wal.LogFailed as error:
        raise Failed(str(error)) from error
    for line in lines:
        complain(line)
    after = _bytes(directory)
    _tell(output, directory, before, after, len(engine.jobs), opened.usage.live, whole)
    return CLEAN if whole else UNREADABLE


def _compact(opened: Binlog, at: int) -> bool:
    try:
        with Progress("compacting") as progress:
            opened.end_iteration(at, at)
            return opened.compact_all(progress)
    finally:
        opened.log.close(at)


def _segment_bytes(directory: str) -> int:
    """The size in use, so that the next start finds its room; the largest segment shows it."""
    sizes = [
        os.stat(segment_path(directory, number)).st_size
        for number in segment_numbers(os.listdir(directory))
    ]
    return max(
        DEFAULT_SEGMENT_BYTES if not sizes else 65536,
        *(-(-size // 4096) * 4096 for size in sizes),
        65536,
    )


def _bytes(directory: str) -> tuple[int, int]:
    """Segments, and what is set aside."""
    sizes = [
        os.stat(segment_path(directory, number)).st_size
        for number in segment_numbers(os.listdir(directory))
    ]
    return sum(sizes), Beside(directory).spare_bytes


def _tell(
    output: Output,
    directory: str,
    before: tuple[int, int],
    after: tuple[int, int],
    jobs: int,
    live: int,
    whole: bool,
) -> None:
    if output.as_json:
        output.json(
            {
                "before_bytes": before[0], "after_bytes": after[0], "before_spare_bytes": before[1], "after_spare_bytes": after[1],
                "jobs": jobs, "live_bytes": live, "complete": whole,
            }
        )  # fmt: skip
        return
    size = output.size
    output.line(f"{directory}: before {size(before[0])} in segments, {size(before[1])} set aside")
    output.line(
        f"{directory}: after {size(after[0])} in segments, {size(after[1])} set aside; {jobs} jobs, {size(live)} live"
    )
    if not whole:
        output.line(f"{directory}: the disk is full: not all was compacted")
