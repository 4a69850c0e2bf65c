"""Retiring segments: which are deleted, when, and what becomes of their files."""

from beanstalkd_wal.directory import OVERHEAD
from simulation.disk import MemoryDisk, fail_at

from tests.wal.headroom_logs import SEGMENT, STEP, filled, opened, physical
from tests.wal.logs import WINDOW, records, segment, spares, write


def test_retire_deletes_the_oldest_segments():
    disk = MemoryDisk()
    log = filled(disk)
    assert (log.oldest, list(log.segment_sizes)) == (1, [1, 2, 3])
    log.retire(3)
    assert (log.oldest, list(log.segment_sizes)) == (3, [3])
    assert log.sealed_bytes == log.segment_sizes[3]
    assert segment(1) not in disk.synced_names and segment(2) not in disk.synced_names
    assert log.total_bytes == physical(disk)
    kept = records(disk)
    assert kept[-1] == b"%04d" % (log.lsn - 1) * 800 and len(kept) < log.lsn


def test_retire_never_deletes_the_active_segment():
    disk = MemoryDisk()
    log = filled(disk)
    log.retire(99)
    assert (log.oldest, log.segment, log.segment_sizes) == (4, 4, {})
    write(log, [b"more"])
    log.retire(99)
    assert records(disk)[-1] == b"more"


def test_retire_waits_until_earlier_records_are_durable():
    disk = MemoryDisk()
    log = filled(disk, WINDOW)
    write(log, [b"moved"])
    log.retire(2)
    assert log.oldest == 1 and segment(1) in disk.names
    log.sync(at=1)
    assert log.oldest == 2 and segment(1) not in disk.names
    log.append(b"pending")
    log.retire(3)
    log.sync(at=2)
    assert log.oldest == 2
    log.commit(at=3)
    log.sync(at=3)
    assert log.oldest == 3


def test_retire_that_waits_is_done_by_close():
    disk = MemoryDisk()
    log = filled(disk, WINDOW)
    log.append(b"moved")
    log.retire(4)
    log.close(at=1)
    assert records(disk)[-1] == b"moved"
    assert not any(segment(number) in disk.names for number in (1, 2, 3))


def test_retired_segments_are_deleted_one_by_one_durably():
    """No crash may leave a gap: the directory is synced between two deletions."""
    disk = MemoryDisk()
    log = filled(disk)
    calls = fail_at(disk, 0)
    log.retire(4)
    changes = [call for call in calls if call.startswith(("unlink", "rename", "sync_directory"))]
    assert changes == [
        call for number in (1, 2, 3) for call in (f"unlink {number:08}.wal", "sync_directory log")
    ]


def test_retired_segment_becomes_a_spare_if_headroom_is_short():
    disk = MemoryDisk()
    log = filled(disk)
    disk.capacity = physical(disk)
    log.preallocate(log.headroom + SEGMENT)
    assert log.disk_full
    before = log.headroom
    sizes = dict(log.segment_sizes)
    log.retire(3)
    assert log.headroom == before + sizes[1] + sizes[2] - 2 * OVERHEAD
    for path in spares(disk):
        assert not disk.names[path].data.strip(b"\0")
        assert disk.names[path].synced == disk.names[path].data
    assert physical(disk) == disk.capacity
    assert log.total_bytes == physical(disk)
    last = log.lsn
    write(log, *([b"%04d" % n * 800] for n in range(15)))
    log.collect()
    assert [record[:4] for record in records(disk)][-15:] == [b"%04d" % n for n in range(15)]
    assert log.lsn == last + 15


def test_retired_segment_with_another_name_is_no_spare():
    """A copy of the directory by hard links (`cp -al`) has the same files."""
    disk = MemoryDisk()
    log = filled(disk)
    disk.capacity = physical(disk)
    log.preallocate(log.headroom + SEGMENT)
    linked = disk.names["/copy"] = disk.names[segment(1)]
    before = bytes(linked.data)
    log.retire(3)
    assert linked.data == before
    assert len(spares(disk)) == 1  # segment 2


def test_retired_segment_is_deleted_if_headroom_suffices():
    disk = MemoryDisk()
    log = filled(disk)
    log.preallocate(2 * SEGMENT)
    before = len(spares(disk)), log.headroom
    log.retire(4)
    assert (len(spares(disk)), log.headroom) == before


def test_retired_segment_is_deleted_after_the_target_fell():
    disk = MemoryDisk()
    log = filled(disk)
    disk.capacity = physical(disk)
    log.preallocate(9 * SEGMENT)
    assert log.disk_full
    log.preallocate(log.headroom)
    log.retire(4)
    assert spares(disk) == []
    disk.capacity = 1 << 30
    log.preallocate(9 * SEGMENT)
    assert log.headroom >= 9 * SEGMENT and not log.disk_full


def test_retire_looks_at_the_present_headroom():
    disk = MemoryDisk()
    log = filled(disk)
    log.preallocate(log.headroom)
    disk.capacity = physical(disk)
    write(log, [b"x" * 3000])
    log.retire(2)
    assert len(spares(disk)) == 1


def test_recycled_segment_keeps_its_size_on_a_full_disk():
    disk = MemoryDisk()
    log = opened(disk)
    for _ in range(2):
        assert log.ensure_headroom(3 * SEGMENT)
        write(log, [b"x" * 3 * SEGMENT])
    disk.capacity = physical(disk)
    log.preallocate(2 * SEGMENT)
    log.retire(3)
    assert max(len(disk.names[path].data) for path in spares(disk)) > 3 * SEGMENT
    assert log.total_bytes == physical(disk)


def test_retired_segment_that_is_too_small_is_deleted():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"tiny"])
    log.close(at=1)
    log = opened(disk)
    assert log.segment_sizes[1] < STEP
    disk.capacity = physical(disk)
    log.preallocate(3 * SEGMENT)
    log.retire(2)
    assert spares(disk) == []


def test_drain_inline_syncs_for_retirements():
    disk = MemoryDisk()
    log = filled(disk, WINDOW)
    log.append(b"moved")
    log.retire(2)
    log.drain(at=1)
    assert (log.oldest, log.durable_lsn) == (2, log.lsn)
