"""The tail that `follow` reads: new frames, over rotations, restarts and half-written frames."""

from __future__ import annotations

from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_binlog.reading import Reading
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.tail import Tail
from beanstalkd_wal.format import HEADER_BYTES

from beanstalkd_py.binlog.records import Delete
from tests.tools.beanstalkd_binlog.logs import (
    AT,
    NEVER,
    append,
    flip,
    last_segment,
    newer,
    open_log,
    patch,
    put,
    segment,
    write,
)


def read(directory: Path) -> Reading:
    reading = Reading(str(directory))
    for _ in reading:
        pass
    return reading


def tail_of(directory: Path) -> Tail:
    return Tail(str(directory), read(directory))


def polled(tail: Tail) -> list[int | str]:
    """The new LSNs, with "gap" where some are missing."""
    found: list[int | str] = []
    for item in tail.poll():
        found.extend(["gap"] if isinstance(item, Gap) else range(item.first_lsn, item.next_lsn))
    return found


def test_tail_yields_only_new_frames(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    assert polled(tail) == []
    append(log, [put(2), put(3)], AT)
    append(log, [Delete(1)], AT)
    assert polled(tail) == [2, 3, 4]
    assert polled(tail) == []
    log.close(AT)


def test_tail_follows_the_durable_watermark(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    append(log, [put(2)], AT)
    tail = tail_of(tmp_path)
    assert tail.durable_lsn == 1
    append(log, [put(3)], AT)
    assert (polled(tail), tail.durable_lsn) == ([3], 2)
    log.write_watermark(AT)
    assert (polled(tail), tail.durable_lsn) == ([], 3)
    log.close(AT)


def test_tail_of_an_unsynced_log_counts_written_as_durable(tmp_path):
    log = open_log(tmp_path, durability=NEVER)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    append(log, [put(2)], AT)
    assert (polled(tail), tail.durable_lsn) == ([2], 2)
    log.close(AT)


def test_tail_continues_over_rotations(tmp_path):
    log = open_log(tmp_path)
    tail = tail_of(tmp_path)
    for id in range(1, 6):
        append(log, [put(id, body=b"x" * 2000)], AT)
    assert log.segment > 3
    assert polled(tail) == [1, 2, 3, 4, 5]
    assert tail.durable_lsn == 4
    log.close(AT)


def test_tail_waits_until_a_frame_is_whole(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    path = last_segment(tmp_path)
    before = path.read_bytes()
    append(log, [put(2, body=b"x" * 500)], AT)
    after = path.read_bytes()
    end = len(after.rstrip(b"\0"))
    for cut in (tail._offset + 3, tail._offset + 48, tail._offset + 300, end - 1):
        path.write_bytes(after[:cut] + before[cut:])
        assert polled(tail) == []
    path.write_bytes(after)
    assert polled(tail) == [2]
    log.close(AT)


def test_tail_continues_over_a_restart(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    append(log, [put(2)], AT)  # killed here
    again = open_log(tmp_path, at=AT + 2)
    assert polled(tail) == [2]
    assert tail.durable_lsn == 2  # from the header of the new segment
    append(again, [put(3)], AT + 2)
    assert polled(tail) == [3]
    again.close(AT + 3)


def test_tail_continues_when_starts_replace_an_empty_segment(tmp_path):
    write(tmp_path, [put(1)])
    tail = None
    for at in (AT + 10, AT + 20, AT + 30):
        log = open_log(tmp_path, at=at)
        tail = tail or tail_of(tmp_path)
        assert polled(tail) == []
        log.close(at)
    log = open_log(tmp_path, at=AT + 40)
    append(log, [put(2)], AT + 41)
    assert tail is not None and polled(tail) == [2]
    assert len(list(tmp_path.glob("*.wal"))) == 2
    log.close(AT + 42)


def test_tail_reads_a_segment_to_its_end_before_the_next(tmp_path, monkeypatch):
    log = open_log(tmp_path)
    append(log, [put(1, body=b"x" * 1000)], AT)
    tail = tail_of(tmp_path)
    next_header = Tail._next_header

    def busy(self):
        if log.lsn == 1:
            append(log, [put(2, body=b"x" * 1000)], AT)
            append(log, [put(3, body=b"x" * 3000)], AT)
        return next_header(self)

    monkeypatch.setattr(Tail, "_next_header", busy)
    assert polled(tail) == [2, 3]
    log.close(AT)


def test_tail_ignores_stale_frames_of_a_reused_file(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    append(log, [put(2)], AT)
    tail = tail_of(tmp_path)
    path = last_segment(tmp_path)
    patch(path, tail._offset, path.read_bytes()[HEADER_BYTES : tail._offset])
    assert polled(tail) == []
    log.close(AT)


def test_tail_reads_the_header_of_a_replaced_segment(tmp_path):
    """The new segment is never synced, so written frames count as durable."""
    write(tmp_path, [put(1)])
    open_log(tmp_path, at=AT + 10).close(AT + 10)
    tail = tail_of(tmp_path)
    log = open_log(tmp_path, durability=NEVER, at=AT + 20)
    append(log, [put(2)], AT + 20)
    assert (polled(tail), tail.durable_lsn) == ([2], 2)
    log.close(AT + 20)


@pytest.mark.parametrize("frames", [1, 5])
def test_tail_begins_again_when_the_log_is_another_one(tmp_path, frames):
    """The directory was emptied, and another log was started in it."""
    write(tmp_path, *[[put(id, body=b"x" * 2000)] for id in range(1, 4)])
    tail = tail_of(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    write(tmp_path, *[[put(id, body=b"x" * 2000)] for id in range(1, 1 + frames)])
    assert polled(tail) == ["gap", *range(1, 1 + frames)]
    assert polled(tail) == []


def test_tail_of_an_empty_directory(tmp_path):
    tail = tail_of(tmp_path)
    assert polled(tail) == []
    write(tmp_path, [put(1)], [put(2)])
    assert polled(tail) == [1, 2]


def test_tail_yields_a_gap_for_deleted_segments(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1, body=b"x" * 2000)], AT)
    tail = tail_of(tmp_path)
    for id in range(2, 7):
        append(log, [put(id, body=b"x" * 2000)], AT)
    log.retire(log.segment)
    append(log, [put(7)], AT)
    assert polled(tail) == ["gap", 6, 7]
    log.close(AT)


def test_tail_stops_at_damage_within_a_segment(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    offset = tail._offset
    append(log, [put(2)], AT)
    append(log, [put(3)], AT)
    flip(last_segment(tmp_path), offset + 60)
    assert polled(tail) == []
    log.close(AT)


def test_tail_refuses_a_newer_version(tmp_path):
    log = open_log(tmp_path)
    tail = tail_of(tmp_path)
    log.close(AT)
    newer(tmp_path / "other")
    last_segment(tmp_path / "other").rename(segment(tmp_path, 4))
    with pytest.raises(wal.NewerVersion):
        polled(tail)
