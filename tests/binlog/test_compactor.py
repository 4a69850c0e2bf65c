"""The compactor: the disk stays in proportion, in small steps, and compaction comes to rest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.compactor import GROWTH_SHARE, SPREAD, STEP_BYTES
from beanstalkd_py.binlog.usage import NEW_OVERHEAD
from tests.binlog.daemon import (
    SEGMENT,
    Daemon,
    churn,
    live_bytes,
    one_command,
)


@pytest.mark.parametrize("seed", range(4))
def test_disk_stays_in_proportion(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for round_ in range(3000):
        line, body = one_command(random_, daemon, daemon.queue.next_id)
        daemon.say(session, line, body)
        if round_ % 100 == 0:
            daemon.rest()
            on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
            assert daemon.binlog.usage.live - live_bytes(daemon.queue) in range(200), (
                f"seed {seed}"
            )  # pauses are live as well
            assert on_disk <= 2 * live_bytes(daemon.queue) + 2 * SEGMENT, (
                f"seed {seed}, round {round_}"
            )


def test_log_shrinks_when_everything_is_deleted(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(1000):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    for id in range(1, 1001):
        assert daemon.say(session, b"delete %d" % id) == b"DELETED\r\n"
    daemon.rest()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * SEGMENT


def test_first_delete_after_a_start_is_compacted() -> None:
    """A small record beside a large job: what was live at the start counts, not zero."""
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), segment_bytes=8192, fs=disk)
    session = daemon.session()
    assert daemon.say(session, b"pause-tube default 1000") == b"PAUSED\r\n"
    daemon.say(session, b"put 0 0 60 16384", b"x" * 16384)
    again = daemon.restarted(Path("/log"), segment_bytes=8192, fs=disk)
    again.binlog.collect()  # what the log preallocated, as an idle server does it
    assert again.say(again.session(), b"delete 1") == b"DELETED\r\n"
    for _ in range(100):
        if again.binlog.busy:
            again.commit()
    assert not again.binlog.compactor.has_work() and again.binlog.usage.dead <= 0


def test_compaction_takes_small_steps_when_a_segment_begins(tmp_path: Path) -> None:
    """All clients wait during a step."""
    daemon = Daemon(tmp_path, segment_bytes=64 * SEGMENT)
    steps = []
    for _ in churn(daemon):
        before = daemon.binlog.compactor.migrated
        daemon.turn()
        steps.append((daemon.binlog.compactor.migrated - before) * NEW_OVERHEAD)
        if daemon.binlog.compactor.migrated >= 120_000:
            break
    assert max(steps) <= STEP_BYTES + GROWTH_SHARE * 110_000
    # Steps grow to that only while clients keep appending: the first one is small.
    assert 0 < next(step for step in steps if step) <= STEP_BYTES + GROWTH_SHARE * 110_000 // SPREAD


def test_buried_jobs_keep_order_through_compaction(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(4):
        daemon.say(session, b"put 0 0 60 1", b"x")
    for id in (3, 1, 4, 2):
        daemon.say(session, b"reserve-job %d" % id)
        daemon.say(session, b"bury %d 0" % id)
    for _ in range(3000):
        daemon.say(session, b"put 0 0 60 100", b"y" * 100)
        daemon.say(session, b"delete %d" % (daemon.queue.next_id - 1))
    assert daemon.binlog.compactor.migrated > 0
    again = daemon.restarted(tmp_path)
    assert list(again.queue.default.buried) == [3, 1, 4, 2]
    assert [job.buries for job in again.queue.jobs.values()] == [1] * 4


@pytest.mark.sources
def test_compaction_without_headroom_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is work and no headroom for it. Another iteration at once would only use CPU."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(300):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    monkeypatch.setattr(daemon.binlog.compactor, "has_work", lambda: True)
    monkeypatch.setattr(daemon.binlog.headroom, "append", lambda record: None)
    assert daemon.binlog.end_iteration(daemon.now, daemon.now + daemon.wall) is False
    assert not daemon.binlog.busy


def test_compaction_rests_when_only_headers_are_not_live() -> None:
    """Three jobs to a segment: a seventh of each is its header, which no pass gives back."""
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), segment_bytes=8192, fs=disk)
    session = daemon.session()
    disk.capacity = 120_000
    while not daemon.say(session, b"put 0 0 60 1800", b"x" * 1800).startswith(b"OUT"):
        pass
    # Compaction writes the pause again. No client has changed anything then.
    assert daemon.say(session, b"pause-tube default 1000") == b"PAUSED\r\n"
    daemon.rest()
    usage, headroom = daemon.binlog.usage, daemon.binlog.headroom
    assert headroom.is_full and daemon.binlog.log.headroom < headroom.low + 8192 // 2
    assert usage.sealed_bytes - usage.kept > (8192 + usage.kept) // 16
    migrated = daemon.binlog.compactor.migrated
    for _ in range(4):
        daemon.binlog.retry()
        daemon.rest()
    assert daemon.binlog.compactor.migrated == migrated


def test_compaction_on_a_full_disk_ends_after_one_pass() -> None:
    """Updates make dead bytes; a pass gives them back."""
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), segment_bytes=16384, fs=disk)
    session = daemon.session()
    disk.capacity = 240_000
    while not daemon.say(session, b"put 0 0 60 1800", b"x" * 1800).startswith(b"OUT"):
        pass
    jobs = len(daemon.queue.jobs)
    for _ in range(300):
        assert daemon.say(session, b"reserve-job 1").startswith(b"RESERVED")
        assert daemon.say(session, b"release 1 0 0") == b"RELEASED\r\n"
    assert daemon.binlog.compactor.migrated > 10
    for _ in range(4):
        daemon.binlog.retry()
        migrated = daemon.binlog.compactor.migrated
        daemon.rest()
        assert daemon.binlog.compactor.migrated - migrated <= jobs
    assert daemon.binlog.compactor.migrated == migrated
    assert daemon.binlog.usage.dead <= (16384 + daemon.binlog.usage.kept) // 16
