"""Jobs that move to another tube, in the log."""

from __future__ import annotations

import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.records import Full, Move, decode, encode
from beanstalkd_py.binlog.usage import UPDATE_BYTES
from beanstalkd_py.queue.model import READY
from beanstalkd_py.queue.moved import move_as_it_is
from tests.binlog.daemon import Daemon

FULL = Full(READY, 5, 1, 0, 10**9, 0, 0, 0, 0, 0, 0, 0, b"a", b"body")
MOVE = Move(READY, 7, 1, 0, 0, 3, 0, 0, 0, 0, b"other")


def test_record_has_the_tube_and_all_that_can_change() -> None:
    data = encode(MOVE)
    assert len(data) == UPDATE_BYTES - 4 + len(b"other") and decode(data) == MOVE
    for bad in (data[:-1], data + b"x", encode(MOVE._replace(tube=b""))):
        with pytest.raises(ValueError, match="tube name"):
            decode(bad)


def daemon_with(*records: Full | Move) -> Daemon:
    disk = MemoryDisk()
    daemon = Daemon("/log", fs=disk)
    for record in records:
        daemon.binlog.headroom.append(encode(record))
    daemon.turn()
    return daemon.restarted("/log", fs=disk)


def test_replay_moves_the_job() -> None:
    queue = daemon_with(FULL, MOVE).queue
    job = queue.jobs[1]
    assert (job.tube.name, job.pri, job.reserves) == (b"other", 7, 3)
    assert [tube.name for tube in queue.tube_list] == [b"default", b"other"]


def test_usage_counts_the_longer_name() -> None:
    first = daemon_with(FULL).binlog.usage.kept
    daemon = daemon_with(FULL, MOVE)
    assert daemon.binlog.usage.kept == first + 18 + len(b"other") - len(b"a")
    assert daemon.binlog.delete(daemon.queue.jobs[1])
    assert daemon.binlog.usage.live == 0


def test_move_counts_the_longer_name() -> None:
    daemon = daemon_with(FULL)
    job = daemon.queue.jobs[1]
    first = daemon.binlog.usage.kept
    assert move_as_it_is(daemon.queue, job, b"other", daemon.now)
    assert daemon.binlog.usage.kept == first + 18 + len(b"other") - len(b"a")
    assert daemon.binlog.delete(job)
    assert daemon.binlog.usage.live == 0


def test_tube_of_a_later_record_counts_when_the_move_is_lost() -> None:
    """A repair keeps what is whole. Compaction wrote the job again in its new tube."""
    queue = daemon_with(FULL, FULL._replace(tube=b"other")).queue
    assert queue.jobs[1].tube.name == b"other"
    assert [tube.name for tube in queue.tube_list] == [b"default", b"other"]
