"""The bytes of a segment: frozen, and every changed bit seen."""

import pytest
from beanstalkd_wal import format
from beanstalkd_wal.format import (
    COPY_BYTES,
    FRAME_BYTES,
    HEADER_BYTES,
    Frame,
    Header,
    decode_frame,
    decode_header,
    decode_watermark,
    encode_frame,
    encode_header,
)
from simulation.disk import File, MemoryDisk

from tests.wal.logs import records, replayed, segment

LOG_ID = 0x1122334455667788
SALT = 0x55667788
SEGMENT_ID, PREVIOUS_ID = 0x123456789ABCDEF0, 0x0102030405060708

# Version 1. These never change: a new layout is a new version, with golden bytes of its own, and
# these stay readable.
GOLDEN_HEADER = bytes.fromhex("8957414c0d0a1a0a") + bytes.fromhex(
    "01000000"
    "00000000"
    "0700000000000000"
    "2a00000000000000"
    "2900000000000000"
    "8877665544332211"
    "00e40b5402000000"
    "f0debc9a78563412"
    "0807060504030201"
    "03000000"
    "616263"
)
GOLDEN_HEADER_CRC = "2959b133"
GOLDEN_FRAME = bytes.fromhex(
    "f7774691a3090a5d2a00000000000000290000000000000000e40b54020000000300000014000000e0dcd47100000000"
    "05000000000000000300000068656c6c6f6c6f67"
)


def header() -> Header:
    return Header(
        number=7,
        base_lsn=42,
        durable_lsn=41,
        log_id=LOG_ID,
        created_at=10**10,
        segment_id=SEGMENT_ID,
        previous_segment_id=PREVIOUS_ID,
        meta=b"abc",
    )


def frame_bytes(*records: bytes) -> bytes:
    return b"".join(encode_frame(42, 41, 10**10, records, SALT))


def test_golden_header():
    block = encode_header(header())
    assert len(block) == HEADER_BYTES
    assert block[:COPY_BYTES] == block[COPY_BYTES:]
    assert block[: len(GOLDEN_HEADER)] == GOLDEN_HEADER
    assert block[len(GOLDEN_HEADER) : COPY_BYTES - 4] == bytes(COPY_BYTES - 4 - len(GOLDEN_HEADER))
    assert block[COPY_BYTES - 4 : COPY_BYTES].hex() == GOLDEN_HEADER_CRC


def test_golden_frame():
    assert frame_bytes(b"hello", b"", b"log") == GOLDEN_FRAME


def test_golden_bytes_are_decoded():
    frame = decode_frame(GOLDEN_FRAME, 0, SALT, 7)
    assert isinstance(frame, Frame)
    assert frame.records == [b"hello", b"", b"log"]
    assert (frame.segment, frame.offset, frame.end, frame.first_lsn, frame.next_lsn) == (
        7,
        0,
        len(GOLDEN_FRAME),
        42,
        45,
    )
    assert (frame.durable_lsn, frame.at) == (41, 10**10)


def test_golden_segment_is_replayed():
    disk = MemoryDisk()
    copy = (GOLDEN_HEADER + bytes(COPY_BYTES - 4 - len(GOLDEN_HEADER))) + bytes.fromhex(
        GOLDEN_HEADER_CRC
    )
    disk.names[segment(7)] = File(copy + copy + GOLDEN_FRAME + bytes(100))
    assert records(disk) == [b"hello", b"", b"log"]
    replay = replayed(disk)
    assert (replay.next_lsn, replay.watermark, replay.meta, replay.log_id) == (
        45,
        41,
        b"abc",
        LOG_ID,
    )


def test_header_round_trip():
    for meta in (b"", b"\0", b"x" * 256):
        given = Header(
            1 << 40,
            1 << 60,
            5,
            (1 << 64) - 1,
            1 << 62,
            1 << 63,
            3,
            meta,
            format.CREATED_UNDER_NEVER,
        )
        found = decode_header(encode_header(given)[:COPY_BYTES])
        assert isinstance(found, Header)
        assert encode_header(found) == encode_header(given)
        assert (found.number, found.base_lsn, found.durable_lsn, found.log_id) == (
            1 << 40,
            1 << 60,
            5,
            (1 << 64) - 1,
        )
        assert (
            found.created_at,
            found.segment_id,
            found.previous_segment_id,
            found.meta,
            found.created_under_never,
        ) == (
            1 << 62,
            1 << 63,
            3,
            meta,
            True,
        )


