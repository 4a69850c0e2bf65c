"""Replay: what is whole comes back in order; what is not is torn or corrupt, as the claims behind
it say.
"""

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.format import COPY_BYTES, HEADER_BYTES, encode_frame, encode_header
from beanstalkd_wal.names import segment_numbers, spare_numbers
from beanstalkd_wal.reader import read_header
from simulation.disk import File, MemoryDisk

from tests.wal.logs import DIRECTORY, NEVER, SYNC, WINDOW, opened, records, replayed, segment, write


def small_log(claimed: bool = False, durability=SYNC) -> MemoryDisk:
    """One segment of three frames: LSN 1 and 2, 3, 4. The last one claims 3; with claimed, an empty
    one behind claims 4.
    """
    disk = MemoryDisk()
    log = opened(disk, durability, segment_bytes=4096)
    write(log, [b"one", b"two"], [b"three"], [b"four" * 20])
    if claimed:
        log.write_watermark(at=9)
    return disk.copy()


def three_segments(durability=SYNC) -> MemoryDisk:
    disk = MemoryDisk()
    log = opened(disk, durability)
    for n in range(30):
        write(log, [bytes([n]) * 500])
    assert log.segment == 3
    return disk.copy()


def frames(disk: MemoryDisk) -> list[wal.Frame]:
    return list(wal.Replay(DIRECTORY, fs=disk))


def content(disk: MemoryDisk, number: int) -> bytearray:
    return disk.names[segment(number)].data


def test_an_empty_directory_is_an_empty_log():
    replay = replayed(MemoryDisk())
    assert replay.exhausted
    assert (
        replay.next_lsn,
        replay.last_segment,
        replay.watermark,
        replay.log_id,
        replay.meta,
    ) == (1, 0, 0, 0, b"")
    assert (replay.torn, replay.segments, replay.bytes_total) == (None, [], 0)


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        wal.Replay(tmp_path / "nowhere")


def test_frames_say_where_they_are():
    disk = small_log()
    found = frames(disk)
    assert [frame.records for frame in found] == [[b"one", b"two"], [b"three"], [b"four" * 20]]
    assert [frame.first_lsn for frame in found] == [1, 3, 4]
    assert [frame.durable_lsn for frame in found] == [0, 2, 3]
    assert [frame.at for frame in found] == [2, 3, 4]
    assert [frame.segment for frame in found] == [1, 1, 1]
    assert found[0].offset == HEADER_BYTES
    assert [frame.end for frame in found[:-1]] == [frame.offset for frame in found[1:]]


def test_what_replay_knows_in_the_end():
    disk = MemoryDisk()
    metas = iter([b"first", b"second", b"third"])
    log = opened(disk, at=5, meta=lambda: next(metas))
    for n in range(30):
        write(log, [bytes([n]) * 500])
    log.close(at=99)
    replay = replayed(disk)
    assert replay.torn is None
    assert (replay.next_lsn, replay.last_segment, replay.watermark) == (31, 3, 30)
    assert replay.meta == b"third"
    assert replay.bytes_done == replay.bytes_total == sum(len(content(disk, n)) for n in (1, 2, 3))
    assert [info.number for info in replay.segments] == [1, 2, 3]
    assert [info.path for info in replay.segments] == [segment(1), segment(2), segment(3)]
    assert [info.base_lsn for info in replay.segments] == [1, 13, 25]
    assert [info.next_lsn for info in replay.segments] == [13, 25, 31]
    assert [info.created_at for info in replay.segments] == [5, 13, 25]
    assert [info.meta for info in replay.segments] == [b"first", b"second", b"third"]
    assert all(
        info.file_bytes == info.used_bytes == len(content(disk, info.number))
        for info in replay.segments
    )


def test_progress_is_known_on_the_way():
    disk = three_segments()
    replay = wal.Replay(DIRECTORY, fs=disk)
    assert replay.bytes_total == sum(len(content(disk, n)) for n in (1, 2, 3))
    done = [replay.bytes_done for _ in replay]
    assert done == sorted(done)
    assert 0 < done[0] < done[-1] < replay.bytes_total == replay.bytes_done


def test_replay_changes_nothing_and_can_be_repeated():
    disk = small_log()
    content(disk, 1)[-1] = 1
    before = {name: bytes(file.data) for name, file in disk.names.items()}
    replay = wal.Replay(DIRECTORY, fs=disk)
    assert [frame.records for frame in replay] == [frame.records for frame in replay]
    assert {name: bytes(file.data) for name, file in disk.names.items()} == before
    assert not disk.changes


