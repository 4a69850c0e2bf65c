"""The effect of each record on a job, in undamaged logs."""

from __future__ import annotations

import pytest

from beanstalkd_py.foreign.cbinlog import BURIED as CBURIED
from beanstalkd_py.foreign.cbinlog import CJob, Kind, read_directory

from .logs import (
    BORN,
    BURIED,
    DELAYED,
    READY,
    RESERVED,
    SECOND,
    Rec,
    ids,
    kinds,
    log,
    make,
    messages,
    read,
)

PUT = Rec()


def test_put_is_a_job_with_all_fields(tmp_path):
    rec = Rec(
        9,
        b"tube",
        b"\x00\r\nbody",
        5,
        7 * SECOND,
        8 * SECOND,
        BORN,
        BORN + 7 * SECOND,
        1,
        2,
        3,
        4,
        5,
        DELAYED,
    )
    binlog = read(tmp_path, log(rec.full(), zeros=100))
    assert binlog.jobs == [
        CJob(
            9,
            b"tube",
            DELAYED,
            5,
            7 * SECOND,
            8 * SECOND,
            BORN,
            BORN + 7 * SECOND,
            1,
            2,
            3,
            4,
            5,
            b"\x00\r\nbody",
        )
    ]
    assert (binlog.next_id, binlog.damages, binlog.maybe_deleted) == (10, [], [])


def test_empty_directory_has_no_jobs(tmp_path):
    binlog = read_directory(str(tmp_path))
    assert (binlog.jobs, binlog.next_id, binlog.damages) == ([], 1, [])


def test_missing_directory_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_directory(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("rec", "state", "deadline_at"),
    [
        (PUT.buried(), BURIED, 0),
        (PUT.released(), DELAYED, BORN + 1000 + 35 * SECOND),
        (PUT.buried().kicked(), READY, 0),
        (PUT.reserved(), READY, 0),
    ],
)
def test_last_record_counts(tmp_path, rec, state, deadline_at):
    (job,) = read(tmp_path, log(PUT.full(), rec.short())).jobs
    counters = (rec.reserves, rec.timeouts, rec.releases, rec.buries, rec.kicks)
    assert (job.state, job.pri, job.delay_ns, job.deadline_at_ns) == (
        state,
        rec.pri,
        rec.delay,
        deadline_at,
    )
    assert (job.reserves, job.timeouts, job.releases, job.buries, job.kicks) == counters
    assert job.body == b"hello"


@pytest.mark.parametrize(
    "rec", [PUT.deleted(), PUT.reserved().deleted(), PUT.released(0).deleted()]
)
@pytest.mark.parametrize("zeros", [0, 4, 200])
def test_delete_at_the_end_deletes(tmp_path, rec, zeros):
    binlog = read(tmp_path, log(PUT.full(), rec.short(), zeros=zeros))
    assert binlog.jobs == []
    assert binlog.next_id == 2


def test_delete_of_a_buried_job_after_restarts_is_applied(tmp_path):
    buried = PUT.buried()
    assert (
        ids(
            read(
                tmp_path,
                log(PUT.full(), buried.short()),
                log(buried.but(buries=4).deleted().short(), zeros=100),
            )
        )
        == []
    )


@pytest.mark.parametrize("next_record", [Rec(2).full(), Rec(9).deleted().short()])
def test_delete_after_a_refused_bury_is_applied(tmp_path, next_record):
    # The new priority stays in the C server's memory, and no counter tells of it.
    binlog = read(
        tmp_path, log(PUT.full(), PUT.reserved().but(pri=99).deleted().short(), next_record)
    )
    assert (1 in ids(binlog), binlog.damages) == (False, [])


def test_delete_of_a_delayed_job_after_a_restart_is_applied(tmp_path):
    delayed = PUT.but(state=DELAYED, delay=3 * SECOND, deadline_at=BORN + 3 * SECOND)
    moved = delayed.but(deadline_at=BORN + 3 * SECOND + 7000)
    assert ids(read(tmp_path, log(delayed.full()), log(moved.deleted().short(), zeros=100))) == []


def test_next_id_counts_deleted_jobs_and_short_records(tmp_path):
    assert read(tmp_path, log(PUT.full(), Rec(70).full(), Rec(70).deleted().short())).next_id == 71
    assert read(tmp_path, log(Rec(80).deleted().short(), PUT.full())).next_id == 81


def test_largest_id_does_not_reset_the_next_id(tmp_path):
    binlog = read(tmp_path, log(PUT.full(), Rec(2**64 - 1, created_at=BORN).full()))
    assert ids(binlog) == [1, 2**64 - 1]
    assert binlog.next_id == 2
    assert kinds(binlog) == ["damage"]


