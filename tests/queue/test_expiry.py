"""Jobs that expire: never handed out, over restarts, late timers and a full disk."""

from __future__ import annotations

import pytest
from model.pair import SECOND, Pair

PUT = b"put-with 0 0 60 1 tube=t expire=2\r\nx\r\n"


def world(kind: str, policy: bytes = b"") -> Pair:
    pair = Pair(kind)
    pair.connect("a")
    pair.send("a", b"watch t\r\n")
    if policy:
        pair.send("a", b"set-tube t %b\r\n" % policy)
    return pair


@pytest.mark.parametrize("away", [1, 2])
def test_expiry_is_an_instant_of_the_wall_clock_over_a_restart(away: int) -> None:
    pair = world("binlog")
    pair.send("a", PUT)
    pair.restart(away * SECOND, clean=False)
    assert len(pair.queue.jobs) == (away == 1)
    pair.advance(SECOND)
    assert (len(pair.queue.jobs), pair.queue.expired) == (0, 1)
    pair.restart(SECOND, clean=False)
    assert not pair.queue.jobs and not pair.queue.expired
    pair.finish()


def test_late_timer_hands_out_no_expired_job() -> None:
    """The command comes before the timer runs."""
    pair = world("memory")
    pair.send("a", PUT + b"put-in-tube t 9 0 60 1\r\ny\r\n")
    session = pair.sessions["a"]
    session.receive(b"reserve\r\n", pair.now + 2 * SECOND)
    assert session.take_output() == b"RESERVED 2 1\r\ny\r\n"
    assert list(pair.queue.jobs) == [2]


def test_many_jobs_expire_in_slices() -> None:
    """A reserve in between gets the job that does not expire, or none, but no expired one."""
    pair = world("memory")
    session = pair.sessions["a"]
    for _ in range(1200):
        session.receive(PUT, pair.now)
    session.receive(b"put-in-tube t 9 0 60 1\r\ny\r\n", pair.now)
    session.take_output()
    now = pair.now + 2 * SECOND
    pair.queue.tick(now)
    assert pair.queue.expired == 500
    session.receive(b"reserve-with-timeout 0\r\n", now)
    assert (session.take_output(), pair.queue.expired) == (b"TIMED_OUT\r\n", 1000)
    while pair.queue.next_at <= now + SECOND:
        now = pair.queue.next_at
        pair.queue.tick(now)
    session.receive(b"reserve-with-timeout 0\r\n", now)
    assert session.take_output().startswith(b"RESERVED 1201 1\r\n")
    assert pair.queue.expired == 1200


def test_dead_letters_of_two_tubes_for_each_other() -> None:
    """Each is the dead tube of the other. A dead letter does not expire again."""
    pair = world("binlog", b"dead-tube=u")
    pair.send("a", b"set-tube u dead-tube=t\r\n")
    for _ in range(3):
        pair.send("a", PUT + PUT.replace(b"tube=t", b"tube=u"))
    pair.advance(9 * SECOND)
    assert {job.id: job.tube.name for job in pair.queue.jobs.values()} == {
        id: b"u" if id % 2 else b"t" for id in range(1, 7)
    }
    pair.restart(SECOND, clean=False)
    assert {each.reason for each in pair.queue.attributes.values()} == {2}
    pair.finish()


@pytest.mark.parametrize("policy", [b"", b"dead-tube=dead"])
def test_full_disk_buries_an_expired_job_until_it_is_kicked(policy: bytes) -> None:
    pair = world("limited", policy)
    pair.send("a", PUT)
    pair.limit_changes(0)
    pair.advance(2 * SECOND)
    assert pair.queue.jobs[1].state == 3
    assert pair.send("a", b"reserve-with-timeout 0\r\n") == b"TIMED_OUT\r\n"
    pair.limit_changes(None)
    assert pair.send("a", b"kick-job 1\r\n") == b"KICKED\r\n"
    assert (1 in pair.queue.jobs) is bool(policy)
    pair.finish()


def test_last_job_of_a_tube_expires_at_the_end_of_a_pause() -> None:
    """The tube goes with it."""
    pair = world("binlog")
    pair.send("a", b"use t\r\n" + PUT + b"pause-tube t 2\r\nignore t\r\nuse default\r\n")
    pair.advance(5 * SECOND)
    assert list(pair.queue.tubes) == [b"default"]
    pair.finish()


def test_tube_with_expired_and_returning_jobs_has_few_entries() -> None:
    """A job that is released again and again has one entry that counts."""
    pair = world("memory")
    pair.send("a", PUT.replace(b"expire=2", b"expire=99"))
    for _ in range(300):
        pair.sessions["a"].receive(b"reserve\r\nrelease 1 0 0\r\n", pair.now)
    marked = pair.queue.tubes[b"t"].marked
    assert len(marked.expiries) < 100  # type: ignore[attr-defined]
