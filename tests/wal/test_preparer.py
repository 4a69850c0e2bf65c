"""Preallocation in the background: spares, their size, a full disk."""

import errno
from itertools import pairwise
from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.directory import OVERHEAD
from beanstalkd_wal.progress import SpareGrown
from simulation.disk import MemoryDisk, fail_at, nothing

from tests.wal.headroom_logs import SEGMENT, STEP, fill_active, filled, opened, physical
from tests.wal.logs import DIRECTORY, segment, spares


def test_preallocate_grows_spares_to_the_target():
    disk = MemoryDisk()
    log = opened(disk)
    target = 2 * SEGMENT + 100
    log.preallocate(target)
    assert target <= log.headroom <= target + SEGMENT
    assert not log.disk_full
    for path in spares(disk):
        file = disk.names[path]
        assert len(file.data) <= SEGMENT
        assert bytes(file.data) == file.synced == bytes(len(file.data))
    assert log.spare_bytes == sum(len(disk.names[path].data) for path in spares(disk))
    assert log.total_bytes == physical(disk)
    before = log.headroom
    log.preallocate(target)
    assert log.headroom == before


def test_spares_grow_in_steps_that_count_at_once():
    disk = MemoryDisk()
    rooms = []
    holder = []
    log = opened(disk, notify=lambda: rooms.append(holder[0].headroom))
    holder.append(log)
    log.preallocate(SEGMENT - OVERHEAD + SEGMENT - OVERHEAD)
    grown = sorted(set(rooms))
    assert len(grown) > 4
    assert all(after - before <= STEP for before, after in pairwise(grown))


def test_spare_is_used_before_it_has_its_full_size():
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(log.headroom + 100)
    fill_active(log)
    assert len(disk.names[spares(disk)[0]].data) == 2 * STEP
    log.append(b"x" * 20)
    log.commit(at=1)
    assert (log.segment, len(disk.names[segment(2)].data)) == (2, 2 * STEP)
    log.preallocate(log.headroom + 1000)
    assert len(disk.names[segment(2)].data) == 2 * STEP  # it is no spare any more
    log.collect()


def test_preallocate_on_a_full_disk_waits_for_space():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk) + 3 * STEP + 10
    log.preallocate(3 * SEGMENT)
    assert log.disk_full
    assert log.headroom == SEGMENT - OVERHEAD + 3 * STEP - OVERHEAD
    assert log.total_bytes == physical(disk)
    log.preallocate(3 * SEGMENT)
    assert log.disk_full
    disk.capacity = 1 << 30
    log.preallocate(3 * SEGMENT)
    assert not log.disk_full
    assert log.headroom >= 3 * SEGMENT
    log.collect()


def test_preallocate_on_a_full_disk_leaves_no_empty_spare():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk) + 100
    log.preallocate(3 * SEGMENT)
    assert log.disk_full and spares(disk) == []
    assert not log.ensure_headroom(SEGMENT)
    assert spares(disk) == []


def test_preallocate_without_memory_is_tried_again():
    disk = MemoryDisk()
    log = opened(disk)

    def no_memory(call, path):
        if call == "write":
            raise MemoryError

    disk.before = no_memory
    log.preallocate(2 * SEGMENT)
    log.collect()
    assert (log.disk_full, log.full_errno) == (True, errno.ENOMEM)
    assert log.total_bytes == physical(disk)
    disk.before = nothing
    log.preallocate(2 * SEGMENT)
    log.collect()
    assert not log.disk_full and log.headroom >= 2 * SEGMENT


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5, 6])
def test_preallocate_without_space_or_descriptors_does_not_fail(error, nth):
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, nth, error)
    log.preallocate(2 * SEGMENT)
    log.collect()
    assert (log.disk_full, log.full_errno) == (True, error)
    log.preallocate(2 * SEGMENT)
    log.collect()
    assert not log.disk_full and log.headroom >= 2 * SEGMENT
    assert log.total_bytes == physical(disk)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_preallocate_fails_finally_on_other_errors(nth):
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, nth)
    log.preallocate(2 * SEGMENT)
    with pytest.raises(wal.LogFailed) as caught:
        log.collect()
    assert caught.value.errno == errno.EIO
    with pytest.raises(wal.LogFailed):
        log.append(b"a")


