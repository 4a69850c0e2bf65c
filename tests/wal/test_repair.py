"""Repair: whatever is damaged, every whole record behind it comes back, what was taken out is kept,
and the log is clean afterwards.
"""

from __future__ import annotations

import random
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import repair, repair_plan
from beanstalkd_wal.format import HEADER_BYTES, decode_frame, encode_frame, salt_of
from beanstalkd_wal.reader import read_header, scan

SEGMENT = 64 * 1024
LOST = b"lost"


def written(directory: Path, count: int = 900, size: int = 200) -> list[bytes]:
    """A log of three segments or so, one frame per ten records, closed in order."""
    replay = wal.Replay(directory)
    list(replay)
    log = wal.Log.open(replay, segment_bytes=SEGMENT, meta=lambda: b"meta", threaded=False)
    records = [b"%06d" % number + bytes([number % 251]) * size for number in range(count)]
    for number, record in enumerate(records):
        assert log.ensure_headroom(len(record))
        log.append(record)
        if number % 10 == 9:
            log.commit(number)
    log.close(count)
    return records


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.wal"))


def records_in(directory: Path) -> list[bytes]:
    replay = wal.Replay(directory)
    found = [record for frame in replay for record in frame.records]
    assert replay.torn is None
    return found


def repaired(directory: Path) -> tuple[repair.Plan, list[str]]:
    with pytest.raises(wal.Corrupt):
        records_in(directory)
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    what = repair.plan(directory, lost=LOST)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before, (
        "a plan changes nothing"
    )
    return what, repair.mend(what)


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def lost_lsns(what: repair.Plan) -> set[int]:
    return {lsn for loss in what.losses for lsn in range(loss.first, loss.last + 1)}


def check(directory: Path, expected: list[bytes], what: repair.Plan) -> None:
    found = records_in(directory)
    gone = lost_lsns(what)
    assert found == [LOST if lsn in gone else record for lsn, record in enumerate(expected, 1)]
    again = repair.plan(directory, lost=LOST)
    assert not again.changes and not again.losses


@pytest.mark.parametrize("seed", range(25))
def test_repair_of_flipped_bits_loses_only_their_frames(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    expected = written(tmp_path)
    *sealed, _ = segments(tmp_path)
    for _ in range(random_.randint(1, 4)):
        path = random_.choice(sealed)
        flip(path, random_.randrange(HEADER_BYTES, path.stat().st_size))
    what, copies = repaired(tmp_path)
    assert 1 <= len(lost_lsns(what)) <= 40, f"seed {seed}"
    check(tmp_path, expected, what)
    assert all(Path(copy).stat().st_size > 0 for copy in copies)


def test_repair_keeps_a_copy_of_what_it_takes_out(tmp_path: Path) -> None:
    written(tmp_path)
    path = segments(tmp_path)[0]
    flip(path, 5000)
    damaged = path.read_bytes()
    what, (copy,) = repaired(tmp_path)
    (loss,) = what.losses
    assert Path(copy).name == f"damaged.1.{loss.offset}"
    assert Path(copy).read_bytes() == damaged[loss.offset : loss.offset + loss.length]
    assert loss.offset <= 5000 < loss.offset + loss.length


def test_repair_replaces_a_missing_segment(tmp_path: Path) -> None:
    expected = written(tmp_path)
    segments(tmp_path)[1].unlink()
    what, _ = repaired(tmp_path)
    assert len(lost_lsns(what)) > 100
    check(tmp_path, expected, what)


def test_repair_of_a_truncated_segment_in_the_middle(tmp_path: Path) -> None:
    expected = written(tmp_path)
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:30_000])
    what, _ = repaired(tmp_path)
    check(tmp_path, expected, what)


@pytest.mark.parametrize(("start", "end"), [(0, 512), (512, 1024), (0, 1024)])
@pytest.mark.parametrize("index", [0, 1])
def test_repair_writes_a_lost_header_again(
    tmp_path: Path, start: int, end: int, index: int
) -> None:
    """From its copy, or from what the neighbours and the frames say. No record is lost."""
    expected = written(tmp_path)
    path = segments(tmp_path)[index]
    data = bytearray(path.read_bytes())
    data[start:end] = b"\xaa" * (end - start)
    path.write_bytes(data)
    what, _ = repaired(tmp_path)
    assert lost_lsns(what) == set()
    check(tmp_path, expected, what)
    assert [segment.header.meta for segment in what.segments] == [b"meta"] * len(what.segments)


def test_log_continues_after_a_repair(tmp_path: Path) -> None:
    expected = written(tmp_path)
    flip(segments(tmp_path)[0], 9000)
    what, _ = repaired(tmp_path)
    replay = wal.Replay(tmp_path)
    list(replay)
    log = wal.Log.open(replay, segment_bytes=SEGMENT, threaded=False)
    log.append(b"after")
    log.commit(1)
    log.close(1)
    gone = lost_lsns(what)
    assert records_in(tmp_path) == [
        LOST if lsn in gone else record for lsn, record in enumerate(expected, 1)
    ] + [b"after"]


def test_repair_takes_out_records_that_are_not_accepted(tmp_path: Path) -> None:
    expected = written(tmp_path)
    what = repair.plan(tmp_path, lost=LOST, accept=lambda record: not record.startswith(b"000300"))
    assert [(loss.first, loss.last) for loss in what.losses] == [(301, 301)]
    repair.mend(what)
    check(tmp_path, expected, what)


