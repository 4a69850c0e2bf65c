"""Long records: written in pieces, without a copy of the body; and commits without memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import committer
from beanstalkd_wal.log import FRAME_MAX
from simulation.disk import MemoryDisk

from tests.wal.logs import DIRECTORY, opened, records

SEGMENT = 1 << 20
LONG = 3 * SEGMENT


class Counted(MemoryDisk):
    """Counts the longest write, and keeps nothing of what frames hold."""

    longest = 0

    def write(self, handle: int, data: bytes, offset: int) -> None:
        self.longest = max(self.longest, len(data))
        super().write(handle, data, offset)


def put(log: wal.Log, head: bytes, body: bytes) -> int:
    nbytes = len(head) + len(body)
    assert log.fits(nbytes) or log.ensure_headroom(nbytes)
    return log.append_long(head, body)


def test_long_records_come_back_among_short_ones() -> None:
    disk = Counted()
    log = opened(disk, segment_bytes=SEGMENT)
    given: list[bytes] = []
    for nbytes in (LONG, 10, FRAME_MAX - 5, FRAME_MAX - 4, FRAME_MAX + 1, LONG):
        body = bytes(range(256)) * (nbytes // 256) + bytes(nbytes % 256)
        put(log, b"head", body)
        given.append(b"head" + body)
        put(log, b"b", b"")
        given.append(b"b")
    assert log.lsn == len(given)
    log.commit(at=1)
    assert log.durable_lsn == log.lsn
    assert records(disk) == given
    assert disk.longest < 3 * FRAME_MAX
    frames = list(wal.Replay(DIRECTORY, fs=disk))
    assert all(len(frame.lengths) == 1 for frame in frames if sum(frame.lengths) > FRAME_MAX)
    log.close(at=2)
    assert records(disk) == given


def test_long_record_is_written_without_a_copy_of_its_body(tmp_path: Path) -> None:
    replay = wal.Replay(tmp_path)
    list(replay)
    log = wal.Log.open(replay, segment_bytes=SEGMENT, threaded=False)
    body = bytes(LONG)
    put(log, b"head", body)
    tracemalloc.start()
    log.commit(at=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    log.close(at=2)
    assert peak < LONG // 2


def test_long_record_without_headroom_changes_nothing() -> None:
    log = opened(MemoryDisk(), segment_bytes=SEGMENT)
    before = log.lsn, log.headroom, log.pending
    with pytest.raises(wal.LogFull):
        log.append_long(b"head", bytes(LONG))
    assert (log.lsn, log.headroom, log.pending) == before


def test_commit_without_memory_for_one_write_makes_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(pieces: list[bytes]) -> bytes:
        raise MemoryError

    monkeypatch.setattr(committer, "_join", no_memory)
    disk = Counted()
    log = opened(disk, segment_bytes=SEGMENT)
    log.append(b"a")
    log.append(b"b")
    log.commit(at=1)
    assert log.durable_lsn == 2
    assert records(disk) == [b"a", b"b"]


def test_frame_without_memory_for_a_copy_is_written_in_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(*arguments: object) -> tuple[bytes, bytes]:
        raise MemoryError

    disk = MemoryDisk()
    log = opened(disk, segment_bytes=SEGMENT)
    monkeypatch.setattr(committer, "encode_frame", no_memory)
    for record in (b"a", b"", b"ccc"):
        log.append(record)
    log.commit(at=1)
    assert records(disk) == [b"a", b"", b"ccc"]


def test_frame_without_any_memory_is_a_failure_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(*arguments: object) -> list[bytes]:
        raise MemoryError

    log = opened(MemoryDisk(), segment_bytes=SEGMENT)
    monkeypatch.setattr(committer, "encode_frame", no_memory)
    monkeypatch.setattr(committer, "encode_frame_in_pieces", no_memory)
    log.append(b"a")
    with pytest.raises(wal.LogFailed, match="Cannot allocate memory"):
        log.commit(at=1)
        log.collect()