def test_other_files_are_none_of_its_business():
    disk = small_log()
    for name in (
        "lock",
        "binlog.1",
        "spare.3",
        "torn.1.2",
        "1.wal",
        "000000002.wal",
        "00000002.wal.bak",
        "x00000002.wal",
    ):
        disk.names[f"{DIRECTORY}/{name}"] = File(b"whatever")
    assert records(disk) == [b"one", b"two", b"three", b"four" * 20]


# --- every bit and every byte


@pytest.mark.parametrize("claimed", [False, True])
def test_every_changed_bit_is_seen_and_judged(claimed):
    """At or below a claim that stands behind it: corrupt, with file and offset. Above: torn, and
    all before it comes back.
    """
    disk = small_log(claimed)
    whole = frames(disk)
    end = whole[-1].end
    data = content(disk, 1)
    for bit in range((end + 64) * 8):
        offset = bit // 8
        data[offset] ^= 1 << bit % 8
        if offset < HEADER_BYTES:
            assert_corrupt(disk, 1, offset // COPY_BYTES * COPY_BYTES)
        else:
            hit = next((frame for frame in whole if frame.offset <= offset < frame.end), None)
            judge_damage(disk, whole, hit, end)
        data[offset] ^= 1 << bit % 8
    assert [frame.records for frame in frames(disk)] == [frame.records for frame in whole]


def judge_damage(disk, whole, hit, end):
    if hit is None:  # in the zeros
        replay = replayed(disk)
        assert replay.torn and replay.torn.offset == end and replay.next_lsn == 5
        return
    behind = [frame.durable_lsn for frame in whole if frame.offset > hit.offset]
    if max(behind, default=0) >= hit.first_lsn:
        assert_corrupt(disk, 1, hit.offset)
        return
    replay = wal.Replay(DIRECTORY, fs=disk)
    assert [frame.offset for frame in replay] == [
        frame.offset for frame in whole if frame.offset < hit.offset
    ]
    torn = replay.torn
    assert torn and (torn.path, torn.segment, torn.offset, torn.expected) == (
        segment(1),
        1,
        hit.offset,
        hit.first_lsn,
    )
    assert torn.offset + torn.nbytes <= end
    assert replay.next_lsn == hit.first_lsn


def assert_corrupt(disk, number, offset):
    with pytest.raises(wal.Corrupt) as caught:
        frames(disk)
    assert (caught.value.path, caught.value.offset) == (segment(number), offset)
    assert segment(number) in str(caught.value) and str(offset) in str(caught.value)


def test_without_a_claim_the_last_frame_is_torn_and_the_others_are_corrupt():
    assert [judged(small_log(), offset) for offset in offsets(small_log())] == [
        "corrupt",
        "corrupt",
        "torn",
    ]


def test_with_a_claim_all_records_are_corrupt_and_only_the_claim_is_torn():
    assert [judged(small_log(True), offset) for offset in offsets(small_log(True))] == [
        "corrupt",
        "corrupt",
        "corrupt",
        "torn",
    ]


def offsets(disk):
    return [frame.offset for frame in frames(disk)]


def judged(disk, offset):
    content(disk, 1)[offset + 20] ^= 1
    try:
        return "torn" if replayed(disk).torn else "whole"
    except wal.Corrupt:
        return "corrupt"


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
def test_truncation_at_every_byte(claimed, zeros):
    """The last segment cut anywhere, or zeros from there on: nothing is left behind to claim
    anything, so it is torn, or just shorter.
    """
    disk = small_log(claimed)
    whole = frames(disk)
    full = bytes(content(disk, 1))
    for length in range(HEADER_BYTES, whole[-1].end):
        cut = full[:length] + bytes(len(full) - length if zeros else 0)
        disk.names[segment(1)].data = bytearray(cut)
        replay = wal.Replay(DIRECTORY, fs=disk)
        kept = [frame.end for frame in replay]
        assert kept == [frame.end for frame in whole if cut[: frame.end] == full[: frame.end]]
        end = max([HEADER_BYTES, *kept])
        assert replay.torn is None if length <= end else replay.torn.offset == end
        assert replay.next_lsn == max([1, *(frame.next_lsn for frame in whole if frame.end <= end)])


def test_a_hole_of_zeros_below_a_claim_is_corrupt():
    disk = small_log()
    frame = frames(disk)[1]
    content(disk, 1)[frame.offset : frame.end] = bytes(frame.end - frame.offset)
    assert_corrupt(disk, 1, frame.offset)


def test_a_whole_frame_behind_a_torn_one_does_not_make_it_corrupt():
    """Two frames of one batch: both claim what was durable before. The disk may have written the
    second and not the first.
    """
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    write(log, [b"a"])
    log.sync(at=1)
    write(log, [b"b"], [b"c"])
    found = frames(disk)
    content(disk, 1)[found[1].offset] ^= 1
    replay = replayed(disk)
    assert replay.torn and replay.torn.expected == 2
    assert replay.torn.nbytes == found[2].end - found[1].offset
    write(log, [b"d"])
    log.sync(at=2)
    write(log, [b"e"])  # claims 4
    assert_corrupt(disk, 1, found[1].offset)


def test_a_stale_frame_behind_the_end_is_torn_and_never_valid():
    disk = small_log()
    found = frames(disk)
    data = content(disk, 1)
    old = data[found[0].offset : found[0].end]
    data[found[-1].end : found[-1].end + len(old)] = old
    replay = replayed(disk)
    assert replay.torn and replay.torn.offset == found[-1].end
    assert replay.next_lsn == 5


def test_a_claim_inside_a_damaged_payload_counts_by_its_header():
    """A frame whose header is whole tells what had been durable, even if its payload is gone."""
    disk = small_log()
    found = frames(disk)
    content(disk, 1)[found[1].end - 1] ^= 1
    content(disk, 1)[found[2].end - 1] ^= 1
    assert_corrupt(disk, 1, found[1].offset)


def test_a_record_that_looks_like_a_frame_is_a_record():
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    smuggled = b"".join(encode_frame(1, 1000, 0, [b"gotcha"], 12345))
    write(log, [b"a"], [smuggled * 3])
    found = frames(disk)
    content(disk, 1)[found[0].offset] ^= 1
    replay = replayed(disk)
    assert replay.torn and replay.next_lsn == 1


# --- segments


def test_several_segments_come_back_in_order():
    assert records(three_segments()) == [bytes([n]) * 500 for n in range(30)]


def test_damage_in_a_sealed_segment_is_corrupt():
    disk = three_segments()
    for frame in frames(disk):
        if frame.segment < 3:
            content(disk, frame.segment)[frame.offset + 50] ^= 1
            assert_corrupt(disk, frame.segment, frame.offset)
            content(disk, frame.segment)[frame.offset + 50] ^= 1


@pytest.mark.parametrize("number", [1, 2])
def test_a_sealed_segment_that_is_too_short_is_corrupt(number):
    disk = three_segments()
    ends = [frame.end for frame in frames(disk) if frame.segment == number]
    full = bytes(content(disk, number))
    for length in range(HEADER_BYTES, len(full), 7):
        disk.names[segment(number)].data = bytearray(full[:length])
        assert_corrupt(disk, number, max([HEADER_BYTES, *(end for end in ends if end <= length)]))


def test_junk_behind_a_sealed_segment_is_corrupt():
    disk = three_segments()
    end = len(content(disk, 2))
    content(disk, 2).extend(b"\0\0\0\1")
    assert_corrupt(disk, 2, end)


def test_junk_behind_a_sealed_segment_is_corrupt_before_anything_else_claims_it():
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    write(opened(disk), [b"b"])
    end = len(content(disk, 1))
    content(disk, 1).extend(b"\0\0\0\1")
    assert_corrupt(disk, 1, end)


def test_a_segment_of_another_branch_of_the_log_is_corrupt():
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


def test_a_segment_that_begins_too_early_is_corrupt():
    disk = three_segments()
    header = read_header(bytes(content(disk, 3)), 3).header
    header.base_lsn -= 1
    content(disk, 3)[:HEADER_BYTES] = encode_header(header)
    assert_corrupt(disk, 2, len(content(disk, 2)))


def test_a_frame_that_was_cut_out_is_missed():
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


def test_zeros_behind_a_sealed_segment_are_its_clean_end():
    disk = three_segments()
    content(disk, 2).extend(bytes(5000))
    assert len(records(disk)) == 30


def test_a_missing_segment_is_corrupt():
    disk = three_segments()
    end = len(content(disk, 1))
    del disk.names[segment(2)]
    assert_corrupt(disk, 1, end)


def test_a_missing_number_is_corrupt_even_if_no_lsn_is_missing():
    disk = three_segments()
    header = read_header(bytes(content(disk, 3)), 3).header
    header.number = 4
    content(disk, 3)[:HEADER_BYTES] = encode_header(header)
    disk.names[segment(4)] = disk.names.pop(segment(3))
    assert_corrupt(disk, 2, len(content(disk, 2)))


def test_the_oldest_segments_may_be_missing():
    disk = three_segments()
    del disk.names[segment(1)]
    assert records(disk) == [bytes([n]) * 500 for n in range(12, 30)]
    replay = replayed(disk)
    assert (replay.segments[0].base_lsn, replay.next_lsn) == (13, 31)


def test_a_segment_of_another_log_is_corrupt():
    disk = three_segments()
    other = MemoryDisk(seed=99)
    log = opened(other)
    for n in range(30):
        write(log, [bytes([n]) * 500])
    disk.names[segment(2)] = other.names[segment(2)]
    assert_corrupt(disk, 2, 0)


def test_a_renamed_segment_is_corrupt():
    disk = three_segments()
    disk.names[segment(2)], disk.names[segment(3)] = disk.names[segment(3)], disk.names[segment(2)]
    assert_corrupt(disk, 2, 0)


@pytest.mark.parametrize("offset", [0, COPY_BYTES])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_damaged_copy_of_a_header_is_corrupt_and_the_other_one_is_known(number, offset):
    disk = three_segments()
    content(disk, number)[offset + 100] ^= 1
    replay = wal.Replay(DIRECTORY, fs=disk)
    with pytest.raises(wal.Corrupt) as caught:
        list(replay)
    assert (caught.value.path, caught.value.offset) == (segment(number), offset)
    assert replay.log_id == replayed(three_segments()).log_id != 0


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_header_of_which_no_copy_can_be_read_is_corrupt(number):
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
def test_a_newer_version_is_named_before_the_first_frame(number):
    disk = three_segments()
    for offset in (8, COPY_BYTES + 8):
        content(disk, number)[offset] = 2
    with pytest.raises(wal.NewerVersion) as caught:
        next(iter(wal.Replay(DIRECTORY, fs=disk)))
    assert (caught.value.path, caught.value.version) == (segment(number), 2)
    assert segment(number) in str(caught.value)


def test_a_newer_version_with_its_second_copy_elsewhere_is_still_named():
    disk = three_segments()
    content(disk, 3)[8] = 9
    content(disk, 3)[COPY_BYTES : COPY_BYTES + 12] = bytes(12)
    with pytest.raises(wal.NewerVersion):
        replayed(disk)


def test_a_flipped_version_beside_a_whole_copy_is_damage():
    disk = three_segments()
    content(disk, 3)[8] = 2
    assert_corrupt(disk, 3, 0)


def test_version_zero_is_no_version():
    disk = three_segments()
    for offset in (8, COPY_BYTES + 8):
        content(disk, 3)[offset] = 0
    assert_corrupt(disk, 3, 0)


def test_the_header_of_a_later_segment_claims_as_well():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    log.close(at=1)
    opened(
        disk, NEVER
    )  # its header repeats the claim, which is lost with the end of the first segment
    first, claim = frames(disk)
    del content(disk, 1)[first.offset + 20 :]
    assert not first.durable_lsn and claim.durable_lsn == 1
    assert_corrupt(disk, 1, first.offset)


def test_what_was_durable_before_a_never_synced_log_went_on_stays_protected():
    disk = small_log()
    log = opened(disk, NEVER)  # claims nothing new, forgets nothing old
    write(log, [b"x"], [b"y"])
    first, *_ = frames(disk)
    content(disk, 1)[first.offset + 50] ^= 1
    assert_corrupt(disk, 1, first.offset)


def test_a_file_with_more_zeros_in_its_name_is_none_of_ours():
    """A copy beside the segment: that one must not count twice."""
    names = ["00000002.wal", "00000001.wal", "000000001.wal", "spare.7", "spare.007", "spare.08"]
    assert segment_numbers(names) == [1, 2]
    assert spare_numbers(names) == [7]
