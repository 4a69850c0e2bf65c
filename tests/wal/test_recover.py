"""Opening: what is torn is kept aside and cut, for good, before anything follows it; stopped
anywhere, it can be repeated.
"""

import errno
import itertools
import os
from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.format import COPY_BYTES, HEADER_BYTES
from simulation.disk import File, MemoryDisk, fail_at

from tests.wal.logs import (
    DIRECTORY,
    NEVER,
    SEGMENT,
    SYNC,
    WINDOW,
    opened,
    records,
    replayed,
    segment,
    spares,
    torn_files,
    write,
)


def torn_log() -> tuple[MemoryDisk, int, bytes]:
    """Two whole frames and a damaged one; its offset and bytes."""
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"], [b"b"], [b"c" * 50])
    last = list(wal.Replay(DIRECTORY, fs=disk))[-1]
    data = disk.names[segment(1)].data
    data[last.end - 1] ^= 1
    return disk.copy(), last.offset, bytes(data[last.offset : last.end])


def test_torn_tail_is_kept_aside_and_cut_off():
    disk, offset, tail = torn_log()
    log = opened(disk)
    assert torn_files(disk) == {f"torn.1.{offset}": tail}
    assert len(disk.names[segment(1)].data) == offset == log.segment_sizes[1]
    assert (log.segment, log.lsn) == (2, 2)
    write(log, [b"new"])
    assert records(disk) == [b"a", b"b", b"new"]
    assert replayed(disk).torn is None


def test_torn_tail_copy_is_durable_before_a_new_segment():
    disk, offset, _ = torn_log()
    calls = fail_at(disk, 0)
    opened(disk)
    steps = [
        f"sync torn.1.{offset}",
        "sync_directory log",
        "truncate 00000001.wal",
        "sync 00000001.wal",
        "create spare.1",
    ]
    assert sorted(steps, key=calls.index) == steps


def test_recovery_stopped_anywhere_can_be_repeated():
    """By a kill, and by a crash of the machine."""
    disk, _, tail = torn_log()
    calls = fail_at(disk, 0)
    opened(disk)
    for nth in range(1, len(calls) + 1):
        for crash in (False, True):
            disk, _, _ = torn_log()
            fail_at(disk, nth)
            with pytest.raises((wal.LogFailed, OSError)):
                opened(disk)
            disk = disk.after_crash(Random(nth)) if crash else disk.after_kill()
            log = opened(disk)
            write(log, [b"new"])
            assert records(disk) == [b"a", b"b", b"new"]
            assert tail in torn_files(disk).values(), calls[nth - 1]


def test_torn_copy_never_replaces_an_older_one():
    disk, offset, tail = torn_log()
    disk.names[f"{DIRECTORY}/torn.1.{offset}"] = File(b"older, and of another accident")
    opened(disk)
    assert torn_files(disk) == {
        f"torn.1.{offset}": b"older, and of another accident",
        f"torn.1.{offset}.1": tail,
    }


def test_torn_copy_that_was_interrupted_is_made_again():
    disk, offset, tail = torn_log()
    disk.names[f"{DIRECTORY}/torn.1.{offset}"] = File(tail[:7])
    opened(disk)
    assert torn_files(disk) == {f"torn.1.{offset}": tail}


@pytest.mark.parametrize("between", [(), (NEVER,), (NEVER, WINDOW)])
@pytest.mark.parametrize("seed", range(8))
def test_recovery_rewrites_data_after_a_failed_sync(seed, between):
    """After a failed sync the kernel takes what is not on disk for what is: who reads it, and syncs
    again, must not believe it.
    """
    disk = MemoryDisk(seed)
    log = opened(disk)
    write(log, [b"a" * 600])
    fail_at(disk, 2)
    write(log, [b"b" * 600])
    for durability in (*between, SYNC):
        disk = disk.after_kill()
        log = opened(disk, durability)
        write(log, [b"c" * 600])
    found = records(disk)
    assert found == [b"a" * 600, b"b" * 600] + [b"c" * 600] * (len(between) + 1)
    assert log.promised_lsn == len(found)
    assert records(disk.after_crash(Random(seed))) == found


