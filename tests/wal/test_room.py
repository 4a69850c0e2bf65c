"""Room: what is counted is physically there, and nothing is ever written where nothing was prepared
(the disk in memory sees to that).
"""

import errno
from itertools import pairwise
from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.directory import OVERHEAD
from beanstalkd_wal.format import FRAME_BYTES, LENGTH_BYTES
from beanstalkd_wal.progress import SpareGrown
from simulation.disk import MemoryDisk, fail_at

from tests.wal import logs
from tests.wal.logs import SYNC, WINDOW, records, segment, spares, write

SEGMENT = 32768
STEP = SEGMENT // 16


def opened(disk: MemoryDisk, durability: wal.Durability = SYNC, **options) -> wal.Log:
    return logs.opened(disk, durability, SEGMENT, **options)


def physical(disk: MemoryDisk) -> int:
    return sum(len(file.data) for path, file in disk.names.items() if "/torn." not in path)


def fill_active(log: wal.Log) -> None:
    write(log, [b"x" * (log.left - FRAME_BYTES - LENGTH_BYTES)])
    assert log.left == 0


def test_a_new_log_has_the_room_of_its_segment():
    log = opened(MemoryDisk())
    assert log.headroom == log.left == SEGMENT - OVERHEAD
    assert log.spare_bytes == 0


def test_a_record_that_fits_exactly_is_taken_and_one_byte_more_is_not():
    log = opened(MemoryDisk())
    largest = SEGMENT - OVERHEAD - FRAME_BYTES - LENGTH_BYTES
    assert log.fits(largest) and not log.fits(largest + 1)
    before = log.headroom, log.lsn, log.segment, log.pending
    with pytest.raises(wal.LogFull) as caught:
        log.append(b"x" * (largest + 1))
    assert (caught.value.nbytes, caught.value.headroom) == (largest + 1, SEGMENT - OVERHEAD)
    assert (log.headroom, log.lsn, log.segment, log.pending) == before
    log.append(b"x" * largest)
    assert log.headroom == 0
    log.commit(at=1)
    log.collect()


def test_full_changes_nothing_in_the_open_frame():
    disk = MemoryDisk()
    log = opened(disk)
    log.append(b"a")
    before = log.headroom
    with pytest.raises(wal.LogFull):
        log.append(b"x" * SEGMENT)
    assert log.headroom == before
    log.append(b"b")
    log.commit(at=1)
    assert records(disk) == [b"a", b"b"]
    assert log.headroom == before - LENGTH_BYTES - 1


def test_fits_and_append_agree_whatever_happens():
    """The claim of LogFull accounting: fits says yes exactly when append does, and room is what it
    was less what the record took.
    """
    rng = Random(5)
    disk = MemoryDisk()
    log = opened(disk)
    for _ in range(3000):
        nbytes = rng.choice((0, 1, 10, 300, 2000, 5000, 33000))
        floor = rng.choice((0, 0, 3000, 40000))
        expected = log.fits(nbytes, floor)
        room = log.headroom
        try:
            log.append(bytes(nbytes))
        except wal.LogFull:
            assert not log.fits(nbytes)
            assert log.headroom == room
            log.preallocate(
                rng.randrange(4 * SEGMENT)
            ) if rng.random() < 0.7 else log.ensure_headroom(nbytes)
        else:
            assert expected == (log.headroom >= floor)
            assert log.headroom <= room - nbytes - LENGTH_BYTES
        if rng.random() < 0.3:
            log.commit(at=1)
        if rng.random() < 0.05:
            log.write_watermark(at=1)
        if rng.random() < 0.02:
            log.retire(log.segment)
        log.collect()
        assert (
            log.headroom == log.left + log.spare_bytes - OVERHEAD * len(spares(disk)) or log.pending
        )
    log.commit(at=2)
    log.collect()
    assert log.total_bytes == physical(disk)
    assert log.headroom == log.left + log.spare_bytes - OVERHEAD * len(spares(disk))