def test_spare_taken_at_the_last_moment_is_not_lengthened():
    """Between the preparer's look at it and its lock, the owner may have taken it and the committer
    have begun a segment in it.
    """
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(log.headroom + 100)
    preparer = log._threads.preparer
    spare = preparer._spares[-1]

    class Moment:
        def __enter__(self):
            spare.taken = True

        def __exit__(self, *_):
            pass

    spare.lock = Moment()
    before = spare.size, physical(disk)
    assert preparer._advance()
    assert (spare.size, physical(disk)) == before


def test_disk_full_ends_when_headroom_reaches_the_target():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk)
    log.preallocate(2 * SEGMENT)
    assert log.disk_full
    log.preallocate(100)
    assert not log.disk_full


@pytest.mark.parametrize("freed", [STEP // 2, 2 * STEP, 2 * SEGMENT])
def test_disk_full_ends_when_space_is_freed(freed: int) -> None:
    """By the log itself, which may allocate it again. Less than a step is not freed."""
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk) + 2 * SEGMENT + 3 * STEP
    log.preallocate(log.headroom + 4 * SEGMENT)
    assert log.disk_full
    before = physical(disk)
    log.trim(log.headroom - freed)
    assert log.disk_full == (physical(disk) == before) == (freed < STEP)


def test_old_spares_are_deleted_when_headroom_suffices():
    """An empty file counts as no bytes; it is one all the same."""
    disk = MemoryDisk()
    opened(disk).close(at=1)
    for number, nbytes in ((7, 0), (8, 3 * STEP)):
        handle = disk.create(f"{DIRECTORY}/spare.{number}")
        disk.write(handle, bytes(nbytes), 0)
        disk.close(handle)
    log = opened(disk)
    assert len(spares(disk)) == 2
    log.preallocate(log.headroom)
    assert spares(disk) == []
    log.collect()
    assert log.total_bytes == physical(disk) and not log.disk_full


@pytest.mark.parametrize("change", ["ensure_headroom", "trim"])
def test_spare_changes_its_size_only_under_its_lock(change):
    """The preparer may be lengthening the same one."""
    disk = MemoryDisk()
    log = opened(disk)
    fill_active(log)
    log.preallocate(SEGMENT - STEP)
    held = []

    class Lock:
        def __enter__(self):
            held.append("locked")

        def __exit__(self, *_):
            held.append("released")

    log._threads.preparer._spares[-1].lock = Lock()
    disk.capacity = physical(disk) + STEP
    disk.before = lambda call, path: held.append(call) if call in ("allocate", "truncate") else None
    if change == "ensure_headroom":
        assert log.ensure_headroom(SEGMENT - OVERHEAD + STEP // 2)
        assert "locked allocate released" in " ".join(held)
    else:
        log.trim(log.headroom - 2 * STEP)
        assert held == ["locked", "truncate", "released"]


def test_late_report_of_a_spare_takes_nothing_back():
    """The preparer's report may come after ensure_headroom has lengthened the same spare."""
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(log.headroom + 100)
    spare = log._threads.preparer._spares[-1]
    before = log.headroom, log.spare_bytes
    log._progress.events.append(SpareGrown(spare, spare.size - 100, 0))
    log.collect()
    assert (log.headroom, log.spare_bytes) == before


def collecting(log: wal.Log) -> list[bool]:
    """Whether the disk is full, after each report of the preparer from now on."""
    seen: list[bool] = []

    def notify() -> None:
        log.collect()
        seen.append(log.disk_full)

    log._progress.notify = notify
    return seen


def test_disk_is_not_full_any_more_as_soon_as_it_gives_new_space():
    """Puts go on before the whole target is preallocated."""
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk)
    log.preallocate(3 * SEGMENT)
    assert log.disk_full
    disk.free()
    seen = collecting(log)
    log.preallocate(3 * SEGMENT)
    assert len(seen) > 4
    assert not any(seen)


def test_disk_stays_full_while_only_dirty_files_are_reused():
    disk = MemoryDisk()
    log = filled(disk)
    disk.capacity = physical(disk)
    log.preallocate(30 * SEGMENT)
    assert log.disk_full
    before = log.headroom
    seen = collecting(log)
    log.retire(log.segment)
    assert log.headroom > before
    assert seen and all(seen)


def test_spares_survive_a_power_cut():
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(3 * SEGMENT)
    for seed in range(20):
        left = disk.after_crash(Random(seed))
        assert sum(len(left.names[path].data) for path in spares(left)) == log.spare_bytes
