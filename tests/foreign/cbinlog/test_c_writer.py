"""A written directory has what the C server needs, and is read back unchanged."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beanstalkd_py.foreign.cbinlog import (
    BURIED,
    DELAYED,
    READY,
    RESERVED,
    CJob,
    read_directory,
    write_directory,
)

from .logs import BORN, DELETED, HEADER, SECOND, Rec, log

JOB = CJob(1, b"default", READY, 10, 0, 60 * SECOND, BORN + 1000, 0, 0, 0, 0, 0, 0, b"hello")


def test_one_job_makes_one_file_without_zeros_at_its_end(tmp_path):
    written = write_directory(str(tmp_path / "new"), [JOB], 2)
    assert os.listdir(tmp_path / "new") == ["binlog.1"]
    data = (tmp_path / "new" / "binlog.1").read_bytes()
    assert data == log(Rec().full())
    assert (written.files, written.jobs, written.bytes, written.needs_z) == (
        [str(tmp_path / "new" / "binlog.1")],
        1,
        len(data),
        7,
    )


def test_no_jobs_make_no_file(tmp_path):
    written = write_directory(str(tmp_path), [], 1)
    assert (written.files, written.jobs, written.bytes) == ([], 0, 0)
    assert os.listdir(tmp_path) == []


def test_files_have_the_c_servers_mode(tmp_path):
    write_directory(str(tmp_path), [JOB], 2)
    assert stat.S_IMODE((tmp_path / "binlog.1").stat().st_mode) == 0o400


@pytest.mark.parametrize("state", [BURIED, READY, DELAYED])
def test_only_a_buried_job_is_written_with_one_bury_less(tmp_path, state):
    write_directory(
        str(tmp_path), [replace(JOB, state=state, buries=5), replace(JOB, id=2, state=state)], 3
    )
    assert [job.buries for job in read_directory(str(tmp_path)).jobs] == [5 - (state == BURIED), 0]


def test_reserved_job_is_written_as_ready(tmp_path):
    write_directory(str(tmp_path), [replace(JOB, state=RESERVED, deadline_at_ns=BORN)], 2)
    assert (tmp_path / "binlog.1").read_bytes() == log(Rec().full())


def test_buried_jobs_stay_in_the_order_given(tmp_path):
    write_directory(
        str(tmp_path), [replace(JOB, id=id, state=BURIED, buries=1) for id in (3, 1, 2)], 4
    )
    assert [job.id for job in read_directory(str(tmp_path)).jobs] == [3, 1, 2]


def test_no_record_spans_files_and_numbers_have_no_gaps(tmp_path):
    size = len(Rec().full())
    write_directory(
        str(tmp_path),
        [replace(JOB, id=id) for id in range(1, 8)],
        8,
        segment_bytes=len(HEADER) + 3 * size,
    )
    sizes = [(tmp_path / f"binlog.{number}").stat().st_size for number in (1, 2, 3)]
    assert sizes == [4 + 3 * size, 4 + 3 * size, 4 + size]
    assert len(os.listdir(tmp_path)) == 3


def test_record_larger_than_a_segment_has_its_own_file(tmp_path):
    jobs = [JOB, replace(JOB, id=2, body=bytes(5000)), replace(JOB, id=3)]
    written = write_directory(str(tmp_path), jobs, 4, segment_bytes=4096)
    assert [os.stat(path).st_size > 4096 for path in written.files] == [False, True, False]
    assert read_directory(str(tmp_path)).jobs == jobs
    assert written.needs_z == 5002


def test_large_bodies_are_written_unchanged(tmp_path):
    jobs = [replace(JOB, id=id, body=os.urandom(3_000_000)) for id in (1, 2, 3, 4)]
    write_directory(str(tmp_path), jobs, 5)
    assert read_directory(str(tmp_path)).jobs == jobs


def test_higher_next_id_is_written_as_a_put_and_a_delete(tmp_path):
    write_directory(str(tmp_path), [JOB], 50)
    last = Rec(49, body=b"", pri=0, ttr=SECOND, created_at=JOB.created_at_ns)
    assert (tmp_path / "binlog.1").read_bytes() == log(
        Rec().full(), last.full(), last.but(state=DELETED).short()
    )
    binlog = read_directory(str(tmp_path))
    assert (binlog.jobs, binlog.next_id, binlog.damages) == ([JOB], 50, [])


def test_next_id_is_written_without_jobs(tmp_path):
    write_directory(str(tmp_path), [], 50)
    binlog = read_directory(str(tmp_path))
    assert (binlog.jobs, binlog.next_id, binlog.damages) == ([], 50, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": 0}, "not below the next id"),
        ({"id": 2}, "occurs twice"),
        ({"id": 9}, "not below the next id"),
        ({"tube": b""}, "accepts no tube"),
        ({"tube": b"x" * 201}, "accepts no tube"),
        ({"tube": b"a b"}, "accepts no tube"),
        ({"tube": b"-a"}, "accepts no tube"),
        ({"state": 0}, "no state 0"),
        ({"state": 5}, "no state 5"),
        ({"pri": 2**32}, "too large"),
        ({"ttr_ns": 2**63}, "too large"),
    ],
)
def test_job_that_the_c_server_cannot_read_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_directory(str(tmp_path), [replace(JOB, id=2), replace(JOB, **change)], 9)
    assert os.listdir(tmp_path) == []


class Large(bytes):
    """A body of 1 GiB that is not there."""

    def __len__(self) -> int:
        return (1 << 30) - 1


def test_body_above_the_largest_z_is_refused(tmp_path):
    with pytest.raises(ValueError, match="whatever its -z"):
        write_directory(str(tmp_path), [replace(JOB, body=Large())], 2)


def test_counters_stop_at_their_limit(tmp_path):
    write_directory(str(tmp_path), [replace(JOB, reserves=2**40, kicks=2**32)], 2)
    (job,) = read_directory(str(tmp_path)).jobs
    assert (job.reserves, job.kicks) == (2**32 - 1, 2**32 - 1)


@pytest.mark.parametrize("name", ["binlog.1", "binlog.77", "binlog.007"])
def test_directory_with_a_binlog_is_not_changed(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FileExistsError):
        write_directory(str(tmp_path), [JOB], 2)
    assert os.listdir(tmp_path) == [name]


def test_error_while_taking_jobs_leaves_no_files(tmp_path):
    def jobs():
        yield replace(JOB, body=bytes(9000))
        yield replace(JOB, id=2)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_directory(str(tmp_path), jobs(), 9, segment_bytes=4096)
    assert os.listdir(tmp_path) == []


CALLS = ["open", "write", "fsync", "close", "rename"]


@pytest.mark.parametrize("call", CALLS)
def test_failing_call_leaves_no_files(tmp_path, monkeypatch, call):
    jobs = [replace(JOB, id=id, body=bytes(4000)) for id in (1, 2, 3)]
    real = getattr(os, call)
    fail_at, calls = 0, 0

    def fail(*args, **more):
        nonlocal calls
        calls += 1
        if calls == fail_at:
            if call == "close":
                real(*args)
            raise OSError(28, "No space left on device")
        return real(*args, **more)

    monkeypatch.setattr(os, call, fail)
    done = False
    while not done:
        fail_at, calls = fail_at + 1, 0
        try:
            write_directory(str(tmp_path / "new"), jobs, 4, segment_bytes=4096)
            done = True
        except OSError:
            assert os.listdir(tmp_path / "new") == []
    assert fail_at > 3
    assert len(os.listdir(tmp_path / "new")) == 3


def test_unfinished_files_are_not_read(tmp_path):
    def jobs():
        for id in range(1, 9):
            assert read_directory(str(tmp_path)).files == []
            yield replace(JOB, id=id, body=bytes(3000))

    write_directory(str(tmp_path), jobs(), 9, segment_bytes=4096)
    assert len(read_directory(str(tmp_path)).jobs) == 8


def test_files_of_a_killed_write_are_overwritten(tmp_path):
    (tmp_path / "binlog.1.unready").write_bytes(b"half")
    (tmp_path / "binlog.1.unready").chmod(0o400)
    write_directory(str(tmp_path), [JOB], 2)
    assert os.listdir(tmp_path) == ["binlog.1"]


def test_file_that_another_program_made_meanwhile_is_kept(tmp_path):
    """A C server that was started on the directory while the jobs were written."""

    def jobs():
        yield JOB
        (tmp_path / "binlog.2").write_bytes(b"of a C server")
        yield replace(JOB, id=2)

    with pytest.raises(FileExistsError, match=r"binlog\.2 exists already"):
        write_directory(str(tmp_path), jobs(), 3, segment_bytes=100)
    assert os.listdir(tmp_path) == ["binlog.2"]
    assert (tmp_path / "binlog.2").read_bytes() == b"of a C server"


def test_files_are_synced_before_they_are_renamed(tmp_path, monkeypatch):
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def spy_fsync(fd: int) -> None:
        events.append("sync " + os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))
        fsync(fd)

    def spy_rename(old: str, new: str) -> None:
        events.append("name " + os.path.relpath(new, tmp_path))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "rename", spy_rename)
    write_directory(str(tmp_path / "new"), [JOB, replace(JOB, id=2)], 3, segment_bytes=100)
    assert events == [
        "sync new/binlog.1.unready", "sync new/binlog.2.unready",
        "name new/binlog.1", "name new/binlog.2", "sync new", "sync .",
    ]  # fmt: skip


U32 = st.integers(0, 2**32 - 1)
NS = st.integers(0, 2**62)
TUBES = st.from_regex(rb"[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}", fullmatch=True)
SECONDS = st.integers(1, 2**32 - 1).map(lambda seconds: seconds * SECOND)


@st.composite
def jobs(draw: st.DrawFn) -> list[CJob]:
    made = []
    for id in sorted(draw(st.sets(st.integers(1, 2**62), max_size=8))):
        state = draw(st.sampled_from([READY, DELAYED, BURIED]))
        counters = draw(st.tuples(U32, U32, U32, U32, U32))
        if state == BURIED:
            counters = (*counters[:3], max(counters[3], 1), counters[4])
        delay = draw(st.one_of(st.just(0), SECONDS))
        created_at, deadline_at = draw(st.integers(1, 2**62)), draw(NS) if state == DELAYED else 0
        body = draw(st.binary(max_size=3000))
        made.append(
            CJob(
                id,
                draw(TUBES),
                state,
                draw(U32),
                delay,
                draw(SECONDS),
                created_at,
                deadline_at,
                *counters,
                body,
            )
        )
    return made


@settings(max_examples=50)
@given(jobs(), st.integers(0, 1000), st.integers(0, 6000))
def test_written_jobs_are_read(made, more, segment_bytes):
    next_id = max((job.id for job in made), default=0) + 1 + more
    with TemporaryDirectory() as directory:
        write_directory(directory, made, next_id, segment_bytes)
        binlog = read_directory(directory)
    read = [
        replace(job, buries=job.buries + 1) if job.state == BURIED else job for job in binlog.jobs
    ]
    assert read == [job for job in made if job.state != BURIED] + [
        job for job in made if job.state == BURIED
    ]
    assert (binlog.next_id, binlog.damages, binlog.maybe_deleted) == (next_id, [], [])
