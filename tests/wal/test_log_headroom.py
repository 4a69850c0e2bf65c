"""Headroom: what is counted is on the disk, and frames are written to preallocated bytes only.

(The disk in memory checks the latter.)
"""

from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.directory import OVERHEAD
from beanstalkd_wal.format import FRAME_BYTES, LENGTH_BYTES
from simulation.disk import MemoryDisk, fail_at

from tests.wal.headroom_logs import SEGMENT, STEP, fill_active, opened, physical
from tests.wal.logs import records, spares, write


def test_new_log_has_the_headroom_of_its_segment():
    log = opened(MemoryDisk())
    assert log.headroom == log.left == SEGMENT - OVERHEAD
    assert log.spare_bytes == 0


def test_record_that_fits_exactly_is_taken_one_byte_more_is_not():
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


def test_log_full_changes_nothing_in_the_open_frame():
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


def test_fits_and_append_agree_in_random_use():
    """`fits` is true exactly when `append` does not raise, and headroom is what it
    was less what the record took.
    """
    rng = Random(5)
    disk = MemoryDisk()
    log = opened(disk)
    for _ in range(3000):
        nbytes = rng.choice((0, 1, 10, 300, 2000, 5000, 33000))
        minimum = rng.choice((0, 0, 3000, 40000))
        expected = log.fits(nbytes, minimum)
        before = log.headroom
        try:
            log.append(bytes(nbytes))
        except wal.LogFull:
            assert not log.fits(nbytes)
            assert log.headroom == before
            log.preallocate(
                rng.randrange(4 * SEGMENT)
            ) if rng.random() < 0.7 else log.ensure_headroom(nbytes)
        else:
            assert expected == (log.headroom >= minimum)
            assert log.headroom <= before - nbytes - LENGTH_BYTES
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


def test_ensure_headroom_for_a_record_longer_than_a_segment():
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


def test_ensure_headroom_does_nothing_if_there_is_enough():
    disk = MemoryDisk()
    log = opened(disk)
    assert log.ensure_headroom(1000)
    assert spares(disk) == []


def test_ensure_headroom_keeps_the_minimum():
    disk = MemoryDisk()
    log = opened(disk)
    assert log.ensure_headroom(1000, minimum=3 * SEGMENT)
    assert log.fits(1000, 3 * SEGMENT)


def test_ensure_headroom_on_a_full_disk_returns_false():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk)
    assert not log.ensure_headroom(SEGMENT)
    assert log.total_bytes == physical(disk)
    log.collect()  # a full disk is no failure


def test_ensure_headroom_takes_less_than_a_segment_if_need_be():
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


def test_ensure_headroom_lengthens_the_youngest_spare():
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


def test_ensure_headroom_missing_only_the_minimum():
    disk = MemoryDisk()
    log = opened(disk)
    disk.capacity = physical(disk) + 2000
    assert not log.ensure_headroom(100, minimum=log.headroom + 2000 - OVERHEAD - 151)
    assert log.ensure_headroom(100, minimum=log.headroom + 2000 - OVERHEAD - 152)


@pytest.mark.parametrize("nth", [1, 2])
def test_ensure_headroom_on_a_broken_disk_is_final(nth):
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, nth)
    with pytest.raises(wal.LogFailed):
        log.ensure_headroom(SEGMENT)
    with pytest.raises(wal.LogFailed):
        log.collect()


def test_trim_frees_headroom_above_the_target():
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


def test_stop_on_a_full_disk_frees_nothing():
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


def test_stop_frees_the_rest_of_the_segment_with_free_space():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    log.close(at=9)
    assert physical(disk) < SEGMENT


# --- one segment from several


class Contested(MemoryDisk):
    """Another program takes at once what is freed, from the unlink number `nth` on."""

    nth = 1 << 30

    def unlink(self, path: str) -> None:
        super().unlink(path)
        self.nth -= 1
        if self.nth < 0:
            self.capacity = min(self.capacity, self.used())


def with_short_spares(count: int) -> tuple[Contested, wal.Log]:
    """A full disk, with spares of a quarter of a segment."""
    disk = Contested()
    log = opened(disk)
    for _ in range(count):
        assert log._spares.allocate(SEGMENT // 4)
    log._update_headroom()
    disk.capacity = disk.used()
    return disk, log


def test_short_spares_become_one_segment_without_loss():
    disk, log = with_short_spares(8)
    nbytes = log.headroom
    assert not log.fits(SEGMENT)
    assert log.join(SEGMENT) and log.fits(SEGMENT)
    assert log.headroom >= nbytes and physical(disk) == disk.capacity
    record = b"x" * SEGMENT
    write(log, [record])
    assert records(disk) == [record]


def test_only_one_spare_is_lost_to_another_program():
    disk, log = with_short_spares(8)
    nbytes = log.headroom
    disk.nth = 2
    assert not log.join(SEGMENT)
    assert log.headroom >= nbytes - SEGMENT // 4


def test_spares_that_are_not_enough_for_a_record_are_kept():
    disk, log = with_short_spares(3)
    nbytes = log.headroom
    assert not log.join(SEGMENT)
    assert log.headroom >= nbytes and physical(disk) == disk.capacity
