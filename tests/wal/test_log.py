"""The writer: what it promises when, which segment a record goes to, and what it counts."""

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.directory import OVERHEAD
from beanstalkd_wal.format import FRAME_BYTES, HEADER_BYTES, LENGTH_BYTES
from simulation.disk import MemoryDisk

from tests.wal.logs import (
    DIRECTORY,
    SEGMENT,
    SYNC,
    WINDOW,
    opened,
    records,
    replayed,
    segment,
    write,
)


def frames(disk):
    return list(wal.Replay(DIRECTORY, fs=disk))


def test_records_come_back_unchanged_and_in_order():
    disk = MemoryDisk()
    log = opened(disk)
    given = [b"", b"\0", b"a" * 1000, bytes(range(256))]
    for record in given:
        log.append(record)
    log.commit(at=1)
    assert records(disk) == given


def test_lsn_counts_records():
    log = opened(MemoryDisk())
    assert log.lsn == 0
    log.append(b"a")
    assert log.lsn == 1
    log.append(b"b")
    assert log.lsn == 2


def test_log_continues_after_a_restart():
    disk = MemoryDisk()
    given = []
    for n in range(5):
        log = opened(disk)
        assert (log.lsn, log.promised_lsn, log.written_lsn, log.durable_lsn) == (n, n, n, n)
        given.append(b"%d" % n)
        write(log, [given[-1]])
        log.close(at=n)
        assert records(disk) == given


def test_append_writes_nothing_before_commit():
    disk = MemoryDisk()
    log = opened(disk)
    log.append(b"a")
    assert log.pending
    assert (log.written_lsn, log.promised_lsn, records(disk)) == (0, 0, [])
    log.commit(at=1)
    assert not log.pending
    assert (log.written_lsn, log.promised_lsn, records(disk)) == (1, 1, [b"a"])


def test_commit_writes_one_frame():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a", b"b", b"c"], [b"d"])
    assert [frame.records for frame in frames(disk)] == [[b"a", b"b", b"c"], [b"d"]]


def test_empty_commit_does_nothing():
    disk = MemoryDisk()
    log = opened(disk)
    before = disk.syncs, log.headroom
    log.commit(at=1)
    assert (disk.syncs, log.headroom, frames(disk)) == (*before, [])


def test_frame_is_closed_at_256_kib():
    disk = MemoryDisk()
    log = opened(disk, segment_bytes=1 << 20)
    write(log, [b"x" * 100_000] * 5)
    assert [len(frame.records) for frame in frames(disk)] == [2, 2, 1]
    assert log.headroom == (1 << 20) - OVERHEAD - 3 * FRAME_BYTES - 5 * 100_004


def test_record_longer_than_256_kib_has_its_own_frame():
    disk = MemoryDisk()
    log = opened(disk, segment_bytes=1 << 20)
    write(log, [b"a", b"x" * 600_000, b"b"])
    assert [[len(record) for record in frame.records] for frame in frames(disk)] == [
        [1],
        [600_000],
        [1],
    ]


# --- what is promised


def test_sync_mode_promises_after_each_batch():
    disk = MemoryDisk()
    log = opened(disk)
    before = disk.syncs
    write(log, [b"a"])
    assert (log.written_lsn, log.durable_lsn, log.promised_lsn) == (1, 1, 1)
    assert disk.syncs == before + 1


def test_window_mode_promises_written_records_and_syncs_on_request():
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    before = disk.syncs
    write(log, [b"a"], [b"b"])
    assert (log.written_lsn, log.durable_lsn, log.promised_lsn) == (2, 0, 2)
    assert disk.syncs == before
    log.sync(at=1)
    assert log.durable_lsn == 2
    assert disk.syncs == before + 1
    log.sync(at=1)
    assert disk.syncs == before + 1


def test_frame_has_the_watermark_of_the_time_of_its_write():
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    write(log, [b"a"], [b"b"])
    log.sync(at=1)
    write(log, [b"c"])
    assert [frame.durable_lsn for frame in frames(disk)] == [0, 0, 2]


def test_notify_is_called_after_progress():
    calls = []
    log = opened(MemoryDisk(), notify=lambda: calls.append(1))
    write(log, [b"a"])
    assert len(calls) == 1
    log.preallocate(3 * SEGMENT)
    assert len(calls) > 1