def test_prepare_makes_spares_grow_to_the_wish():
    disk = MemoryDisk()
    log = opened(disk)
    wish = 2 * SEGMENT + 100
    log.preallocate(wish)
    assert wish <= log.headroom <= wish + SEGMENT
    assert not log.disk_full
    for path in spares(disk):
        file = disk.names[path]
        assert len(file.data) <= SEGMENT
        assert bytes(file.data) == file.synced == bytes(len(file.data))
    assert log.spare_bytes == sum(len(disk.names[path].data) for path in spares(disk))
    assert log.total_bytes == physical(disk)
    before = log.headroom
    log.preallocate(wish)
    assert log.headroom == before


def test_spares_grow_in_steps_and_each_counts_at_once():
    disk = MemoryDisk()
    rooms = []
    holder = []
    log = opened(disk, notify=lambda: rooms.append(holder[0].headroom))
    holder.append(log)
    log.preallocate(SEGMENT - OVERHEAD + SEGMENT - OVERHEAD)
    grown = sorted(set(rooms))
    assert len(grown) > 4
    assert all(after - before <= STEP for before, after in pairwise(grown))


def test_a_spare_that_is_needed_early_is_taken_as_far_as_it_is():
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


def test_prepare_on_a_full_disk_is_short_until_there_is_room():
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


def test_a_full_disk_leaves_no_empty_spare():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk) + 100
    log.preallocate(3 * SEGMENT)
    assert log.disk_full and spares(disk) == []
    assert not log.ensure_headroom(SEGMENT)
    assert spares(disk) == []


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5, 6])
def test_want_of_space_or_descriptors_is_no_failure_of_preparing(error, nth):
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, nth, error)
    log.preallocate(2 * SEGMENT)
    log.collect()
    assert log.disk_full
    log.preallocate(2 * SEGMENT)
    log.collect()
    assert not log.disk_full and log.headroom >= 2 * SEGMENT
    assert log.total_bytes == physical(disk)


@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_another_error_of_preparing_is_final(nth):
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, nth)
    log.preallocate(2 * SEGMENT)
    with pytest.raises(wal.LogFailed) as caught:
        log.collect()
    assert caught.value.errno == errno.EIO
    with pytest.raises(wal.LogFailed):
        log.append(b"a")


def test_a_spare_that_is_taken_at_the_last_moment_is_not_lengthened():
    """Between the preparer's look at it and its lock, the owner may have taken it and the committer
    have begun a segment in it.
    """
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(log.headroom + 100)
    preparer = log._threads.preparer
    spare = preparer._growing

    class Moment:
        def __enter__(self):
            spare.taken = True

        def __exit__(self, *_):
            pass

    spare.lock = Moment()
    before = spare.size, physical(disk)
    assert preparer._advance()
    assert (spare.size, physical(disk)) == before


def test_more_room_than_was_ever_wished_for_is_not_short():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk)
    log.preallocate(2 * SEGMENT)
    assert log.disk_full
    log.preallocate(100)
    assert not log.disk_full


def test_what_a_crash_left_is_given_back_when_there_is_room_without_it():
    """An empty file counts as no bytes; it is one all the same."""
    disk = MemoryDisk()
    opened(disk).close(at=1)
    for number, nbytes in ((7, 0), (8, 3 * STEP)):
        handle = disk.create(f"{logs.DIRECTORY}/spare.{number}")
        disk.write(handle, bytes(nbytes), 0)
        disk.close(handle)
    log = opened(disk)
    assert len(spares(disk)) == 2
    log.preallocate(log.headroom)
    assert spares(disk) == []
    log.collect()
    assert log.total_bytes == physical(disk) and not log.disk_full


# --- at once


def test_make_room_for_a_record_longer_than_a_segment():
    disk = MemoryDisk()
    log = opened(disk)
    assert log.ensure_headroom(5 * SEGMENT)
    assert log.total_bytes == physical(disk)
    assert log.append(b"x" * 5 * SEGMENT) == 2
    log.commit(at=1)
    write(log, [b"y" * 100])
    log.collect()
    assert records(disk) == [b"x" * 5 * SEGMENT, b"y" * 100]
    assert log.total_bytes == physical(disk)


