"""Records that contradict each other: what is used, what is reported, which jobs are doubtful."""

from __future__ import annotations

import pytest

from beanstalkd_py.foreign.cbinlog import Kind

from .logs import (
    BORN,
    BURIED,
    READY,
    SECOND,
    Rec,
    ids,
    kinds,
    log,
    messages,
    read,
)

JOBS = [Rec(id, b"tube-%d" % id, b"body %d" % id) for id in range(1, 6)]
ONE, TWO, THREE, FOUR, FIVE = JOBS
AT = len(log(ONE.full()))  # offset of the second record


@pytest.mark.parametrize("state", [1, 2, 4])
def test_delete_with_a_damaged_state_leaves_a_doubtful_job(tmp_path, state):
    binlog = read(tmp_path, log(ONE.full(), ONE.reserved().but(state=state).short(), TWO.full()))
    assert (ids(binlog), binlog.maybe_deleted) == ([1, 2], [1])
    assert messages(binlog) == [
        f"binlog.1:{AT}: an update of job 1 that changes nothing: a delete, perhaps"
    ]


@pytest.mark.parametrize("id", [2, 70])
def test_delete_with_a_damaged_id_is_found_by_creation_time(tmp_path, id):
    binlog = read(
        tmp_path,
        log(
            ONE.full(),
            TWO.full(),
            ONE.deleted().but(id=id, created_at=ONE.born).short(),
            THREE.full(),
        ),
    )
    assert ids(binlog) == [1, 2, 3]
    assert 1 in binlog.maybe_deleted
    assert messages(binlog)[-1].endswith(
        f": the delete of job {id} was not used, "
        "but job 1 was created at the same instant, and the delete may belong to it"
    )


@pytest.mark.parametrize("change", [{"created_at": BORN}, {"ttr": 61 * SECOND}, {"body_size": 9}])
def test_delete_that_contradicts_its_job_is_not_used(tmp_path, change):
    binlog = read(tmp_path, log(ONE.full(), ONE.deleted().but(**change).short(), TWO.full()))
    assert (ids(binlog), binlog.maybe_deleted) == ([1, 2], [1])
    assert messages(binlog) == [
        f"binlog.1:{AT}: an update of job 1 does not agree with it: not used"
    ]


def test_updates_of_a_damaged_job_are_no_orphans(tmp_path):
    binlog = read(tmp_path, log(ONE.full()[:-1] + b"x", ONE.buried().short(), TWO.full()))
    assert ids(binlog) == [2]
    assert [damage.job_ids for damage in binlog.damages] == [(1,)]


def test_updates_of_a_job_inside_damage_are_damage(tmp_path):
    binlog = read(tmp_path, log(b"\xff" * 100, ONE.buried().short(), TWO.full()))
    assert ids(binlog) == [2]
    assert [(damage.kind, damage.job_ids) for damage in binlog.damages] == [
        (Kind.DAMAGE, ()),
        (Kind.DAMAGE, (1,)),
    ]


# Records that contradict each other


def test_changed_body_size_is_reported_in_the_c_servers_words(tmp_path):
    longer = ONE.but(body=b"a longer body").full()
    binlog = read(tmp_path, log(ONE.full(), longer, TWO.full()))
    assert [(job.id, job.body) for job in binlog.jobs] == [(1, b"body 1"), (2, b"body 2")]
    assert messages(binlog) == [f"binlog.1:{AT}: job 1 size changed: was 8, now 15: not used"]


def test_copy_with_another_body_or_tube_keeps_the_first(tmp_path):
    binlog = read(
        tmp_path, log(ONE.full(), ONE.but(body=b"body X").full(), ONE.but(tube=b"tubf-1").full())
    )
    assert [(job.tube, job.body) for job in binlog.jobs] == [(b"tube-1", b"body 1")]
    assert messages(binlog) == [
        f"binlog.1:{at}: the copy of job 1 has another body or tube: the first one is kept"
        for at in (AT, AT + 98)
    ]