# --- durable watermarks


def test_watermark_is_written_once_and_only_if_it_has_risen():
    disk = MemoryDisk()
    log = opened(disk)
    log.write_watermark(at=1)
    assert frames(disk) == []
    write(log, [b"a"])
    for _ in range(3):
        log.write_watermark(at=7)
    empty = [frame for frame in frames(disk) if not frame.records]
    assert [(frame.first_lsn, frame.durable_lsn, frame.at) for frame in empty] == [(2, 1, 7)]
    assert replayed(disk).watermark == 1
    write(log, [b"b"])
    log.write_watermark(at=8)
    assert replayed(disk).watermark == 2
    assert records(disk) == [b"a", b"b"]


def test_watermark_is_synced():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    log.write_watermark(at=7)
    file = disk.names[segment(1)]
    assert file.synced == file.data


def test_watermark_takes_headroom():
    log = opened(MemoryDisk())
    write(log, [b"a"])
    before = log.headroom
    log.write_watermark(at=7)
    assert log.headroom == before - FRAME_BYTES


def test_watermark_is_not_written_while_records_are_pending():
    disk = MemoryDisk()
    log = opened(disk, segment_bytes=1 << 20)
    write(log, [b"a"])
    log.append(b"b")
    log.write_watermark(at=7)
    log.commit(at=8)
    assert [len(frame.records) for frame in frames(disk)] == [1, 1]


def test_watermark_that_does_not_fit_rotates_or_waits():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"x" * (log.headroom - FRAME_BYTES - LENGTH_BYTES - 10)])
    assert log.left == 10
    log.write_watermark(at=7)
    assert (log.segment, replayed(disk).watermark) == (1, 0)
    log.preallocate(SEGMENT)
    log.write_watermark(at=7)
    assert (log.segment, replayed(disk).watermark) == (2, 1)


def test_window_mode_watermark_covers_synced_records():
    disk = MemoryDisk()
    log = opened(disk, WINDOW)
    write(log, [b"a"])
    log.write_watermark(at=1)
    assert len(frames(disk)) == 1
    log.sync(at=2)
    log.write_watermark(at=3)
    assert replayed(disk).watermark == 1


# --- rotation


def test_record_that_does_not_fit_goes_to_the_next_segment():
    disk = MemoryDisk()
    log = opened(disk)
    log.preallocate(5 * SEGMENT)
    numbers = []
    for n in range(20):
        numbers.append(log.append(bytes([n]) * 1000))
        log.commit(at=n)
    assert numbers == sorted(numbers) and set(numbers) == {1, 2, 3, 4}
    assert numbers.count(1) == (SEGMENT - OVERHEAD) // (1000 + LENGTH_BYTES + FRAME_BYTES)
    assert [frame.segment for frame in frames(disk)] == numbers
    assert log.segment == 4


def test_commit_may_span_segments():
    disk = MemoryDisk()
    log = opened(disk)
    assert log.ensure_headroom(3 * SEGMENT - 5000)
    log.preallocate(6 * SEGMENT)
    write(log, [bytes([n]) * 700 for n in range(40)])
    assert log.segment > 2
    assert records(disk) == [bytes([n]) * 700 for n in range(40)]


def test_appended_bytes_are_exact_over_segments():
    disk = MemoryDisk()
    log = opened(disk)
    batches = [[bytes([n]) * (37 * n % 700)] * (n % 5) for n in range(60)]
    for batch in batches:
        write(log, batch)
        assert log.appended_bytes == sum(frame.end - frame.offset for frame in frames(disk))
    assert log.segment > 4
    log.append(b"abc")
    assert (
        log.appended_bytes - sum(frame.end - frame.offset for frame in frames(disk))
        == FRAME_BYTES + LENGTH_BYTES + 3
    )


def test_sealed_segment_is_truncated_and_durable():
    disk = MemoryDisk()
    log = opened(disk)
    for n in range(30):
        write(log, [bytes([n]) * 500])
    ends = {frame.segment: frame.end for frame in frames(disk)}
    for number in (1, 2):
        file = disk.names[segment(number)]
        assert log.segment_sizes[number] == len(file.data) == len(file.synced) == ends[number]
    assert log.sealed_bytes == ends[1] + ends[2]
    assert disk.synced_names.keys() >= {segment(1), segment(2), segment(3)}


