"""Usage: live and dead bytes of segments, checked against the jobs and against compaction."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.compactor import NO_LIMIT
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.usage import SEGMENT_OVERHEAD, UPDATE_BYTES, Usage
from beanstalkd_py.queue.queue import Queue
from tests.binlog.daemon import Daemon, one_command

KIB = 1024


def recount(queue: Queue, usage: Usage) -> Counter[int]:
    """Live bytes by segment number."""
    live: Counter[int] = Counter()
    for job in queue.jobs.values():
        live[job.full_segment.number] += job.full_segment.kept(job)
        if job.update_segment is not None:
            live[job.update_segment.number] += UPDATE_BYTES
    for segment, nbytes in usage.pauses.values():
        live[segment.number] += nbytes
    return live


def used(binlog: Binlog) -> int:
    """Bytes of the segments that are not retired, without the headroom in the active one."""
    assert isinstance(binlog.log, wal.Log)
    return binlog.usage.sealed_bytes + binlog.log.active_bytes - binlog.log.left


@pytest.mark.parametrize("seed", range(3))
def test_live_bytes_are_those_of_the_jobs(seed: int) -> None:
    random_ = random.Random(seed)
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), segment_bytes=8 * KIB, fs=disk)
    migrated = 0
    for _ in range(3):
        session = daemon.session()
        for _ in range(500):
            daemon.say(session, *one_command(random_, daemon, daemon.queue.next_id))
            usage = daemon.binlog.usage
            live = recount(daemon.queue, usage)
            assert {n: s.live for n, s in usage.by_number.items() if s.live} == +live
            assert usage.live == live.total()
            assert usage.updates == UPDATE_BYTES * sum(
                job.update_segment is not None for job in daemon.queue.jobs.values()
            )
        migrated += daemon.binlog.compactor.migrated
        daemon = daemon.restarted(Path("/log"), segment_bytes=8 * KIB, fs=disk)
    assert migrated > 0


@pytest.mark.parametrize("size", [0, 100, 1800, 6000])
@pytest.mark.parametrize("segment", [8 * KIB, 64 * KIB])
def test_compaction_gives_back_all_dead_bytes(segment: int, size: int) -> None:
    """`dead` is never too large, and one pass brings it down to zero."""
    random_ = random.Random(size)
    daemon = Daemon(Path("/log"), segment_bytes=segment, fs=MemoryDisk())
    session = daemon.session()
    jobs = max(40, 12 * segment // (size + 100))
    for _ in range(jobs):
        daemon.say(session, b"put 0 0 60 %d" % size, bytes(size))
    for id in random_.sample(range(1, jobs + 1), jobs // 3):
        session.receive(b"delete %d\r\n" % id, daemon.now)
    usage, compactor = daemon.binlog.usage, daemon.binlog.compactor
    before, dead, last = used(daemon.binlog), usage.dead, usage.current.number
    assert dead > 0
    while usage.oldest is not None and usage.oldest.number <= last:
        assert compactor.step(NO_LIMIT)
        daemon.binlog.log.commit(daemon.now)
    assert before - used(daemon.binlog) >= dead
    assert usage.dead <= 0


def test_rotation_seals_and_retirement_forgets() -> None:
    usage = Usage()
    usage.begin({3: 5000, 4: 7000}, 5, 6000)
    assert (list(usage.sealed), usage.sealed_bytes, usage.largest_segment) == ([3, 4], 12000, 7000)
    assert usage.oldest is usage.at(3) and usage.current is usage.at(5)
    usage.retire(usage.at(3))
    # Retired segments may be among the sizes.
    usage.rotate({3: 5000, 4: 7000, 5: 2000}, 6, 8000)
    assert (list(usage.sealed), usage.sealed_bytes, usage.largest_segment) == ([4, 5], 9000, 8000)
    assert usage.oldest is usage.at(4) and usage.current is usage.at(6)
    assert usage.dead == 9000 - 2 * SEGMENT_OVERHEAD
    usage.add(usage.current, 1000)
    assert usage.dead == 8000 - 2 * SEGMENT_OVERHEAD


def test_pause_that_is_over_is_not_live() -> None:
    usage = Usage()
    first, second = usage.of(1), usage.of(2)
    usage.pause_written(b"mail", first, 10)
    assert first.live == usage.live > 0
    usage.pause_written(b"mail", second, 20)
    assert (first.live, second.live) == (0, usage.live)
    usage.pause_written(b"mail", second, 0)
    assert (first.live, second.live, usage.live, usage.pauses) == (0, 0, 0, {})