@pytest.mark.parametrize("whole_block", [False, True])
def test_repair_without_any_header_keeps_all_whole_frames(
    tmp_path: Path, whole_block: bool
) -> None:
    """The salt is found from the frames. A damaged block of 4096 bytes takes some frames, too."""
    expected = written(tmp_path)
    for path in segments(tmp_path):
        length = 4096 if whole_block else HEADER_BYTES
        path.write_bytes(b"\xaa" * length + path.read_bytes()[length:])
    what, _ = repaired(tmp_path)
    assert what.headers_lost
    assert len(lost_lsns(what)) == (3 * 20 if whole_block else 0)
    check(tmp_path, expected, what)


@pytest.mark.parametrize(
    "content", [b"", bytes(SEGMENT), b"\xaa" * 5000], ids=["empty", "zeros", "noise"]
)
@pytest.mark.parametrize("count", [5, 900], ids=["only segment", "all segments"])
def test_repair_of_a_log_without_any_frame_leaves_an_empty_log(
    tmp_path: Path, content: bytes, count: int
) -> None:
    written(tmp_path, count)
    for path in segments(tmp_path):
        path.write_bytes(content)
    what, _ = repaired(tmp_path)
    assert what.headers_lost
    assert records_in(tmp_path) == []


def test_frames_in_a_body_do_not_decide_the_salt(tmp_path: Path) -> None:
    """A client can put whole frames into a body."""
    forged = b"".join(encode_frame(1, 0, 0, [b"forged"] * 9, 7)) * 100
    replay = wal.Replay(tmp_path)
    list(replay)
    log = wal.Log.open(replay, segment_bytes=SEGMENT, threaded=False)
    log.append(forged)
    log.commit(1)
    log.close(1)
    (path,) = segments(tmp_path)
    path.write_bytes(bytes(HEADER_BYTES) + path.read_bytes()[HEADER_BYTES:])
    repaired(tmp_path)
    assert records_in(tmp_path) == [forged]


class Killed(BaseException):
    pass


class Dying(wal.FileSystem):
    """Every call that changes something is the last one, from the nth on."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def write(self, handle: int, data: bytes, offset: int) -> None:
        self._count()
        super().write(handle, data, offset)

    def create(self, path: str) -> int:
        self._count()
        return super().create(path)

    def rename(self, old: str, new: str) -> None:
        self._count()
        super().rename(old, new)

    def replace(self, old: str, new: str) -> None:
        self._count()
        super().replace(old, new)


def test_repair_that_was_killed_can_be_repeated(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    expected = written(source)
    flip(segments(source)[0], 20_000)
    segments(source)[1].unlink()
    for at in range(100):
        directory = tmp_path / f"killed-{at}"
        directory.mkdir()
        for path in source.iterdir():
            (directory / path.name).write_bytes(path.read_bytes())
        what = repair.plan(directory, lost=LOST)
        try:
            repair.mend(what, Dying(at))
        except Killed:
            repair.mend(repair.plan(directory, lost=LOST))
            check(directory, expected, what)
        else:
            break
    assert at > 5


def test_repair_does_not_fill_a_gap_of_too_many_segments(
    tmp_path: Path,
) -> None:
    """A copy that somebody named by the date."""
    written(tmp_path)
    (tmp_path / "20260101.wal").write_bytes(segments(tmp_path)[0].read_bytes())
    with pytest.raises(
        repair.BeyondRepair, match=r"20260101.wal: 2026\d+ segments are missing before it"
    ):
        repair.plan(tmp_path, lost=LOST)


def test_repair_does_not_fill_a_gap_of_too_many_lsns(tmp_path: Path) -> None:
    """A frame that says it is of another age, with a right checksum."""
    written(tmp_path)
    path = segments(tmp_path)[0]
    data = path.read_bytes()
    salt = salt_of(read_header(data[:HEADER_BYTES], 1).header.log_id)
    frame = next(found for found in scan(data, salt, 1) if isinstance(found, wal.Frame))
    aged = b"".join(encode_frame(1 << 50, 0, 0, frame.records, salt))
    path.write_bytes(data[: frame.end] + aged + data[frame.end + len(aged) :])
    with pytest.raises(
        repair.BeyondRepair,
        match=rf"00000001.wal: at offset {frame.end} there would be "
        rf"LSN 11 to {(1 << 50) - 1} missing",
    ):
        repair.plan(tmp_path, lost=LOST)


def test_repair_holds_no_million_lost_records_in_memory(tmp_path: Path) -> None:
    """They are made when they are written."""
    gap = repair_plan.LostRecords(1, 1_000_001, 0, 0)
    frames = [decode_frame(data, 0, 7, 1) for data in gap.frames(LOST, 7)]
    assert [frame.first_lsn for frame in frames] == [1, *(frame.next_lsn for frame in frames[:-1])]
    assert {record for frame in frames for record in frame.records} == {LOST}
    assert sum(len(frame.records) for frame in frames) == 1_000_000


def test_repair_invents_no_header_with_an_invalid_lsn(tmp_path: Path) -> None:
    written(tmp_path)
    first, second, third, *_ = segments(tmp_path)
    salt = salt_of(read_header(third.read_bytes()[:HEADER_BYTES], 3).header.log_id)
    first.unlink()
    second.write_bytes(b"\xaa" * HEADER_BYTES + b"".join(encode_frame(0, 0, 0, [b"x"], salt)))
    with pytest.raises(repair.BeyondRepair, match="no header, and frames that begin with LSN 0"):
        repair.plan(tmp_path, lost=LOST)


def test_repair_writes_a_blank_last_segment_again(tmp_path: Path) -> None:
    records = written(tmp_path)
    last = segments(tmp_path)[-1]
    before = records_in(tmp_path)
    lost = sum(len(frame.records) for frame in wal.Replay(tmp_path) if frame.segment == 3)
    last.write_bytes(bytes(len(last.read_bytes())))
    repaired(tmp_path)
    assert records_in(tmp_path) == before[:-lost] == records[:-lost]
