"""Replay over several segments: their succession, headers and versions."""

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.format import COPY_BYTES, HEADER_BYTES, encode_header
from beanstalkd_wal.names import segment_numbers, spare_numbers
from beanstalkd_wal.reader import read_header
from simulation.disk import File, MemoryDisk

from tests.wal.logs import DIRECTORY, NEVER, WINDOW, opened, records, replayed, segment, write
from tests.wal.replay_logs import assert_corrupt, content, frames, small_log, three_segments


def test_segments_come_back_in_order():
    assert records(three_segments()) == [bytes([n]) * 500 for n in range(30)]


def test_damage_in_a_sealed_segment_is_corrupt():
    disk = three_segments()
    for frame in frames(disk):
        if frame.segment < 3:
            content(disk, frame.segment)[frame.offset + 50] ^= 1
            assert_corrupt(disk, frame.segment, frame.offset)
            content(disk, frame.segment)[frame.offset + 50] ^= 1


@pytest.mark.parametrize("number", [1, 2])
def test_sealed_segment_that_is_too_short_is_corrupt(number):
    disk = three_segments()
    ends = [frame.end for frame in frames(disk) if frame.segment == number]
    full = bytes(content(disk, number))
    for length in range(HEADER_BYTES, len(full), 7):
        disk.names[segment(number)].data = bytearray(full[:length])
        assert_corrupt(disk, number, max([HEADER_BYTES, *(end for end in ends if end <= length)]))


def test_junk_after_a_sealed_segment_is_corrupt():
    disk = three_segments()
    end = len(content(disk, 2))
    content(disk, 2).extend(b"\0\0\0\1")
    assert_corrupt(disk, 2, end)


def test_junk_after_a_sealed_segment_is_corrupt_without_watermark():
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    write(opened(disk), [b"b"])
    end = len(content(disk, 1))
    content(disk, 1).extend(b"\0\0\0\1")
    assert_corrupt(disk, 1, end)


def test_segment_of_another_branch_of_the_log_is_corrupt():
    """The right number, log and base, but born behind another segment: from a backup that had a
    life of its own, say.
    """
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    backup = disk.copy()
    backup.rng.seed(9)
    for branch in (disk, backup):
        write(opened(branch), [b"b"])
        write(opened(branch), [b"c"])
    assert records(disk) == records(backup) == [b"a", b"b", b"c"]
    disk.names[segment(3)] = backup.names[segment(3)]
    assert_corrupt(disk, 2, len(content(disk, 2)))


def test_segment_that_begins_too_early_is_corrupt():
    disk = three_segments()
    header = read_header(bytes(content(disk, 3)), 3).header
    header.base_lsn -= 1
    content(disk, 3)[:HEADER_BYTES] = encode_header(header)
    assert_corrupt(disk, 2, len(content(disk, 2)))


def test_frame_that_was_cut_out_is_missed():
    disk = small_log()
    first, second, third = frames(disk)
    data = content(disk, 1)
    del data[second.offset : second.end]
    assert_corrupt(disk, 1, second.offset)
    disk = small_log()
    del content(disk, 1)[first.offset : second.end]
    assert_corrupt(disk, 1, first.offset)
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    write(log, [b"a"], [b"b"], [b"c"])
    first, second, third = frames(disk)
    del content(disk, 1)[second.offset : second.end]
    torn = replayed(disk).torn
    assert torn and (torn.offset, torn.expected, torn.nbytes) == (
        second.offset,
        2,
        third.end - third.offset,
    )


def test_zeros_after_a_sealed_segment_are_its_clean_end():
    disk = three_segments()
    content(disk, 2).extend(bytes(5000))
    assert len(records(disk)) == 30


def test_missing_segment_is_corrupt():
    disk = three_segments()
    end = len(content(disk, 1))
    del disk.names[segment(2)]
    assert_corrupt(disk, 1, end)


def test_missing_segment_number_is_corrupt_without_missing_lsns():
    disk = three_segments()
    header = read_header(bytes(content(disk, 3)), 3).header
    header.number = 4
    content(disk, 3)[:HEADER_BYTES] = encode_header(header)
    disk.names[segment(4)] = disk.names.pop(segment(3))
    assert_corrupt(disk, 2, len(content(disk, 2)))