def test_files_are_read_by_number_not_by_name(tmp_path):
    make(tmp_path, log(PUT.full()), first=9)
    make(tmp_path, log(PUT.buried().short()), first=10)
    assert [(job.id, job.state) for job in read_directory(str(tmp_path)).jobs] == [(1, BURIED)]


def test_other_names_are_not_read(tmp_path):
    make(tmp_path, log(PUT.full()))
    for name in "lock", "binlog.1~", "binlog.x", "binlog.1.unready", "abinlog.2", "binlog.2 ":
        (tmp_path / name).write_bytes(log(Rec(5).full()))
    binlog = read_directory(str(tmp_path))
    assert (ids(binlog), binlog.damages) == ([1], [])


# Order


def test_buried_jobs_are_in_the_order_of_burying(tmp_path):
    jobs = [Rec(id) for id in (1, 2, 3, 4)]
    records = [*(job.full() for job in jobs), *(jobs[at].buried().short() for at in (2, 0, 1))]
    assert ids(read(tmp_path, log(*records))) == [4, 3, 1, 2]


def test_second_bury_moves_a_job_to_the_end(tmp_path):
    one, two = Rec(1), Rec(2)
    kicked = one.buried().kicked()
    records = [
        one.full(),
        two.full(),
        one.buried().short(),
        two.buried().short(),
        kicked.short(),
        kicked.buried().short(),
    ]
    assert ids(read(tmp_path, log(*records))) == [2, 1]


def test_bury_of_a_reserved_buried_job_moves_it_to_the_end(tmp_path):
    one, two = Rec(1), Rec(2)
    records = [
        one.full(),
        two.full(),
        one.buried().short(),
        two.buried().short(),
        one.buried().buried().short(),
    ]
    assert ids(read(tmp_path, log(*records))) == [2, 1]


def test_copy_of_a_buried_job_keeps_its_place(tmp_path):
    one, two = Rec(1), Rec(2)
    binlog = read(
        tmp_path,
        log(
            one.full(), two.full(), one.buried().short(), two.buried().short(), one.buried().full()
        ),
    )
    assert ids(binlog) == [1, 2]
    assert binlog.damages == []


def test_copy_buries_a_job_if_no_other_record_did(tmp_path):
    records = [Rec(1).full(), Rec(2).full(), Rec(2).buried().short(), Rec(1).buried().full()]
    assert ids(read(tmp_path, log(*records))) == [2, 1]


def test_jobs_buried_in_a_missing_file_come_first(tmp_path):
    three = [Rec(3).full(), Rec(3).buried().short()]
    assert ids(read(tmp_path, log(Rec(2).buried().full(), *three, Rec(1).buried().full()))) == [
        2,
        1,
        3,
    ]


def test_bury_counts_if_the_put_is_in_a_missing_file(tmp_path):
    records = [
        Rec(2).buried().short(),
        Rec(3).full(),
        Rec(3).buried().short(),
        Rec(2).buried().full(),
    ]
    assert ids(read(tmp_path, log(*records))) == [2, 3]
    kicked = Rec(2).buried().kicked()
    records = [
        Rec(2).buried().short(),
        kicked.short(),
        Rec(3).full(),
        Rec(3).buried().short(),
        kicked.buried().short(),
        kicked.buried().full(),
    ]
    assert ids(read(tmp_path, log(*records))) == [3, 2]


# Compaction


def test_copy_replaces_the_fields_of_its_job(tmp_path):
    copy = PUT.reserved().but(timeouts=3)
    binlog = read(tmp_path, log(PUT.full()), log(copy.full()))
    assert [(job.state, job.reserves, job.timeouts, job.body) for job in binlog.jobs] == [
        (READY, 1, 3, b"hello")
    ]
    assert binlog.damages == []


def test_updates_before_the_copy_of_a_job_are_ignored(tmp_path):
    binlog = read(tmp_path, log(PUT.buried().short(), PUT.buried().kicked().full()))
    assert [(job.id, job.state, job.kicks) for job in binlog.jobs] == [(1, READY, 1)]
    assert binlog.damages == []


def test_updates_of_a_job_that_was_deleted_later_are_ignored(tmp_path):
    binlog = read(tmp_path, log(PUT.buried().short(), PUT.buried().deleted().short()))
    assert (binlog.jobs, binlog.damages, binlog.next_id) == ([], [], 2)


