"""Durability.NEVER (-F): clients wait for no sync, but segments are synced.

Also directories of version 0.1, which did not sync segments in this mode: they stay readable.
"""

from pathlib import Path
from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.format import HEADER_BYTES
from simulation.disk import File, MemoryDisk, fail_at

from tests.wal.logs import (
    DIRECTORY,
    NEVER,
    SEGMENT,
    SYNC,
    opened,
    records,
    replayed,
    segment,
    write,
)

# Version 0.1, -F, killed: segments 1 and 2 of two jobs each, 3 of two jobs and a DELETE.
OLD_DIRECTORY = Path(__file__).parent / "data" / "never_synced_v1"


def record(n: int) -> bytes:
    return bytes([n]) * 500


def test_never_mode_promises_written_records():
    disk = MemoryDisk()
    log = opened(disk, NEVER)
    before = disk.syncs
    for n in range(10):
        write(log, [record(n)])
        log.sync(at=1)
        log.write_watermark(at=1)
    log.collect()
    assert log.promised_lsn == log.written_lsn == log.lsn == 10
    assert (log.durable_lsn, disk.syncs) == (0, before)


def test_never_mode_syncs_a_segment_before_its_successor_has_a_name():
    disk = MemoryDisk()
    log = opened(disk, NEVER)
    assert log.ensure_headroom(2 * SEGMENT)
    calls = fail_at(disk, 0)
    while log.segment == 1:
        write(log, [record(0)])
    rotation = calls[calls.index("truncate 00000001.wal") :]
    assert rotation[:7] == [
        "truncate 00000001.wal",
        "sync 00000001.wal",
        "close 00000001.wal",
        "write spare.2",
        "sync spare.2",
        "rename spare.2",
        "sync_directory log",
    ]
    log.collect()
    assert log.durable_lsn == log.lsn - 1
    assert replayed(disk).watermark == log.lsn - 1


@pytest.mark.parametrize("seed", range(40))
def test_never_mode_power_failure_takes_at_most_the_active_segment(seed):
    disk = MemoryDisk(seed)
    rng = Random(seed)
    log = opened(disk, NEVER)
    for n in range(rng.randrange(60)):
        write(log, [record(n)])
    base_lsn = replayed(disk).segments[-1].base_lsn
    written = records(disk)
    left = disk.after_crash(rng)
    again = opened(left)
    assert base_lsn - 1 <= again.lsn <= len(written)
    assert records(left) == written[: again.lsn]


def test_never_mode_retirement_waits_for_a_sync_of_its_own():
    disk = MemoryDisk()
    log = opened(disk, NEVER)
    while log.segment < 4:
        write(log, [record(0)])
    log.append(b"moved")
    log.retire(2)
    log.collect()
    assert log.oldest == 1
    log.commit(at=1)
    log.collect()
    assert (log.oldest, log.durable_lsn) == (2, log.lsn)
    assert records(disk.after_crash(Random(1)))[-1] == b"moved"


def test_never_mode_inline_commit_never_syncs_for_a_retirement():
    """It would stop the owner's thread; the committer's thread does it."""
    disk = MemoryDisk()
    log = wal.Log.open(replayed(disk), SEGMENT, NEVER, fs=disk)
    for n in range(20):
        write(log, [record(n)])
    log.append(b"moved")
    log.retire(2)
    threads = log._threads
    while threads._batches_sent != threads.progress.batches_done:
        pass
    assert not log.commit(at=1, inline=True)
    log.drain(at=2)
    assert log.oldest == 2
    log.append(b"more")
    assert log.commit(at=3, inline=True)
    log.close(at=4)


def test_never_mode_close_makes_everything_durable():
    disk = MemoryDisk()
    log = opened(disk, NEVER)
    write(log, [b"a"], [b"b"])
    log.close(at=9)
    left = disk.after_crash(Random(3))
    assert records(left) == [b"a", b"b"]
    assert replayed(left).watermark == 2


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("durability", [NEVER, SYNC])
@pytest.mark.parametrize("end", ["closed", "killed", "power cut"])
def test_never_mode_log_that_was_not_closed_may_miss_changes(count, durability, end):
    disk = MemoryDisk()
    log = opened(disk, durability)
    write(log, *([record(n)] for n in range(count)))
    if end == "closed":
        log.close(at=1)
    left = disk.after_crash(Random(1)) if end == "power cut" else disk.copy()
    replay = replayed(left)
    assert replay.may_miss_changes == (durability is NEVER and end != "closed")


def test_never_mode_damage_below_a_watermark_is_corrupt():
    disk = MemoryDisk()
    log = opened(disk, NEVER)
    while log.segment < 2:
        write(log, [record(0)])
    disk.names[segment(1)].data[HEADER_BYTES] ^= 1
    with pytest.raises(wal.Corrupt):
        replayed(disk)


# --- directories of version 0.1


def old_directory() -> MemoryDisk:
    disk = MemoryDisk()
    for path in OLD_DIRECTORY.iterdir():
        disk.names[f"{DIRECTORY}/{path.name}"] = File(path.read_bytes())
    return disk.copy()


def test_old_never_directory_is_read_and_made_durable():
    disk = old_directory()
    replay = replayed(disk)
    assert (replay.torn, replay.next_lsn, replay.last_segment) == (None, 8, 3)
    assert replay.watermark == 0
    log = opened(disk, NEVER)
    write(log, [b"new"])
    left = disk.after_crash(Random(2))
    assert (replayed(left).watermark, len(records(left))) == (7, len(records(disk)) - 1)


def test_old_never_directory_with_a_torn_tail_is_torn():
    disk = old_directory()
    last = list(wal.Replay(DIRECTORY, fs=disk))[-1]
    disk.names[segment(3)].data[last.end - 1] ^= 1
    torn = replayed(disk).torn
    assert torn and (torn.segment, torn.offset, torn.expected) == (3, last.offset, 7)


def lose_payload(disk: MemoryDisk) -> None:
    disk.names[segment(2)].data[HEADER_BYTES + 60] ^= 1


def lose_header(disk: MemoryDisk) -> None:
    disk.names[segment(2)].data[:HEADER_BYTES] = bytes(HEADER_BYTES)


def lose_last_segment(disk: MemoryDisk) -> None:
    disk.names[segment(3)].data[:] = bytes(4096)


def lose_middle_segment(disk: MemoryDisk) -> None:
    del disk.names[segment(2)]


@pytest.mark.parametrize(
    "damage", [lose_payload, lose_header, lose_last_segment, lose_middle_segment]
)
def test_old_never_directory_after_a_power_failure_is_corrupt(damage):
    """Version 0.1 had not synced these segments; an operator decides about them (repair)."""
    disk = old_directory()
    damage(disk)
    with pytest.raises(wal.Corrupt):
        replayed(disk)