def test_metadata_is_asked_for_at_each_rotation():
    disk = MemoryDisk()
    logs = []
    log = opened(disk, meta=lambda: b"lsn %d" % logs[0].lsn if logs else b"start")
    logs.append(log)
    for n in range(30):
        write(log, [bytes([n]) * 500])
    assert [info.meta for info in replayed(disk).segments] == [b"start", b"lsn 12", b"lsn 24"]


def test_metadata_that_is_too_long_changes_nothing():
    disk = MemoryDisk()
    grown = []
    log = opened(disk, meta=lambda: b"x" * (257 if grown else 256))
    log.preallocate(2 * SEGMENT)
    write(log, [b"a" * 7000])
    grown.append(1)
    before = log.lsn, log.headroom, log.segment
    with pytest.raises(ValueError, match="257"):
        log.append(b"b" * 7000)
    assert (log.lsn, log.headroom, log.segment) == before
    log.append(b"c")
    log.commit(at=1)
    assert records(disk) == [b"a" * 7000, b"c"]


# --- opening and closing


def test_start_opens_a_new_segment():
    disk = MemoryDisk()
    for n in range(1, 5):
        log = opened(disk)
        assert log.segment == n
        assert log.oldest == 1
        write(log, [b"%d" % n])
        log.close(at=n)


def test_starts_without_records_leave_no_segments():
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    for _ in range(5):
        log = opened(disk.after_kill())
        assert log.segment == 2
        log.close(at=1)
        assert sorted(path for path in disk.names if path.endswith(".wal")) == [
            segment(1),
            segment(2),
        ]
    assert records(disk) == [b"a"]


def test_clean_stop_writes_the_watermark():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"])
    log.append(b"b")
    log.close(at=9)
    assert replayed(disk).watermark == 2
    assert records(disk) == [b"a", b"b"]
    assert not disk.handles


def test_clean_stop_writes_the_watermark_into_a_full_segment():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"x" * (log.headroom - FRAME_BYTES - LENGTH_BYTES)])
    assert log.headroom == 0
    log.close(at=9)
    assert replayed(disk).watermark == 1


def test_clean_stop_seals_and_syncs():
    for durability in (SYNC, WINDOW):
        disk = MemoryDisk()
        log = opened(disk, durability)
        write(log, [b"a"])
        log.close(at=9)
        file = disk.names[segment(1)]
        assert file.synced == file.data
        assert len(file.data) == HEADER_BYTES + 2 * FRAME_BYTES + LENGTH_BYTES + 1


def test_closed_log_can_be_closed_again_but_not_used():
    log = opened(MemoryDisk())
    log.close(at=1)
    log.close(at=2)
    with pytest.raises(ValueError, match="closed"):
        log.append(b"a")
    for harmless in (
        lambda: log.commit(1),
        lambda: log.sync(1),
        lambda: log.write_watermark(1),
        lambda: log.preallocate(1 << 20),
        lambda: log.retire(9),
    ):
        harmless()


def test_open_needs_an_exhausted_replay():
    disk = MemoryDisk()
    write(opened(disk), [b"a"])
    replay = wal.Replay(DIRECTORY, fs=disk)
    with pytest.raises(ValueError, match="exhausted"):
        wal.Log.open(replay, threaded=False)
    next(iter(replay))
    with pytest.raises(ValueError, match="exhausted"):
        wal.Log.open(replay, threaded=False)


def test_open_needs_a_minimum_segment_size():
    with pytest.raises(ValueError, match="small"):
        opened(MemoryDisk(), segment_bytes=4095)


def test_log_id_is_random_and_permanent():
    disk = MemoryDisk(seed=1)
    write(opened(disk), [b"a"])
    first = replayed(disk).log_id
    write(opened(disk), [b"a"])
    assert replayed(disk).log_id == first
    other = MemoryDisk(seed=2)
    opened(other)
    assert replayed(other).log_id != first != 0
