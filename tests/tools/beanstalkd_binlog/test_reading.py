"""Reading beside a running server: segments that are deleted, reused or appended to are not damage.

A hook on the file system plays the server: it acts when a file is about to be read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_binlog import reading
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.walk import Walk
from beanstalkd_wal.format import HEADER_BYTES, Header, decode_header, encode_header
from beanstalkd_wal.reader import Damage

from beanstalkd_py.binlog.records import Delete
from tests.tools.beanstalkd_binlog.logs import (
    AT,
    append,
    flip,
    frames,
    open_log,
    put,
    segment,
    update,
    write,
)

Hook = Callable[[int, bytes], bytes]


@pytest.fixture
def at_read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hook], None]:
    """Installs a hook. It is called with a segment's number whenever a whole segment is read, and
    returns the bytes that are read; b"" for those in the file.
    """

    def install(hook: Hook) -> None:
        real = wal.FileSystem.read

        def read(self: wal.FileSystem, path: str, nbytes: int = -1) -> bytes:
            if nbytes >= 0 or not path.endswith(".wal"):
                return real(self, path, nbytes)
            number = int(path[-12:-4])
            return hook(number, b"") or real(self, path)

        monkeypatch.setattr(wal.FileSystem, "read", read)

    return install


def four_segments(directory: Path) -> Path:
    """Each segment has a put. Job 1 is buried in the second and deleted in the third; job 2 is
    rewritten in the fourth.
    """
    write(
        directory,
        [put(1, body=b"a" * 2000)],
        [put(2, body=b"b" * 2000), update(1, 3)],
        [put(3, body=b"c" * 2000), Delete(1)],
        [put(4, body=b"d" * 1000), put(2, body=b"b" * 1000)],
        next_id=5,
    )
    assert len(list(directory.glob("*.wal"))) == 4
    return directory


def once(action: Callable[[], bytes | None], number: int) -> Hook:
    done = []

    def hook(read: int, data: bytes) -> bytes:
        if read == number and not done:
            done.append(read)
            return action() or data
        return data

    return hook


def delete(directory: Path, *numbers: int) -> None:
    for number in numbers:
        segment(directory, number).unlink()


def walked(directory: Path) -> tuple[Walk, list[int | str]]:
    """The LSNs in the order in which they were read; "gap" for a gap, "damage" for damage."""
    walk = Walk(str(directory))
    seen: list[int | str] = []
    for found in walk:
        if isinstance(found, wal.Frame):
            seen.extend(range(found.first_lsn, found.next_lsn))
        else:
            seen.append("gap" if isinstance(found, Gap) else "damage")
            walk.segments_at_gap = set(walk.reading.segments)
    walk.finish_replay()
    return walk, seen


def test_whole_log(tmp_path):
    walk, seen = walked(four_segments(tmp_path / "log"))
    assert (
        seen == [1, 2, 3, 4, 5, 6, 7]
        and not walk.findings
        and set(walk.replayer.state.jobs) == {2, 3, 4}
    )


def test_log_that_begins_with_segment_0(tmp_path):
    """No server writes it, but the log library reads it."""
    directory = write(tmp_path / "log", [put(1)], close=False)
    first = segment(directory, 1)
    data = first.read_bytes()
    header = decode_header(data[: HEADER_BYTES // 2])
    assert isinstance(header, Header)
    header.number = 0
    segment(directory, 0).write_bytes(encode_header(header) + data[HEADER_BYTES:])
    first.unlink()
    walk, seen = walked(directory)
    assert seen == [1] and not walk.findings


def test_segments_deleted_before_reading_began_make_no_gap(tmp_path, at_read):
    log = four_segments(tmp_path / "log")
    at_read(once(lambda: delete(log, 1, 2), 1))
    walk, seen = walked(log)
    assert seen == [4, 5, 6, 7] and not walk.findings
    assert set(walk.replayer.state.jobs) == {2, 3, 4}


def test_gap_voids_the_jobs_read_before(tmp_path, at_read):
    """The delete of job 1 was not read. Every live job is in the segments that are left."""
    log = four_segments(tmp_path / "log")
    at_read(once(lambda: delete(log, 1, 2, 3), 3))
    walk, seen = walked(log)
    assert (
        seen == [1, 2, 3, "gap", 6, 7]
        and not walk.findings
        and walk.gaps == 1
        and walk.segments_at_gap == set()
    )
    assert set(walk.replayer.state.jobs) == {2, 4}
    assert set(walk.reading.segments) == {4}


def test_gap_voids_the_findings_before(tmp_path, at_read):
    log = write(
        tmp_path / "log",
        [b"\x63", put(1, body=b"a" * 2000)],
        [put(2, body=b"b" * 2000)],
        [put(3, body=b"c" * 2000)],
    )
    assert len(walked(log)[0].findings) == 1
    at_read(once(lambda: delete(log, 1, 2), 2))
    walk, seen = walked(log)
    assert seen == [1, 2, "gap", 4] and not walk.findings


def test_segments_deleted_after_they_were_read_make_no_gap(tmp_path, at_read):
    log = four_segments(tmp_path / "log")
    at_read(once(lambda: delete(log, 1, 2), 3))
    walk, seen = walked(log)
    assert seen == [1, 2, 3, 4, 5, 6, 7] and not walk.findings and walk.gaps == 0
    assert set(walk.reading.segments) == {3, 4}


def test_gap_before_a_log_of_watermarks_only(tmp_path, at_read):
    """All jobs were deleted: the only segment left has no record."""
    log = write(tmp_path / "log", [put(1, body=b"a" * 2000)], [Delete(1)])
    write(log)  # starts and stops once more
    at_read(once(lambda: delete(log, 1), 1))
    (walk, seen) = walked(log)
    assert seen == [] and not walk.replayer.state.jobs
    log = write(
        tmp_path / "other",
        [put(1, body=b"a" * 2500)],
        [put(2, body=b"b" * 2500)],
        [Delete(1), Delete(2)],
    )
    write(log)
    last = len(list(log.glob("*.wal")))
    at_read(once(lambda: delete(log, *range(1, last)), 2))
    (walk, seen) = walked(log)
    assert seen == [1, "gap"] and not walk.replayer.state.jobs and not walk.findings


def test_file_that_becomes_a_spare_while_it_is_read(tmp_path, at_read):
    """Its zeros look like damage until the second reading finds that the file is gone."""
    log = four_segments(tmp_path / "log")

    def recycle() -> bytes:
        data = segment(log, 2).read_bytes()
        delete(log, 1, 2)
        return data[:HEADER_BYTES] + bytes(4096)

    at_read(once(recycle, 2))
    walk, seen = walked(log)
    assert seen == [1, "gap", 4, 5, 6, 7] and not walk.findings


def test_hole_that_is_filled_at_the_second_reading(tmp_path, at_read):
    """One page was read before the server wrote it, the next page after."""
    log = four_segments(tmp_path / "log")

    def half_seen() -> bytes:
        data = segment(log, 2).read_bytes()
        first = next(frame for frame in frames(log) if frame.segment == 2)
        return data[: first.offset] + bytes(first.end - first.offset) + data[first.end :]

    at_read(once(half_seen, 2))
    walk, seen = walked(log)
    assert seen == [1, 2, 3, 4, 5, 6, 7] and not walk.findings


def test_second_reading_skips_intact_segments(tmp_path, monkeypatch):
    """Segments that were intact are not read again."""
    log = four_segments(tmp_path / "log")
    flip(segment(log, 3), HEADER_BYTES + 60)
    read = []
    real = wal.FileSystem.read

    def counted(self, path, nbytes=-1):
        if nbytes < 0:
            read.append(int(path[-12:-4]))
        return real(self, path, nbytes)

    monkeypatch.setattr(wal.FileSystem, "read", counted)
    walk, _ = walked(log)
    assert walk.findings and (read.count(1), read.count(2)) == (1, 1)


def test_damage_found_by_both_readings_counts(tmp_path):
    log = four_segments(tmp_path / "log")
    flip(segment(log, 2), HEADER_BYTES + 60)
    walk, seen = walked(log)
    assert seen == [1, "damage", "damage", 4, 5, 6, 7]
    assert [(finding.state, finding.offset) for finding in walk.findings][:1] == [
        ("corrupt", HEADER_BYTES)
    ]


def test_torn_end_that_is_whole_at_the_second_reading(tmp_path, at_read):
    """A server wrote, or stopped, while the log was read."""
    log = write(tmp_path / "log", [put(1)], [put(2)], close=False)

    def half_written() -> bytes:
        data = segment(log, 1).read_bytes()
        end = frames(log)[-1].end
        return data[: end - 3] + bytes(len(data) - end + 3)

    at_read(once(half_written, 1))
    walk, seen = walked(log)
    assert seen == [1, 2] and not walk.findings


def test_segment_deleted_from_the_middle_is_missing(tmp_path, at_read):
    """A server deletes only at the old end, so this is damage."""
    log = four_segments(tmp_path / "log")
    at_read(once(lambda: delete(log, 3), 3))
    walk, seen = walked(log)
    assert seen == [1, 2, 3, "damage", 6, 7]
    assert "found segment 4 as the next" in walk.findings[0].message


def test_segment_deleted_after_damage_is_skipped(tmp_path, monkeypatch):
    log = four_segments(tmp_path / "log")
    flip(segment(log, 1), HEADER_BYTES + 60)
    walk = Walk(str(log))
    seen = []
    for found in walk:
        if isinstance(found, Damage) and not seen:
            delete(log, 2)
        seen.append(type(found).__name__)
    assert seen == [
        "Damage",
        "Damage",
        "Frame",
        "Frame",
        "Frame",
    ]  # the last frame has only a watermark
    assert [finding.reason for finding in walk.findings][2] == "LSN 1 to 3 missing"


def test_segment_that_a_start_replaces_while_it_is_read(tmp_path, at_read):
    """The last segment had no record, and is another file at the second reading."""
    log = write(tmp_path / "log", [put(1)])
    write(log)
    restarted = []

    def restart() -> bytes:
        data = segment(log, 2).read_bytes()
        append_more = open_log(log, at=AT + 5)
        append(append_more, [put(2)], AT + 6)
        append_more.close(AT + 7)
        restarted.append(1)
        return data + b"\x01"  # the first reading sees half a frame

    at_read(once(restart, 2))
    walk, seen = walked(log)
    assert restarted and seen == [1, 2] and not walk.findings


def test_gap_is_reported_on_stderr(run, tmp_path, at_read):
    log = four_segments(tmp_path / "log")
    at_read(once(lambda: delete(log, 1, 2, 3), 3))
    said = run("dump", log)
    gap = "the server deleted segments before they were read; the log continues at LSN 6"
    assert said.stderr == f"beanstalkd-binlog: {log}: {gap}\n"
    assert [line.split()[0] for line in said.stdout.splitlines()[1:]] == ["1", "2", "3", "6", "7"]


def test_stats_counts_growth_from_the_gap_on(lines, tmp_path, at_read):
    log = four_segments(tmp_path / "log")
    at_read(once(lambda: delete(log, 1, 2, 3), 3))
    (found,) = lines("stats", log)
    assert found["kinds"].keys() == {"new"} and found["kinds"]["new"]["records"] == 2


def test_reading_gives_up_after_many_attempts(tmp_path, monkeypatch):
    log = four_segments(tmp_path / "log")
    looks = []

    def gone(self, path):
        looks.append(path)
        raise FileNotFoundError(2, "No such file or directory", path)

    monkeypatch.setattr(reading, "MAX_ATTEMPTS", 5)
    monkeypatch.setattr(wal.FileSystem, "size", gone)
    with pytest.raises(FileNotFoundError):
        walked(log)
    assert len(looks) == 6