@pytest.mark.parametrize("at", [-(1 << 63), -1, 0, (1 << 63) - 1])
def test_any_wall_time_can_be_written(at: int) -> None:
    header_copy = encode_header(Header(1, 1, 0, LOG_ID, at, SEGMENT_ID, 0))[:COPY_BYTES]
    found = decode_header(header_copy)
    assert isinstance(found, Header) and found.created_at == at
    frame = decode_frame(b"".join(encode_frame(1, 0, at, [b"x"], SALT)), 0, SALT, 1)
    assert isinstance(frame, Frame) and frame.at == at


def test_header_metadata_is_bounded():
    with pytest.raises(ValueError, match="257"):
        encode_header(Header(1, 1, 0, 1, 0, 1, 0, b"x" * 257))


@pytest.mark.parametrize(
    "records",
    [
        [],
        [b""],
        [b"", b""],
        [b"a"],
        [b"\0" * 100],
        [b"x" * 70000, b"y"],
        [bytes([n]) * n for n in range(200)],
    ],
)
def test_frame_round_trip(records):
    data = b"junk!" + frame_bytes(*records) + b"\0" * 60
    frame = decode_frame(data, 5, SALT, 1)
    assert isinstance(frame, Frame)
    assert frame.records == records
    assert frame.end == len(data) - 60
    assert decode_watermark(data, 5, SALT) == (42, 41)


def test_header_with_any_bit_changed_is_invalid():
    copy = encode_header(header())[:COPY_BYTES]
    for bit in range(len(copy) * 8):
        assert isinstance(decode_header(flipped(copy, bit)), str), bit


def test_frame_with_any_bit_changed_is_invalid():
    for bit in range(len(GOLDEN_FRAME) * 8):
        assert isinstance(decode_frame(flipped(GOLDEN_FRAME, bit), 0, SALT, 1), str), bit


def test_frame_with_any_byte_missing_is_invalid():
    for length in range(len(GOLDEN_FRAME)):
        assert isinstance(decode_frame(GOLDEN_FRAME[:length], 0, SALT, 1), str)
        assert isinstance(
            decode_frame(GOLDEN_FRAME[:length].ljust(len(GOLDEN_FRAME), b"\0"), 0, SALT, 1), str
        )


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_zeros_are_never_valid():
    zeros = bytes(4096)
    assert isinstance(decode_header(zeros), str)
    for salt in (0, SALT):
        assert isinstance(decode_frame(zeros, 0, salt, 1), str)


def test_frame_of_another_log_is_invalid():
    assert decode_frame(GOLDEN_FRAME, 0, SALT + 1, 1) == "a frame header with a wrong checksum"
    assert decode_watermark(GOLDEN_FRAME, 0, SALT + 1) is None


def test_frame_lengths_are_checked_before_use():
    """A frame with right checksums and wrong lengths: not even a broken writer makes the reader
    read beyond the frame.
    """
    two = [(2, bytes([1, 0, 0, 0, length, 0, 0, 0]) + b"abc") for length in (1, 3, 255)]
    for count, payload in [
        *two,
        (2, b"\1\0\0\0a"),
        (1, b"\2\0\0\0a"),
        (1, b"\0\0\0\0a"),
        (1 << 31, b"abcd"),
        (1, b""),
    ]:
        data = with_payload(count, payload)
        assert decode_frame(data, 0, SALT, 1) == "record lengths that do not add up"
    head, payload = encode_frame(1, 0, 0, [b"x" * 100], SALT)
    assert "within a frame of 152 bytes" in str(decode_frame(head + payload[:-1], 0, SALT, 1))


def with_payload(count: int, payload: bytes) -> bytes:
    body = format._BODY.pack(1, 0, 0, count, len(payload), format.crc(payload, SALT), 0)
    return format.FRAME_MAGIC + format._U32.pack(format.crc(body, SALT)) + body + payload


def test_version_is_read_from_any_format_version():
    copy = bytearray(COPY_BYTES)
    copy[:8] = format.SEGMENT_MAGIC
    copy[8:12] = (77).to_bytes(4, "little")
    assert format.version_of(bytes(copy)) == 77
    assert decode_header(bytes(copy)) == "version 77"
    assert format.version_of(bytes(COPY_BYTES)) == 0
    assert format.version_of(b"") == 0


def test_frame_costs_48_bytes_and_4_per_record():
    head, payload = encode_frame(1, 0, 0, [b"abc", b"de"], SALT)
    assert len(head) == FRAME_BYTES == 48
    assert len(payload) == 4 + 4 + 5


def test_header_with_an_lsn_near_the_limit_is_invalid():
    """Otherwise the next segment's header could not be written."""
    for number, base_lsn in ((1, 0), (1, (1 << 64) - 1), (1 << 63, 1)):
        assert (
            decode_header(encode_header(Header(number, base_lsn, 0, 1, 0, 1, 0))[:COPY_BYTES])
            == f"segment {number} with base LSN {base_lsn}"
        )