def test_oldest_segments_may_be_missing():
    disk = three_segments()
    del disk.names[segment(1)]
    assert records(disk) == [bytes([n]) * 500 for n in range(12, 30)]
    replay = replayed(disk)
    assert (replay.segments[0].base_lsn, replay.next_lsn) == (13, 31)


def test_segment_of_another_log_is_corrupt():
    disk = three_segments()
    other = MemoryDisk(seed=99)
    log = opened(other)
    for n in range(30):
        write(log, [bytes([n]) * 500])
    disk.names[segment(2)] = other.names[segment(2)]
    assert_corrupt(disk, 2, 0)


def test_renamed_segment_is_corrupt():
    disk = three_segments()
    disk.names[segment(2)], disk.names[segment(3)] = disk.names[segment(3)], disk.names[segment(2)]
    assert_corrupt(disk, 2, 0)


@pytest.mark.parametrize("offset", [0, COPY_BYTES])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_damaged_header_copy_is_corrupt(number, offset):
    disk = three_segments()
    content(disk, number)[offset + 100] ^= 1
    replay = wal.Replay(DIRECTORY, fs=disk)
    with pytest.raises(wal.Corrupt) as caught:
        list(replay)
    assert (caught.value.path, caught.value.offset) == (segment(number), offset)
    assert replay.log_id == replayed(three_segments()).log_id != 0


@pytest.mark.parametrize("number", [1, 2, 3])
def test_header_with_both_copies_damaged_is_corrupt(number):
    disk = three_segments()
    content(disk, number)[0] ^= 1
    content(disk, number)[COPY_BYTES] ^= 1
    assert_corrupt(disk, number, 0)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("nbytes", [0, 1, 511, 1024, 4096])
def test_blank_segment_is_corrupt(number, nbytes):
    """A segment that has a name had a durable header."""
    disk = three_segments()
    disk.names[segment(number)] = File(bytes(nbytes))
    assert_corrupt(disk, number, 0)


def test_blank_segment_alone_in_its_log_is_corrupt():
    disk = MemoryDisk()
    disk.names[segment(1)] = File(b"")
    assert_corrupt(disk, 1, 0)


# --- versions


@pytest.mark.parametrize("number", [1, 3])
def test_newer_version_is_named_before_the_first_frame(number):
    disk = three_segments()
    for offset in (8, COPY_BYTES + 8):
        content(disk, number)[offset] = 2
    with pytest.raises(wal.NewerVersion) as caught:
        next(iter(wal.Replay(DIRECTORY, fs=disk)))
    assert (caught.value.path, caught.value.version) == (segment(number), 2)
    assert segment(number) in str(caught.value)


def test_newer_version_in_one_copy_only_is_named():
    disk = three_segments()
    content(disk, 3)[8] = 9
    content(disk, 3)[COPY_BYTES : COPY_BYTES + 12] = bytes(12)
    with pytest.raises(wal.NewerVersion):
        replayed(disk)


def test_changed_version_beside_a_whole_copy_is_corrupt():
    disk = three_segments()
    content(disk, 3)[8] = 2
    assert_corrupt(disk, 3, 0)


def test_version_zero_is_corrupt():
    disk = three_segments()
    for offset in (8, COPY_BYTES + 8):
        content(disk, 3)[offset] = 0
    assert_corrupt(disk, 3, 0)


def test_header_of_a_later_segment_has_a_watermark_too():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    log.close(at=1)
    opened(
        disk, NEVER
    )  # its header repeats the watermark, which is lost with the end of the first segment
    first, last = frames(disk)
    del content(disk, 1)[first.offset + 20 :]
    assert not first.durable_lsn and last.durable_lsn == 1
    assert_corrupt(disk, 1, first.offset)


def test_watermark_stays_after_a_run_in_never_mode():
    disk = small_log()
    log = opened(disk, NEVER)  # keeps the watermark
    write(log, [b"x"], [b"y"])
    first, *_ = frames(disk)
    content(disk, 1)[first.offset + 50] ^= 1
    assert_corrupt(disk, 1, first.offset)


def test_file_name_with_more_zeros_is_no_segment():
    """A copy beside the segment: that one must not count twice."""
    names = ["00000002.wal", "00000001.wal", "000000001.wal", "spare.7", "spare.007", "spare.08"]
    assert segment_numbers(names) == [1, 2]
    assert spare_numbers(names) == [7]
