"""One segment, damaged or not: everything whole is found, everything else is named with its place
and length.
"""

from itertools import pairwise
from random import Random

import beanstalkd_wal as wal
from beanstalkd_wal.format import (
    COPY_BYTES,
    FRAME_BYTES,
    HEADER_BYTES,
    Frame,
    Header,
    encode_frame,
    encode_header,
    salt_of,
)
from beanstalkd_wal.reader import (
    Damage,
    content_end,
    highest_watermark,
    next_frame,
    read_header,
    scan,
)
from simulation.disk import MemoryDisk

from tests.wal.logs import DIRECTORY, opened, segment, write

SALT = 7


def sample() -> tuple[bytes, list[int]]:
    """A segment of five frames of one record each, LSN 10 to 14, and where they begin and end."""
    data = encode_header(Header(3, 10, 9, SALT, 0, 1, 0))
    ends = [len(data)]
    for n in range(5):
        data += b"".join(encode_frame(10 + n, 9 + n, 0, [b"record %d" % n], SALT))
        ends.append(len(data))
    return data + bytes(1000), ends


def found(data: bytes, expected: int = 10) -> list[object]:
    return [
        each.first_lsn if isinstance(each, Frame) else (each.offset, each.length)
        for each in scan(data, SALT, 3, expected)
    ]


def test_scan_yields_all_frames_of_a_whole_segment():
    data, ends = sample()
    frames = list(scan(data, SALT, 3, 10))
    assert all(isinstance(frame, Frame) for frame in frames)
    assert [(frame.offset, frame.end) for frame in frames] == list(pairwise(ends))


def test_scan_continues_after_damage():
    data, ends = sample()
    changed = bytearray(data)
    changed[ends[1] + FRAME_BYTES] ^= 1
    changed[ends[3] + 1] ^= 1
    assert found(bytes(changed)) == [
        10,
        (ends[1], ends[2] - ends[1]),
        (ends[2], 0),
        12,
        (ends[3], ends[4] - ends[3]),
        (ends[4], 0),
        14,
    ]


def test_scan_reports_missing_lsns_with_length_zero():
    data, ends = sample()
    assert found(data[: ends[1]] + data[ends[2] :]) == [10, (ends[1], 0), 12, 13, 14]
    assert found(data, expected=8)[:2] == [(ends[0], 0), 10]
    assert found(data, expected=0)[0] == 10
    reasons = [
        each.reason
        for each in scan(data[: ends[1]] + data[ends[2] :], SALT, 3, 10)
        if isinstance(each, Damage)
    ]
    assert reasons == ["LSN 11 missing"]


def test_scan_reports_stale_frames_as_damage():
    data, ends = sample()
    stale = data[ends[0] : ends[1]]
    assert found(data[: ends[5]] + stale) == [10, 11, 12, 13, 14, (ends[5], len(stale))]


def test_scan_reports_a_truncated_tail():
    data, ends = sample()
    assert found(data[: ends[5] - 1]) == [10, 11, 12, 13, (ends[4], ends[5] - 1 - ends[4])]


def test_scan_finds_the_other_frames_after_any_damage():
    data, ends = sample()
    for offset in range(ends[0], ends[5]):
        changed = bytearray(data)
        changed[offset] ^= 0xFF
        hit = next(n for n in range(5) if offset < ends[n + 1])
        whole = [each for each in found(bytes(changed)) if isinstance(each, int)]
        assert whole == [10 + n for n in range(5) if n != hit]


def test_scan_searches_through_many_magic_numbers():
    data, ends = sample()
    junk = data[ends[0] : ends[0] + 4] * 500
    assert found(data[: ends[1]] + junk + data[ends[1] :]) == [
        10,
        (ends[1], len(junk)),
        11,
        12,
        13,
        14,
    ]


def test_next_frame_finds_the_next_whole_frame():
    data, ends = sample()
    assert next_frame(data, ends[1] + 1, SALT, 3) == ends[2]
    assert next_frame(data, ends[4] + 1, SALT, 3) == -1


def test_highest_watermark_reads_frame_headers():
    data, ends = sample()
    assert highest_watermark(data, ends[0], SALT, 10) == 13
    assert highest_watermark(data, ends[5], SALT, 10) == 0
    assert highest_watermark(data[: ends[3]], ends[0], SALT, 10) == 11
    assert highest_watermark(data, ends[0], SALT, 15) == 0  # stale
    assert highest_watermark(data, ends[0], SALT + 1, 10) == 0


def test_content_end_is_where_the_zeros_begin():
    rng = Random(3)
    assert content_end(b"") == 0
    assert content_end(bytes(200_000)) == 0
    assert content_end(bytes(200_000), 100) == 100
    for _ in range(100):
        end = rng.randrange(1, 150_000)
        data = bytes(end - 1) + b"\1" + bytes(rng.randrange(150_000))
        assert content_end(data) == end
        assert content_end(data, end) == end


# --- headers


def test_header_block_that_is_whole():
    data, _ = sample()
    block = read_header(data, 3)
    assert block.whole and block.header and block.header.base_lsn == 10
    assert (block.damage, block.newer) == (("", ""), 0)


def test_header_block_with_one_damaged_copy():
    data, _ = sample()
    for offset in (0, COPY_BYTES):
        changed = bytearray(data)
        changed[offset + 70] ^= 1
        block = read_header(bytes(changed), 3)
        assert block.header is not None and not block.whole
        assert block.damaged_offset == offset
        assert block.damage[offset > 0] == "wrong checksum of the header"


def test_header_block_with_copies_that_differ():
    first, second = (encode_header(Header(3, base_lsn, 9, SALT, 0, 1, 0)) for base_lsn in (10, 11))
    block = read_header(first[:COPY_BYTES] + second[COPY_BYTES:], 3)
    assert not block.whole and block.damaged_offset == COPY_BYTES


def test_header_block_of_another_segment():
    data, _ = sample()
    block = read_header(data, 4)
    assert block.header is None
    assert block.damage[0] == "the header of segment 3"


def test_scan_lets_a_repair_keep_the_rest():
    """From one good copy: the log's id, and with it all frames; and the whole block anew."""
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"], [b"b"])
    data = disk.names[segment(1)].data
    before = bytes(data)
    data[100] ^= 1
    block = read_header(bytes(data), 1)
    assert block.header is not None
    salt = salt_of(block.header.log_id)
    assert [frame.records for frame in scan(bytes(data), salt, 1) if isinstance(frame, Frame)] == [
        [b"a"],
        [b"b"],
    ]
    data[:HEADER_BYTES] = encode_header(block.header)
    assert bytes(data) == before
    assert len(list(wal.Replay(DIRECTORY, fs=disk))) == 2
