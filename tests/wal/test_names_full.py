"""A disk on which creating a file fails for want of space, while overwriting and renaming work: a
full XFS, or a disk without free inodes. A start uses what was set aside.
"""

from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.directory import OVERHEAD
from beanstalkd_wal.names import spare_numbers
from simulation.disk import ROOMY, File, MemoryDisk, fail_at

from tests.wal import logs
from tests.wal.headroom_logs import SEGMENT, fill_active, filled, opened, physical
from tests.wal.logs import DIRECTORY, NEVER, SYNC, records, segment, spares, torn_files, write


def full(disk: MemoryDisk) -> MemoryDisk:
    """No new file, and no more bytes."""
    disk.capacity = disk.used()
    disk.most_names = len(disk.names)
    return disk


def with_spares(count: int = 3) -> MemoryDisk:
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"], [b"b"])
    log.preallocate(log.headroom + count * SEGMENT - 1)
    assert len(spares(disk)) >= count
    return disk.after_kill()


def test_start_without_names_uses_an_old_spare():
    disk = full(with_spares())
    before = len(spares(disk))
    log = opened(disk)
    write(log, [b"c"])
    log.collect()
    assert records(disk) == [b"a", b"b", b"c"]
    assert len(spares(disk)) == before - 1


@pytest.mark.parametrize("segment_bytes", [SEGMENT // 4, 4 * SEGMENT])
def test_start_with_another_segment_size_keeps_the_headroom_of_a_full_disk(segment_bytes):
    """What a smaller segment would cut off could not be allocated again."""
    disk = full(with_spares())
    before = [disk.size(path) - OVERHEAD for path in spares(disk)]
    log = logs.opened(disk, SYNC, segment_bytes)
    log.preallocate(disk.capacity)
    assert log.disk_full
    assert log.headroom >= sum(before)


def test_start_with_smaller_segments_cuts_old_spares_unless_the_disk_is_full():
    disk = with_spares()
    log = logs.opened(disk, SYNC, SEGMENT // 4)
    log.preallocate(SEGMENT // 2)
    assert max(disk.size(path) for path in spares(disk)) == SEGMENT // 4


def test_starts_without_names_go_on_as_long_as_there_are_spares():
    """A start with nothing to do gives back the name of the empty segment that it replaces."""
    disk = full(with_spares())
    for _ in range(8):
        log = opened(disk)
        log.preallocate(3 * SEGMENT)
        log.close(at=1)
    assert len(spares(disk)) >= 2
    write(opened(disk), [b"c"])
    assert records(disk)[-1] == b"c"


def test_start_without_names_and_spares_says_that_the_disk_is_full():
    disk = MemoryDisk()
    disk.most_names = 0
    with pytest.raises(wal.LogFailed, match="No space left"):
        opened(disk)
    assert not disk.handles


def test_rotation_needs_no_new_name():
    disk = with_spares()
    log = opened(disk)
    log.preallocate(log.headroom + SEGMENT)
    full(disk)
    fill_active(log)
    write(log, [b"c"])
    log.collect()
    assert log.segment == 3


@pytest.mark.parametrize("durability", [SYNC, NEVER])
def test_retired_segments_become_spares_on_a_full_disk(durability):
    """Also under NEVER, and also small ones: another program may take their space."""
    disk = MemoryDisk()
    log = filled(disk, durability)
    log.preallocate(log.headroom + 1)
    full(disk)
    log.preallocate(log.headroom + 3 * SEGMENT)
    assert log.disk_full
    before = physical(disk)
    log.retire(3)
    log.commit(at=1)
    log.drain(at=2)
    assert log.oldest == 3
    assert len(spares(disk)) >= 2
    assert physical(disk) == before
    fill_active(log)


def test_small_retired_segment_is_kept_on_a_full_disk():
    """It is smaller than a step of preallocation. Deleting it would give its space away."""
    disk = MemoryDisk()
    log = logs.opened(disk, segment_bytes=1 << 18)
    write(log, [b"x" * 6000])
    log.close(at=1)
    log = logs.opened(disk, segment_bytes=1 << 18)
    full(disk)
    log.preallocate(log.headroom + (1 << 18))
    assert log.disk_full
    nbytes = log.segment_sizes[1]
    assert nbytes < (1 << 18) // 16
    calls = fail_at(disk, 0)
    log.retire(2)
    log.collect()
    assert "rename 00000001.wal" in calls
    assert [len(disk.names[path].data) for path in spares(disk)] == [nbytes]


def test_spares_of_retired_segments_grow_to_the_full_size():
    """A segment is cut to its used size when it is sealed, and its spare begins with that size."""
    disk = MemoryDisk()
    log = opened(disk)
    body = b"x" * (SEGMENT // 2 + 100)  # a segment holds one, and almost half of it stays unused
    for _ in range(5):
        write(log, [body])
    log.collect()
    disk.most_names = len(disk.names)
    log.preallocate(log.headroom + 10 * SEGMENT)
    assert log.disk_full
    log.retire(log.segment)
    log.collect()
    sizes = [len(disk.names[path].data) for path in spares(disk)]
    assert len(sizes) >= 4 and set(sizes) == {SEGMENT}


def torn_disk(count: int) -> tuple[MemoryDisk, bytes]:
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"], [b"b" * 5000])
    last = list(wal.Replay(DIRECTORY, fs=disk))[-1]
    data = disk.names[segment(1)].data
    data[last.end - 1] ^= 1
    disk = disk.copy()
    for number in range(1, count + 1):
        disk.names[f"{DIRECTORY}/spare.{number}"] = File(b"\xff" * SEGMENT)
    return full(disk.copy()), bytes(data[last.offset : last.end])


def test_torn_tail_is_kept_in_a_spare_without_names():
    disk, tail = torn_disk(3)
    log = opened(disk)
    assert list(torn_files(disk).values()) == [tail]
    assert len(spares(disk)) == 1
    write(log, [b"c"])
    assert records(disk) == [b"a", b"c"]


def test_torn_tail_without_names_and_spares_is_not_cut():
    disk, tail = torn_disk(0)
    with pytest.raises(wal.LogFailed, match="No space left"):
        opened(disk)
    assert tail in bytes(disk.names[segment(1)].data)
    disk.most_names = disk.capacity = ROOMY
    opened(disk.after_kill())
    assert list(torn_files(disk).values()) == [tail]


def test_recovery_without_names_can_be_stopped_anywhere():
    """By a kill, and by a power cut."""
    disk, tail = torn_disk(3)
    calls = fail_at(disk, 0)
    opened(disk)
    for nth in range(1, len(calls) + 1):
        for crash in (False, True):
            disk, _ = torn_disk(3)
            fail_at(disk, nth)
            with pytest.raises((wal.LogFailed, OSError)):
                opened(disk)
            disk = disk.after_crash(Random(nth)) if crash else disk.after_kill()
            log = opened(disk)
            write(log, [b"c"])
            assert records(disk) == [b"a", b"c"], calls[nth - 1]
            assert tail in torn_files(disk).values(), calls[nth - 1]
            assert all(number > 0 for number in spare_numbers(disk.list(DIRECTORY)))


def test_old_spare_that_was_a_segment_is_not_overwritten_too_early():
    """The rename of a retired segment to a spare may not be durable. After a power cut the segment
    may have its name again, so its bytes must not have been replaced.
    """
    disk, _ = torn_disk(0)
    disk.most_names = disk.capacity = ROOMY
    disk.names[f"{DIRECTORY}/was.a.segment"] = File(b"\xff" * SEGMENT)
    disk = disk.copy()
    disk.rename(f"{DIRECTORY}/was.a.segment", f"{DIRECTORY}/spare.1")
    full(disk)
    calls = fail_at(disk, 0)
    with pytest.raises(wal.LogFailed):
        opened(disk)  # no second spare for the new segment
    assert calls.index("sync_directory log") < calls.index("write spare.1")