def test_updates_without_a_job_are_reported(tmp_path):
    binlog = read(tmp_path, log(Rec(5).full(), PUT.buried().short(), Rec(2).buried().short()))
    assert [(damage.kind, damage.job_ids) for damage in binlog.damages] == [(Kind.ORPHAN, (1, 2))]
    assert messages(binlog) == [
        "binlog.1:102: 2 jobs have updates but no put, job 1 the first of them"
    ]
    assert not binlog.damaged


def test_job_reserved_in_the_log_is_ready(tmp_path):
    assert [job.state for job in read(tmp_path, log(PUT.but(state=RESERVED).full())).jobs] == [
        READY
    ]


# What the C server does wrong


@pytest.mark.parametrize("size", [0, 1, 65534, 65535, 3_000_000])
def test_no_body_is_too_large(tmp_path, size):
    binlog = read(tmp_path, log(Rec(1, body=bytes(size)).full(), Rec(2).full()))
    assert [len(job.body) for job in binlog.jobs] == [size, 5]


def test_buries_are_as_logged(tmp_path):
    (job,) = read(tmp_path, log(PUT.full(), PUT.buried().short())).jobs
    assert (job.state, job.buries) == (CBURIED, 1)


def test_id_reused_after_a_lossy_start_is_the_later_jobs(tmp_path):
    again = Rec(1, b"other", b"new", created_at=BORN + 3600 * SECOND)
    binlog = read(
        tmp_path, log(PUT.full(), Rec(2).full()), log(again.full(), again.buried().short())
    )
    assert [(job.id, job.body, job.state) for job in binlog.jobs] == [
        (2, b"hello", READY),
        (1, b"new", BURIED),
    ]
    assert kinds(binlog) == ["damage"]
    assert messages(binlog) == [
        "binlog.2:4: the id of job 1 was used twice: "
        "the earlier job, a job of 5 bytes in tube 'default', is lost"
    ]


def test_id_reused_after_a_delete_is_not_reported(tmp_path):
    again = Rec(1, b"other", b"new", created_at=BORN + 3600 * SECOND)
    binlog = read(tmp_path, log(PUT.full(), PUT.deleted().short()), log(again.full()))
    assert [job.body for job in binlog.jobs] == [b"new"]
    assert binlog.damages == []


# Version 5


def test_version_5_files_may_precede_version_7_files(tmp_path):
    v5 = (
        b"\x05\0\0\0"
        + PUT.full_v5()
        + Rec(2).full_v5()
        + Rec(2).deleted().short_v5()
        + Rec(3).full_v5()
        + PUT.released().short_v5()
        + bytes(50)
    )
    binlog = read(tmp_path, v5, log(PUT.released().kicked().short(), Rec(3).deleted().short()))
    assert [(job.id, job.state, job.ttr_ns, job.kicks) for job in binlog.jobs] == [
        (1, READY, 60 * SECOND, 1)
    ]
    assert kinds(binlog) == ["harmless"]
    assert messages(binlog)[0].endswith("unexpected EOF reading 77 bytes (got 42): v5 job struct")


def test_ttr_of_0_written_by_1_4_is_a_second(tmp_path):
    put = PUT.but(ttr=1000)
    v5 = b"\x05\0\0\0" + put.full_v5() + put.buried().short_v5() + Rec(2, ttr=1000).full_v5()
    binlog = read(
        tmp_path, v5, log(put.buried().kicked().short(), Rec(2, ttr=1000).deleted().short())
    )
    assert [(job.id, job.ttr_ns, job.kicks) for job in binlog.jobs] == [(1, SECOND, 1)]
    assert binlog.damages == []


@pytest.mark.parametrize("deadline_at", [37_000, -37_000])
def test_deadline_of_a_ready_job_written_by_1_4_is_ignored(tmp_path, deadline_at):
    put, other = PUT.but(deadline_at=deadline_at), Rec(2, deadline_at=deadline_at)
    v5 = b"\x05\0\0\0" + put.full_v5() + other.full_v5() + put.deleted().short_v5()
    binlog = read(tmp_path, v5)
    assert [(job.id, job.deadline_at_ns) for job in binlog.jobs] == [(2, 0)]
    assert binlog.damages == []


# Progress


def test_progress_is_called_per_mebibyte_and_file(tmp_path):
    files = [
        log(*(Rec(id + 1, body=bytes(100_000)).full() for id in range(35))),
        log(Rec(99).full()),
    ]
    make(tmp_path, *files)
    seen: list[tuple[int, int]] = []
    read_directory(str(tmp_path), lambda done, total: seen.append((done, total)))
    total = sum(map(len, files))
    assert {each for _, each in seen} == {total}
    done = [each for each, _ in seen]
    assert done == sorted(done)
    assert done[-2:] == [len(files[0]), total]
    assert len(done) == 3 + 2