def test_make_room_does_nothing_when_there_is_room():
    disk = MemoryDisk()
    log = opened(disk)
    assert log.ensure_headroom(1000)
    assert spares(disk) == []


def test_make_room_keeps_the_floor():
    disk = MemoryDisk()
    log = opened(disk)
    assert log.ensure_headroom(1000, minimum=3 * SEGMENT)
    assert log.fits(1000, 3 * SEGMENT)


def test_make_room_on_a_full_disk():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk)
    assert not log.ensure_headroom(SEGMENT)
    assert log.total_bytes == physical(disk)
    log.collect()  # a full disk is no failure


def test_make_room_takes_just_what_is_lacking_when_a_whole_segment_is_not_to_be_had():
    disk = MemoryDisk()
    log = opened(disk)
    fill_active(log)
    disk.capacity = physical(disk) + OVERHEAD + FRAME_BYTES + LENGTH_BYTES + 500
    assert not log.ensure_headroom(501)
    assert log.ensure_headroom(500)
    log.append(b"x" * 500)
    log.commit(at=1)
    log.collect()
    assert log.headroom == 0


def test_make_room_lengthens_the_youngest_spare_when_that_is_all_there_is():
    disk = MemoryDisk()
    log = opened(disk)
    fill_active(log)
    log.preallocate(10)
    disk.capacity = physical(disk) + 500
    needed = 2 * STEP + 500 - OVERHEAD - FRAME_BYTES - LENGTH_BYTES
    assert not log.ensure_headroom(needed + 1)
    assert log.ensure_headroom(needed)
    assert len(spares(disk)) == 1
    log.append(b"x" * needed)
    log.commit(at=1)
    log.collect()


@pytest.mark.parametrize("change", ["ensure_headroom", "trim"])
def test_a_spare_changes_its_size_only_under_its_lock(change):
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

    log._threads.preparer._growing.lock = Lock()
    disk.capacity = physical(disk) + STEP
    disk.before = lambda call, path: held.append(call) if call in ("allocate", "truncate") else None
    if change == "ensure_headroom":
        assert log.ensure_headroom(SEGMENT - OVERHEAD + STEP // 2)
        assert "locked allocate released" in " ".join(held)
    else:
        log.trim(log.headroom - 2 * STEP)
        assert held == ["locked", "truncate", "released"]


def test_make_room_lacking_only_the_floor():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk) + 2000
    assert not log.ensure_headroom(100, minimum=log.headroom + 2000 - OVERHEAD - 151)
    assert log.ensure_headroom(100, minimum=log.headroom + 2000 - OVERHEAD - 152)


@pytest.mark.parametrize("nth", [1, 2])
def test_a_broken_disk_fails_make_room(nth):
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, nth)
    with pytest.raises(wal.LogFailed):
        log.ensure_headroom(SEGMENT)
    with pytest.raises(wal.LogFailed):
        log.collect()


def test_trim_gives_back_what_is_too_much():
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(6 * SEGMENT)
    log.trim(3 * SEGMENT)
    assert 3 * SEGMENT <= log.headroom < 4 * SEGMENT
    assert log.total_bytes == physical(disk)
    assert log.spare_bytes == sum(len(disk.names[path].data) for path in spares(disk))
    log.preallocate(6 * SEGMENT)
    assert log.headroom >= 6 * SEGMENT
    write(log, *([bytes([n]) * 3000] for n in range(12)))
    log.collect()
    assert log.total_bytes == physical(disk)


# --- dropping


def filled(disk: MemoryDisk, durability=SYNC, segments: int = 4) -> wal.Log:
    log = opened(disk, durability)
    n = 0
    while log.segment < segments:
        write(log, [b"%04d" % n * 800])
        n += 1
    return log