def test_recovery_cuts_off_the_zeros_of_the_last_segment():
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    opened(disk)
    assert len(disk.names[segment(1)].data) == replayed(disk).segments[0].used_bytes


def test_recovery_syncs_what_a_killed_process_wrote():
    """It was read, so it will be built upon: in the modes that sync, a crash must not take it any
    more.
    """
    for durability in (SYNC, WINDOW):
        disk = MemoryDisk()
        write(opened(disk, WINDOW), [b"a"], [b"b"])
        disk = disk.after_kill()
        log = opened(disk, durability)
        assert (log.durable_lsn, log.promised_lsn) == (2, 2)
        assert replayed(disk).watermark == 2
        assert disk.names[segment(1)].synced == disk.names[segment(1)].data


def test_recovery_after_never_makes_all_segments_durable():
    disk = MemoryDisk()
    log = opened(disk, NEVER)
    for n in range(30):
        write(log, [bytes([n]) * 500])
    opened(disk.after_kill())
    for number in (1, 2, 3):
        assert disk.names[segment(number)].synced == disk.names[segment(number)].data
    assert disk.synced_names.keys() >= {segment(number) for number in (1, 2, 3, 4)}
    assert replayed(disk).watermark == 30


def test_recovery_after_never_syncs_a_segment_without_records():
    """A long record left nothing in it but the header. A watermark covers all LSNs before it, but
    not the header.
    """
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"covered"])
    log.close(at=1)
    log = opened(disk, NEVER)
    log.ensure_headroom(3 * SEGMENT)
    write(log, [b"x" * 2 * SEGMENT])  # in a segment of its own
    log.close(at=2)
    opened(disk)
    assert disk.names[segment(2)].synced == disk.names[segment(2)].data
    assert len(disk.names[segment(2)].data) == HEADER_BYTES


def test_recovery_under_never_cuts_the_torn_tail_for_good():
    """That start has left no segment that tells: it was empty, and another one took its place."""
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    log.collect()
    log.write_watermark(at=2)
    write(log, [b"b" * 50])
    disk.names[segment(1)].data[list(wal.Replay(DIRECTORY, fs=disk))[-1].end - 1] ^= 1
    disk = disk.copy()
    opened(disk, NEVER)
    disk = disk.after_kill()
    write(opened(disk), [b"c"])
    assert disk.names[segment(1)].synced == disk.names[segment(1)].data
    for seed in range(20):
        assert records(disk.after_crash(Random(seed))) == [b"a", b"c"]


def test_corrupt_log_is_left_as_it_is():
    disk = MemoryDisk()
    write(opened(disk), [b"a"], [b"b"])
    disk.names[segment(1)].data[HEADER_BYTES] ^= 1
    before = {path: bytes(file.data) for path, file in disk.names.items()}
    with pytest.raises(wal.Corrupt):
        opened(disk)
    assert {path: bytes(file.data) for path, file in disk.names.items()} == before


def test_newer_log_is_left_as_it_is():
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    for offset in (8, COPY_BYTES + 8):
        disk.names[segment(1)].data[offset] = 2
    before = {path: bytes(file.data) for path, file in disk.names.items()}
    with pytest.raises(wal.NewerVersion):
        opened(disk)
    assert {path: bytes(file.data) for path, file in disk.names.items()} == before


# --- left-over spares


def test_old_spares_are_zeroed_before_they_count():
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    disk.names[f"{DIRECTORY}/spare.7"] = File(b"\xff" * SEGMENT)
    log = opened(disk)
    assert log.spare_bytes == 0
    assert log.total_bytes == sum(len(file.data) for file in disk.names.values())
    log.preallocate(SEGMENT + 100)
    assert log.spare_bytes == SEGMENT
    assert [len(disk.names[path].data.strip(b"\0")) for path in spares(disk)] == [0]
    assert log.total_bytes == sum(len(file.data) for file in disk.names.values())


def test_old_spares_that_are_not_needed_are_deleted():
    disk = MemoryDisk()
    for n in (3, 5, 7):
        disk.names[f"{DIRECTORY}/spare.{n}"] = File(b"\xff" * SEGMENT)
    log = opened(disk)
    log.preallocate(log.headroom + 100)
    assert len(spares(disk)) == 1
    assert log.total_bytes == sum(len(file.data) for file in disk.names.values())


