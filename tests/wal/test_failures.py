"""Every call to the disk made to fail, one after the other: LogFailed, or everything promised is
there; and never a second try.
"""

import contextlib
import errno
from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import progress
from beanstalkd_wal.progress import Progress
from simulation.disk import MemoryDisk, fail_at

from tests.wal.logs import NEVER, SYNC, WINDOW, opened, records, segment, write

BODY = 400


def work(log: wal.Log, given: list[bytes]) -> None:
    """A bit of everything. given: what is appended, LSN 1 first."""
    for n in range(60):
        record = b"%04d" % n * (BODY // 4)
        if log.headroom < 4000:
            log.preallocate(9000)
        if not log.fits(len(record)):
            assert log.ensure_headroom(len(record))
        log.append(record)
        given.append(record)
        log.commit(at=n)
        log.collect()
        if n % 10 == 9:
            log.sync(at=n)
            log.write_watermark(at=n)
        if n == 40:
            log.retire(2)
        log.collect()
    log.close(at=99)


def number_of_calls(durability: wal.Durability) -> int:
    disk = MemoryDisk()
    log = opened(disk, durability)
    calls = fail_at(disk, 0)
    work(log, [])
    return len(calls)


@pytest.mark.parametrize("durability", [SYNC, WINDOW, NEVER])
def test_failure_at_any_call_is_reported_and_promises_hold(durability):
    for nth in range(1, number_of_calls(durability) + 1):
        disk = MemoryDisk()
        log = opened(disk, durability)
        calls = fail_at(disk, nth)
        given: list[bytes] = []
        failed = None
        try:
            work(log, given)
        except wal.LogFailed as failure:
            failed = failure
        call = calls[nth - 1]
        if call.startswith(
            ("close spare", "close log")
        ):  # at the very end, when it means nothing any more
            assert failed is None and log.lsn == log.promised_lsn == len(given)
        else:
            assert (
                failed is not None and failed.errno == errno.EIO and failed.path.startswith("/log")
            ), call
            check_failed(log)
        check_kept(disk, log, given, call)


def check_failed(log: wal.Log) -> None:
    """For good: nothing more is promised, and everybody is told."""
    promised, written = log.promised_lsn, log.written_lsn
    for use in (
        lambda: log.append(b"x"),
        lambda: log.commit(at=1),
        log.collect,
        lambda: log.ensure_headroom(1),
        lambda: log.drain(at=1),
    ):
        with pytest.raises((wal.LogFailed, ValueError)):
            use()
    log.sync(at=1)
    log.write_watermark(at=1)
    log.preallocate(1 << 20)
    log.trim(0)
    log.retire(99)
    assert (log.promised_lsn, log.written_lsn) == (promised, written)


def check_kept(disk: MemoryDisk, log: wal.Log, given: list[bytes], call: str) -> None:
    promised = log.promised_lsn
    before = {path: bytes(file.data) for path, file in disk.names.items()}
    with contextlib.suppress(wal.LogFailed):
        log.close(at=1)
    assert not disk.handles, call
    assert before == {path: bytes(file.data) for path, file in disk.names.items()}, call
    replay = wal.Replay("/log", fs=disk.after_kill())
    found: dict[int, bytes] = {}
    for frame in replay:
        found.update(enumerate(frame.records, frame.first_lsn))
    assert replay.next_lsn > promised, call
    first = min(found, default=1)
    assert first <= 40 and list(found) == list(range(first, replay.next_lsn)), call
    assert all(record == given[lsn - 1] for lsn, record in found.items()), call
    write(opened(disk), [b"and on it goes"])
    assert records(disk)[-1] == b"and on it goes"


@pytest.mark.parametrize("durability", [SYNC, WINDOW])
def test_durable_records_survive_a_crash_after_a_failure(durability):
    for nth in range(1, number_of_calls(durability) + 1):
        disk = MemoryDisk()
        log = opened(disk, durability)
        fail_at(disk, nth)
        given: list[bytes] = []
        with contextlib.suppress(wal.LogFailed):
            work(log, given)
        replay = wal.Replay("/log", fs=disk.after_crash(Random(nth)))
        found = {
            lsn: record
            for frame in replay
            for lsn, record in enumerate(frame.records, frame.first_lsn)
        }
        assert replay.next_lsn > log.durable_lsn
        assert all(record == given[lsn - 1] for lsn, record in found.items())


def test_failed_sync_is_not_repeated():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    calls = fail_at(disk, 2)
    log.append(b"b")
    log.commit(at=1)
    assert calls == ["write 00000001.wal", "sync 00000001.wal"]
    with pytest.raises(wal.LogFailed) as caught:
        log.collect()
    assert (caught.value.path, caught.value.errno) == (segment(1), errno.EIO)
    assert caught.value.offset > 1024
    assert (log.written_lsn, log.durable_lsn, log.promised_lsn) == (2, 1, 1)
    with pytest.raises(wal.LogFailed):
        log.close(at=2)
    assert [call for call in calls if call.startswith(("write", "sync", "truncate"))] == calls[:2]


def test_failed_sync_in_window_mode_keeps_promised_lsn():
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    write(log, [b"a"])
    fail_at(disk, 1)
    log.sync(at=1)
    with pytest.raises(wal.LogFailed):
        log.collect()
    assert (log.promised_lsn, log.durable_lsn) == (1, 0)


def test_full_disk_during_a_write_is_final():
    """It should not happen where everything was prepared; on some file systems it can."""
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, 1, errno.ENOSPC)
    write(log, [b"a"])
    with pytest.raises(wal.LogFailed) as caught:
        log.collect()
    assert caught.value.errno == errno.ENOSPC
    assert "No space left" in str(caught.value)


def test_program_error_in_a_thread_is_reported_as_failure():
    disk = MemoryDisk()
    log = opened(disk)

    def before(call, path):
        raise RuntimeError("a bug")

    disk.before = before
    write(log, [b"a"])
    with pytest.raises(wal.LogFailed) as caught:
        log.collect()
    assert caught.value.errno == 0
    assert "RuntimeError('a bug')" in str(caught.value)


def test_first_failure_is_the_one_reported():
    disk = MemoryDisk()
    log = opened(disk)
    fail_at(disk, 1, errno.EROFS)
    write(log, [b"a"])
    for _ in range(2):
        with pytest.raises(wal.LogFailed) as caught:
            log.collect()
        assert caught.value.errno == errno.EROFS


def test_append_after_a_failure_raises_also_in_an_open_frame():
    disk = MemoryDisk()
    log = opened(disk)
    log.append(b"a")
    fail_at(disk, 1)
    log.preallocate(1 << 16)
    with pytest.raises(wal.LogFailed):
        log.append(b"b")
    assert log.lsn == 1


@pytest.mark.sources
def test_failure_is_recorded_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its thread would end, and the owner would wait for it for ever."""

    def no_memory(error: Exception, path: str, offset: int) -> None:
        raise MemoryError

    monkeypatch.setattr(progress, "failure_of", no_memory)
    found = Progress(0, 0, 0, lambda: None)
    found.fail("a file", 0, OSError(5, "EIO"))
    assert found.failure is not None and found.failure.errno == errno.ENOMEM
