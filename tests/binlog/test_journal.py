"""The journal: replay restores what was in memory, whatever commands were executed."""

from __future__ import annotations

import random
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from tests.binlog.daemon import (
    SEGMENT,
    Daemon,
    S,
    buried,
    churn,
    one_command,
    survivors,
)

DIRECTORY = Path("/log")


@pytest.mark.parametrize("seed", range(6))
def test_replay_restores_jobs_after_random_commands(seed: int) -> None:
    """Random commands by three clients; again and again the log so far is replayed into a new
    queue, and later gone on with.
    """
    random_ = random.Random(seed)
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, durability=wal.Durability.SYNC, fs=disk)
    for _ in range(6):
        sessions = [daemon.session() for _ in range(3)]
        for session in sessions:
            daemon.say(session, b"watch a")
        for _ in range(300):
            daemon.now += random_.choice((0, 0, S // 10, 2 * S))
            line, body = one_command(random_, daemon, daemon.queue.next_id)
            daemon.say(random_.choice(sessions), line, body)
        expected = survivors(daemon.queue, daemon.now)
        order = buried(daemon.queue)
        pauses = {t.name: t.paused_until for t in daemon.queue.tube_list if t.paused_until}
        next_id = daemon.queue.next_id
        disk = disk.after_kill()
        daemon = daemon.restarted(DIRECTORY, durability=wal.Durability.SYNC, fs=disk)
        assert survivors(daemon.queue, daemon.now) == expected, f"seed {seed}"
        assert buried(daemon.queue) == order, f"seed {seed}"
        assert {
            t.name: t.paused_until for t in daemon.queue.tube_list if t.paused_until
        } == pauses, f"seed {seed}"
        assert daemon.queue.next_id == next_id, f"seed {seed}"
        assert daemon.lines == []


def test_release_keeps_priority_after_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 10 0 60 1", b"x")
    daemon.say(session, b"reserve")
    daemon.say(session, b"release 1 77 0")
    job = daemon.restarted(tmp_path).queue.jobs[1]
    assert (job.pri, job.releases, job.reserves) == (77, 1, 1)


def test_ids_are_never_reused() -> None:
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, durability=wal.Durability.SYNC, fs=disk)
    session = daemon.session()
    for id in range(1, 1001):
        daemon.say(session, b"put 0 0 60 100", b"y" * 100)
        daemon.say(session, b"delete %d" % id)
    for _ in range(3):
        disk = disk.after_kill()
        daemon = daemon.restarted(DIRECTORY, durability=wal.Durability.SYNC, fs=disk)
        assert daemon.queue.next_id == 1001


def test_timeouts_are_counted_across_a_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 0 0 1 1", b"x")
    daemon.say(session, b"reserve")
    daemon.now += 2 * S
    daemon.turn()
    again = daemon.restarted(tmp_path)
    assert again.queue.jobs[1].timeouts == 1


def test_counts_beyond_32_bits_stay_at_the_largest_on_disk(tmp_path: Path) -> None:
    """A job that a client releases for a day gets there."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 0 0 60 1", b"x")
    (job,) = daemon.queue.jobs.values()
    job.reserves = (1 << 32) - 1
    job.history = (0, 0, (1 << 32) - 1, 0, 0)
    daemon.say(session, b"reserve")
    assert daemon.say(session, b"release 1 0 0") == b"RELEASED\r\n"
    again = daemon.restarted(tmp_path)
    assert [(job.reserves, job.releases) for job in again.queue.jobs.values()] == [
        ((1 << 32) - 1, (1 << 32) - 1)
    ]


def test_commit_precedes_compaction(tmp_path: Path) -> None:
    """Compaction is committed with the next iteration, or at once if there is none."""
    daemon = Daemon(tmp_path, segment_bytes=64 * SEGMENT)
    binlog = daemon.binlog
    waited = 0
    for _ in churn(daemon):
        lsn, migrated = binlog.log.lsn, binlog.compactor.migrated
        more = binlog.end_iteration(daemon.now, daemon.now + daemon.wall)
        assert binlog.log.promised_lsn >= lsn
        assert binlog.log.pending == (more and binlog.compactor.migrated > migrated)
        waited += binlog.log.pending
        if binlog.compactor.migrated >= 120_000:
            break
    assert waited > 10
    daemon.rest()
    assert not binlog.log.pending and binlog.log.promised_lsn == binlog.log.lsn


def test_iteration_that_begins_a_segment_looks_at_everything(tmp_path: Path) -> None:
    """A new sealed segment may be too much. Iterations with short records only do not look."""
    daemon = Daemon(tmp_path)
    client = daemon.session()
    log = daemon.binlog.log
    looked = []
    for _ in range(2 * SEGMENT // 100):
        segment, appended = log.segment, log.appended_bytes
        daemon.say(client, b"put 0 0 60 1", b"x")
        looked.append(daemon.binlog._appended == log.appended_bytes)
        assert looked[-1] or log.segment == segment, appended
    assert log.segment > 1 and looked.count(True) < len(looked) // 4