def test_new_spares_get_unused_numbers():
    disk = MemoryDisk()
    disk.names[f"{DIRECTORY}/spare.7"] = File(bytes(SEGMENT))
    log = opened(disk)
    log.preallocate(4 * SEGMENT)
    assert [path.rpartition(".")[2] for path in spares(disk)] == sorted(
        {path.rpartition(".")[2] for path in spares(disk)}
    )
    assert log.headroom >= 4 * SEGMENT


# --- a full disk


def test_start_on_a_full_disk_makes_a_smaller_segment():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    disk.capacity = disk.used()
    disk = disk.after_kill()
    log = opened(disk)  # what the last segment did not use has become free
    assert log.segment == 2
    assert 0 < log.headroom < SEGMENT
    write(log, [b"b" * 1000])
    log.collect()
    assert records(disk) == [b"a", b"b" * 1000]


def test_start_on_a_full_disk_uses_an_old_spare():
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(2 * SEGMENT)
    write(log, [b"x" * (log.left - 52)])
    log.close(at=1)
    assert len(spares(disk)) == 2
    disk.capacity = disk.used()
    log = opened(disk)
    assert log.left > SEGMENT // 2
    assert len(spares(disk)) == 1
    write(log, [b"y"])
    log.collect()
    assert len(records(disk)) == 2


def test_torn_tail_is_kept_aside_on_a_full_disk():
    """At the cost of spares: that is what they are for."""
    disk, _, tail = torn_log()
    for n in (1, 2, 3):
        disk.names[f"{DIRECTORY}/spare.{n}"] = File(b"\xff" * 100)
    disk.capacity = disk.used()
    log = opened(disk)
    assert list(torn_files(disk).values()) == [tail]
    assert len(spares(disk)) >= 1
    write(log, [b"new"])
    assert records(disk) == [b"a", b"b", b"new"]


def test_torn_tail_is_not_cut_without_space_for_a_copy():
    disk, offset, tail = torn_log()
    disk.capacity = disk.used()
    with pytest.raises(wal.LogFailed):
        opened(disk)
    assert bytes(disk.names[segment(1)].data[offset:]).rstrip(b"\0") == tail
    disk.capacity += 20000
    opened(disk.after_kill())
    assert list(torn_files(disk).values()) == [tail]


def test_start_with_metadata_that_is_too_long_fails():
    disk = MemoryDisk()
    with pytest.raises(ValueError, match="257"):
        opened(disk, meta=lambda: b"x" * 257)
    assert not disk.handles
    assert [path for path in disk.names if path.endswith(".wal")] == []


def test_start_without_any_space_fails_with_log_failed():
    disk = MemoryDisk()
    disk.capacity = 500
    with pytest.raises(wal.LogFailed):
        opened(disk)
    assert not disk.handles
    disk.capacity = 1 << 20
    write(opened(disk), [b"a"])
    assert records(disk) == [b"a"]


def fail_from(disk: MemoryDisk, nth: int) -> None:
    """Makes all calls from the nth on fail."""
    count = itertools.count(1)

    def before(call: str, path: str) -> None:
        if next(count) >= nth:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    disk.before = before


@pytest.mark.parametrize("fail", [fail_at, fail_from])
def test_failed_open_closes_its_files(fail):
    """Also if all later calls fail too."""
    disk, _, _ = torn_log()
    calls = fail_at(disk, 0)
    opened(disk)
    for nth in range(1, len(calls) + 1):
        disk, _, _ = torn_log()
        fail(disk, nth)
        with pytest.raises((wal.LogFailed, OSError)):
            opened(disk)
        assert not disk.handles, calls[nth - 1]


@pytest.mark.parametrize("nbytes", [0, 1, 1000, 1100])
def test_old_spare_that_is_too_small_is_deleted(nbytes):
    disk = MemoryDisk()
    disk.names[f"{DIRECTORY}/spare.7"] = File(b"\xff" * nbytes)
    log = wal.Log.open(replayed(disk), 10 * SEGMENT, threaded=False)
    before = log.headroom
    log.preallocate(before + 5000)
    assert log.headroom >= before + 5000
    assert f"{DIRECTORY}/spare.7" not in disk.names
    assert log.total_bytes == disk.used()
