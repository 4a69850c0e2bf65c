"""Replay: whole frames come back in order; damage is torn or corrupt, as the watermarks say."""

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.format import COPY_BYTES, HEADER_BYTES, encode_frame
from simulation.disk import File, MemoryDisk

from tests.wal.logs import DIRECTORY, WINDOW, opened, records, replayed, segment, write
from tests.wal.replay_logs import assert_corrupt, content, frames, small_log, three_segments


def test_empty_directory_is_an_empty_log():
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


def test_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        wal.Replay(tmp_path / "nowhere")


def test_frames_know_their_place():
    disk = small_log()
    found = frames(disk)
    assert [frame.records for frame in found] == [[b"one", b"two"], [b"three"], [b"four" * 20]]
    assert [frame.first_lsn for frame in found] == [1, 3, 4]
    assert [frame.durable_lsn for frame in found] == [0, 2, 3]
    assert [frame.at for frame in found] == [2, 3, 4]
    assert [frame.segment for frame in found] == [1, 1, 1]
    assert found[0].offset == HEADER_BYTES
    assert [frame.end for frame in found[:-1]] == [frame.offset for frame in found[1:]]


def test_replay_knows_segments_and_metadata_at_the_end():
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


def test_replay_reports_its_progress():
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


def test_replay_ignores_other_files():
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


@pytest.mark.parametrize("covered", [False, True])
def test_changed_bit_anywhere_is_torn_or_corrupt(covered):
    """At or below a watermark behind it: corrupt, with file and offset. Above: torn, and
    all before it comes back.
    """
    disk = small_log(covered)
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


def test_damage_without_a_watermark_is_torn_in_the_last_frame():
    assert [judged(small_log(), offset) for offset in offsets(small_log())] == [
        "corrupt",
        "corrupt",
        "torn",
    ]


def test_damage_below_a_watermark_is_corrupt_in_all_records():
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


@pytest.mark.parametrize("covered", [False, True])
@pytest.mark.parametrize("zeros", [False, True])
def test_truncation_at_every_byte_is_torn_or_corrupt(covered, zeros):
    """The last segment cut anywhere, or zeros from there on: no watermark is left behind
    anything, so it is torn, or just shorter.
    """
    disk = small_log(covered)
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


def test_hole_of_zeros_below_a_watermark_is_corrupt():
    disk = small_log()
    frame = frames(disk)[1]
    content(disk, 1)[frame.offset : frame.end] = bytes(frame.end - frame.offset)
    assert_corrupt(disk, 1, frame.offset)


def test_torn_frame_before_a_whole_one_stays_torn():
    """Two frames of one batch: both have the watermark of the time before. The disk may have
    written the second and not the first.
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
    write(log, [b"e"])  # its watermark is 4
    assert_corrupt(disk, 1, found[1].offset)


def test_stale_frame_after_the_end_is_torn_and_never_valid():
    disk = small_log()
    found = frames(disk)
    data = content(disk, 1)
    old = data[found[0].offset : found[0].end]
    data[found[-1].end : found[-1].end + len(old)] = old
    replay = replayed(disk)
    assert replay.torn and replay.torn.offset == found[-1].end
    assert replay.next_lsn == 5


def test_watermark_of_a_frame_with_a_damaged_payload_counts():
    """A frame whose header is whole tells what had been durable, even if its payload is gone."""
    disk = small_log()
    found = frames(disk)
    content(disk, 1)[found[1].end - 1] ^= 1
    content(disk, 1)[found[2].end - 1] ^= 1
    assert_corrupt(disk, 1, found[1].offset)


def test_record_that_looks_like_a_frame_is_a_record():
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    smuggled = b"".join(encode_frame(1, 1000, 0, [b"gotcha"], 12345))
    write(log, [b"a"], [smuggled * 3])
    found = frames(disk)
    content(disk, 1)[found[0].offset] ^= 1
    replay = replayed(disk)
    assert replay.torn and replay.next_lsn == 1