def test_older_job_of_the_same_id_in_a_later_file_is_not_used(tmp_path):
    binlog = read(
        tmp_path, log(ONE.full()), log(ONE.but(created_at=BORN - 5, tube=b"x").full(), TWO.full())
    )
    assert [(job.id, job.tube) for job in binlog.jobs] == [(1, b"tube-1"), (2, b"tube-2")]
    assert messages(binlog) == ["binlog.2:4: another job has the id of job 1: not used"]


def test_second_job_of_the_same_id_in_a_file_is_not_used(tmp_path):
    binlog = read(
        tmp_path, log(ONE.full(), ONE.but(created_at=BORN + 10**12, tube=b"x").full(), TWO.full())
    )
    assert [(job.id, job.tube) for job in binlog.jobs] == [(1, b"tube-1"), (2, b"tube-2")]
    assert messages(binlog) == [f"binlog.1:{AT}: another job has the id of job 1: not used"]


def test_id_deleted_before_in_the_same_file_is_doubtful(tmp_path):
    # The copy of another job whose id was damaged: ids are used again in later files only.
    copy = TWO.buried().but(id=1, created_at=TWO.born).full()
    binlog = read(tmp_path, log(ONE.full(), TWO.full(), ONE.deleted().short(), copy))
    assert (ids(binlog), binlog.maybe_deleted) == ([2, 1], [1])
    assert messages(binlog) == [
        "binlog.1:284: job 1 was deleted before, in this file: one of the ids is damaged"
    ]
    assert read(tmp_path, log(ONE.full(), ONE.deleted().short()), log(copy)).damages == []


def test_falling_counters_are_reported(tmp_path):
    binlog = read(tmp_path, log(ONE.but(timeouts=5).full(), ONE.buried().short()))
    assert [(job.state, job.timeouts, job.buries) for job in binlog.jobs] == [(BURIED, 0, 1)]
    assert messages(binlog) == [f"binlog.1:{AT}: job 1 has smaller counters than before"]


@pytest.mark.parametrize("state", [0, 5, 9, 255])
def test_put_with_a_damaged_state_is_kept(tmp_path, state):
    delayed = TWO.but(delay=9 * SECOND, deadline_at=TWO.born + 9 * SECOND)
    binlog = read(
        tmp_path, log(ONE.but(state=state).full(), delayed.but(state=state).full(), THREE.full())
    )
    assert [(job.id, job.state_name) for job in binlog.jobs] == [
        (1, "ready"),
        (2, "delayed"),
        (3, "ready"),
    ]
    assert kinds(binlog) == ["damage", "damage"]


@pytest.mark.parametrize("state", [5, 255])
def test_update_with_an_unknown_state_is_not_used(tmp_path, state):
    binlog = read(
        tmp_path,
        log(
            ONE.full(),
            ONE.buried().but(state=state).short(),
            ONE.but(state=state).full(),
            TWO.full(),
        ),
    )
    assert [(job.id, job.state) for job in binlog.jobs] == [(1, READY), (2, READY)]
    assert kinds(binlog) == ["damage", "damage"]


def test_implausible_numbers_are_limited(tmp_path):
    one, two = (
        ONE.but(ttr=-5, delay=-1, created_at=-7, deadline_at=-9),
        TWO.but(ttr=2**62, delay=2**62),
    )
    binlog = read(tmp_path, log(one.full(), two.full()))
    assert [(job.ttr_ns, job.delay_ns, job.created_at_ns) for job in binlog.jobs] == [
        (SECOND, 0, 1),
        (0xFFFFFFFF * SECOND, 0xFFFFFFFF * SECOND, TWO.born),
    ]
    assert kinds(binlog) == ["damage", "damage"]
    assert (
        ids(
            read(
                tmp_path, log(one.full(), two.full(), one.deleted().short(), two.deleted().short())
            )
        )
        == []
    )


# Files
