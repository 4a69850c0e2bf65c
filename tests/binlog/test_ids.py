"""Ids are never given again, whatever a power cut takes of a log that is not always synced."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog import ids, putrecords, records
from beanstalkd_py.binlog.ids import ids_per_segment
from beanstalkd_py.binlog.meta import META_STRUCT
from tests.binlog.daemon import SEGMENT, Daemon, append

SYNC, WINDOW, NEVER = wal.Durability.SYNC, wal.Durability.WINDOW, wal.Durability.NEVER
DIRECTORY = Path("/log")
GOLDEN = Path(__file__).with_name("data")
AHEAD = ids_per_segment(SEGMENT)
not_always_synced = pytest.mark.parametrize("durability", [WINDOW, NEVER], ids=["window", "never"])


def put(daemon: Daemon, count: int = 1, nbytes: int = 1) -> int:
    """Returns the id of the last one."""
    client = daemon.session()
    reply = b""
    for _ in range(count):
        reply = daemon.say(client, b"put 0 0 60 %d" % nbytes, bytes(nbytes))
        assert reply.startswith(b"INSERTED "), reply
    return int(reply.split()[1])


def worst_power_cut(disk: MemoryDisk) -> MemoryDisk:
    """The one of some that leaves the fewest jobs."""
    left = [disk.after_crash(Random(seed)) for seed in range(8)]
    return min(left, key=lambda disk: len(Daemon(DIRECTORY, fs=disk.fork()).queue.jobs))


def after_power_cut(disk: MemoryDisk) -> Daemon:
    return Daemon(DIRECTORY, fs=worst_power_cut(disk))


@not_always_synced
def test_ids_are_not_given_again_after_a_power_cut(durability: wal.Durability) -> None:
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, fs=disk, durability=durability)
    last = put(daemon, 3)
    again = after_power_cut(disk)
    assert not again.queue.jobs
    assert last < again.queue.next_id <= last + AHEAD


@not_always_synced
def test_ids_are_not_given_again_after_a_start_that_was_killed(durability: wal.Durability) -> None:
    """The first start has cut the lost tail off, and was killed before its segment got a name."""
    disk = MemoryDisk()
    last = put(Daemon(DIRECTORY, fs=disk, durability=durability), 3)
    left = worst_power_cut(disk)
    left.before = _fail_at_the_name
    with pytest.raises(wal.LogFailed):
        Daemon(DIRECTORY, fs=left)
    left.before = lambda call, path: None
    assert Daemon(DIRECTORY, fs=left).queue.next_id > last


def _fail_at_the_name(call: str, path: str) -> None:
    if call in ("rename", "replace"):
        raise OSError(5, "EIO", path)


@not_always_synced
def test_ids_are_not_given_again_after_a_stop_and_a_power_cut(durability: wal.Durability) -> None:
    """The exact next id of the stop does not hold for the segment after it."""
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, fs=disk, durability=durability)
    put(daemon)
    daemon.binlog.close(daemon.now + daemon.wall)
    last = put(Daemon(DIRECTORY, fs=disk, durability=durability), 3)
    assert after_power_cut(disk).queue.next_id > last


@not_always_synced
def test_ids_go_on_without_a_gap_after_a_stop(durability: wal.Durability) -> None:
    disk = MemoryDisk()
    for id in (1, 2, 3):
        daemon = Daemon(DIRECTORY, fs=disk, durability=durability)
        assert put(daemon) == id
        daemon.binlog.close(daemon.now + daemon.wall)


def test_ids_go_on_without_a_gap_if_replies_wait_for_syncs(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, durability=SYNC)
    put(daemon, 3)
    assert daemon.restarted(tmp_path).queue.next_id == 4


@not_always_synced
def test_put_waits_for_more_ids_if_many_were_used_up(
    durability: wal.Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused puts use ids up, and write no record. The bound is raised, durably, before a client
    is told an id above it.
    """
    monkeypatch.setattr(ids, "SPARE_IDS", 2 - SEGMENT // ids.NEW_OVERHEAD)
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, fs=disk, durability=durability)
    client = daemon.session()
    for _ in range(5):
        daemon.queue.draining = True
        assert daemon.say(client, b"put 0 0 60 1", b"x") == b"DRAINING\r\n"
        daemon.queue.draining = False
        last = put(daemon)
        assert after_power_cut(disk).queue.next_id > last
    daemon.binlog.close(daemon.now + daemon.wall)
    assert Daemon(DIRECTORY, fs=disk).queue.next_id == daemon.queue.next_id


@not_always_synced
def test_raised_bound_is_followed_by_the_end_of_an_iteration(
    durability: wal.Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the put is refused then. Otherwise the outbox sets no timer for the watermark."""

    class NoMemory:
        def pack(self, *fields: int) -> bytes:
            raise MemoryError

    monkeypatch.setattr(ids, "SPARE_IDS", 1 - SEGMENT // ids.NEW_OVERHEAD)
    daemon = Daemon(DIRECTORY, fs=MemoryDisk(), durability=durability)
    put(daemon)
    daemon.rest()
    monkeypatch.setattr(putrecords, "NEW_STRUCT", NoMemory())
    before = daemon.binlog.log.lsn
    session = daemon.session()
    session.receive(b"put 0 0 60 1\r\nx\r\n", daemon.now)
    assert session.take_output() == b"OUT_OF_MEMORY\r\n"
    assert daemon.binlog.log.lsn == before + 1
    assert daemon.binlog.busy


@not_always_synced
def test_bound_grows_with_each_segment(durability: wal.Durability) -> None:
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, fs=disk, durability=durability)
    for _ in range(4):
        last = put(daemon, 3, 30_000)
        assert after_power_cut(disk).queue.next_id > last
    assert daemon.binlog.log.segment > 2


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_log_of_each_version_is_read(tmp_path: Path, version: int) -> None:
    shutil.copytree(GOLDEN / f"records_v{version}", tmp_path, dirs_exist_ok=True)
    _check_golden(Daemon(tmp_path))


@pytest.mark.parametrize("version", [1, 2])
def test_older_log_goes_on_in_the_newest_version(tmp_path: Path, version: int) -> None:
    """Compaction writes its jobs in the forms of this version."""
    shutil.copytree(GOLDEN / f"records_v{version}", tmp_path, dirs_exist_ok=True)
    daemon = Daemon(tmp_path)
    before = daemon.binlog.usage.kept
    (oldest,) = daemon.binlog.usage.sealed
    assert daemon.binlog.compactor.step(1 << 20)
    assert before - daemon.binlog.usage.kept == 2 * (68 - 42) + (68 - 24)
    daemon.turn()
    assert not (tmp_path / f"{oldest:08}.wal").exists()
    daemon.binlog.close(daemon.now + daemon.wall)
    _check_golden(daemon.restarted(tmp_path))


def _check_golden(daemon: Daemon) -> None:
    found = {id: (job.state, job.pri, job.body) for id, job in daemon.queue.jobs.items()}
    assert found == {1: (1, 7, b"ready"), 2: (4, 0, b"delayed"), 3: (3, 9, b"buried")}
    assert daemon.queue.default.pause == 600 * 10**9
    assert daemon.queue.next_id == 5


@pytest.mark.parametrize("bound", [6, records.LAST_NEXT_ID + 1])
def test_impossible_bound_refuses_the_start(tmp_path: Path, bound: int) -> None:
    append(tmp_path, meta=META_STRUCT.pack(2, 0, 0, 7, bound))
    with pytest.raises(Exception, match=f"{bound} as its bound"):
        Daemon(tmp_path)