def test_drop_removes_the_oldest_segments():
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


def test_drop_never_takes_the_active_segment():
    disk = MemoryDisk()
    log = filled(disk)
    log.retire(99)
    assert (log.oldest, log.segment, log.segment_sizes) == (4, 4, {})
    write(log, [b"more"])
    log.retire(99)
    assert records(disk)[-1] == b"more"


def test_a_drop_waits_until_what_was_appended_before_it_is_durable():
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


def test_a_drop_that_waits_is_done_by_close():
    disk = MemoryDisk()
    log = filled(disk, WINDOW)
    log.append(b"moved")
    log.retire(4)
    log.close(at=1)
    assert records(disk)[-1] == b"moved"
    assert not any(segment(number) in disk.names for number in (1, 2, 3))


def test_segments_vanish_one_after_the_other_each_for_good():
    """No crash may leave a gap: the directory is synced between two drops."""
    disk = MemoryDisk()
    log = filled(disk)
    calls = fail_at(disk, 0)
    log.retire(4)
    changes = [call for call in calls if call.startswith(("unlink", "rename", "sync_directory"))]
    assert changes == [
        call for number in (1, 2, 3) for call in (f"unlink {number:08}.wal", "sync_directory log")
    ]


def test_what_is_dropped_becomes_a_spare_when_room_is_short():
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


def test_what_is_dropped_is_given_back_when_there_is_room_enough():
    disk = MemoryDisk()
    log = filled(disk)
    log.preallocate(2 * SEGMENT)
    before = len(spares(disk)), log.headroom
    log.retire(4)
    assert (len(spares(disk)), log.headroom) == before


def test_what_is_dropped_is_given_back_when_less_room_is_wished_for_than_once_was():
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


def test_a_drop_looks_at_the_room_there_is_now():
    disk = MemoryDisk()
    log = filled(disk)
    log.preallocate(log.headroom)
    disk.capacity = physical(disk)
    write(log, [b"x" * 3000])
    log.retire(2)
    assert len(spares(disk)) == 1


def test_old_news_of_a_spare_takes_nothing_back():
    """The preparer's report may come after ensure_headroom has lengthened the same spare."""
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(log.headroom + 100)
    spare = log._threads.preparer._growing
    before = log.headroom, log.spare_bytes
    log._progress.events.append(SpareGrown(spare, spare.size - 100, 0))
    log.collect()
    assert (log.headroom, log.spare_bytes) == before


def test_a_recycled_segment_is_never_larger_than_others():
    disk = MemoryDisk()
    log = opened(disk)
    for _ in range(2):
        assert log.ensure_headroom(3 * SEGMENT)
        write(log, [b"x" * 3 * SEGMENT])
    disk.capacity = physical(disk)
    log.preallocate(2 * SEGMENT)
    log.retire(3)
    assert max(len(disk.names[path].data) for path in spares(disk)) <= SEGMENT
    assert log.total_bytes == physical(disk) < disk.capacity


def test_a_dropped_segment_that_is_too_small_to_be_of_use_is_given_back():
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


def test_drain_inline_does_what_a_sync_would():
    disk = MemoryDisk()
    log = filled(disk, WINDOW)
    log.append(b"moved")
    log.retire(2)
    log.drain(at=1)
    assert (log.oldest, log.durable_lsn) == (2, log.lsn)


def test_a_stop_on_a_full_disk_gives_nothing_back():
    """Somebody else would take it before the next start."""
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk)
    log.preallocate(4 * SEGMENT)
    log.collect()
    assert log.disk_full
    write(log, [b"a"])
    log.close(at=9)
    assert physical(disk) == disk.capacity
    again = opened(disk)
    assert records(disk) == [b"a"]
    assert again.headroom > SEGMENT // 2


def test_a_stop_gives_back_the_rest_of_the_segment_when_the_disk_is_not_full():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    log.close(at=9)
    assert physical(disk) < SEGMENT
