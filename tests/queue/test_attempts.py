"""Attempts that are used up, over restarts."""

from __future__ import annotations

import pytest
from model.pair import SECOND, Pair

from beanstalkd_py.queue.model import RESERVED

PUT = b"use work\r\nput 0 0 2 3\r\njob\r\nwatch work\r\nignore default\r\n"


def world(kind: str, policy: bytes) -> Pair:
    pair = Pair(kind)
    pair.connect("boss")
    assert pair.send("boss", b"set-tube work %b\r\n" % policy) == b"TUBE_SET\r\n"
    pair.send("boss", PUT)
    return pair


def worker(pair: Pair, name: str) -> bytes:
    pair.connect(name)
    return pair.send(name, b"watch work\r\nignore default\r\nreserve-with-timeout 0\r\n")


def where(pair: Pair) -> tuple[bytes, int]:
    job = pair.queue.jobs[1]
    return job.tube.name, job.state


@pytest.mark.parametrize("end", ["release", "ttr", "lost"])
def test_each_end_of_an_attempt_counts(end: str) -> None:
    pair = world("binlog", b"max-attempts=2 dead-tube=dead")
    for attempt in (1, 2):
        name = f"worker {attempt}"
        assert worker(pair, name).endswith(b"RESERVED 1 3\r\njob\r\n")
        if end == "release":
            assert pair.send(name, b"release 1 0 9\r\n") == b"RELEASED\r\n"
            pair.advance(9 * SECOND)
        elif end == "ttr":
            pair.advance(2 * SECOND)
        pair.lose(name)
        assert where(pair) == ((b"work", 1) if attempt == 1 else (b"dead", 1))
    pair.restart(SECOND, clean=False)
    assert where(pair) == (b"dead", 1)
    pair.finish()


def test_job_without_a_dead_tube_is_buried() -> None:
    pair = world("binlog", b"max-attempts=1")
    worker(pair, "a")
    assert pair.send("a", b"release 1 7 0\r\n") == b"RELEASED\r\n"
    assert (where(pair), pair.queue.jobs[1].buries) == ((b"work", 3), 1)
    pair.restart(SECOND, clean=False)
    assert where(pair) == (b"work", 3)
    pair.connect("boss")
    pair.send("boss", b"use work\r\nkick 1\r\n")
    assert worker(pair, "b").endswith(b"RESERVED 1 3\r\njob\r\n"), "a kick gives one attempt more"
    pair.lose("b")
    assert where(pair) == (b"work", 3)
    pair.finish()


def test_worker_that_dies_with_each_job_over_restarts() -> None:
    """The count is at most one delivery short."""
    pair = world("binlog", b"max-attempts=3 dead-tube=dead")
    deliveries = 0
    while where(pair)[0] == b"work":
        assert worker(pair, f"w{deliveries}").endswith(b"RESERVED 1 3\r\njob\r\n")
        deliveries += 1
        if deliveries == 2:
            pair.restart(SECOND, clean=False)  # this delivery is not counted
        else:
            pair.lose(f"w{deliveries - 1}")
    assert deliveries == 4
    pair.finish()


def test_policy_stays_over_restarts_and_compaction() -> None:
    pair = world("binlog", b"max-attempts=3 dead-tube=dead")
    put = b"put 0 0 60 400\r\n" + b"x" * 400 + b"\r\n"
    for _ in range(30):
        pair.send("boss", put + b"delete %d\r\n" % pair.queue.next_id)
    assert pair.binlog is not None and pair.binlog.log.oldest > 1
    pair.restart(SECOND, clean=True)
    pair.connect("boss")
    shown = pair.send("boss", b"capabilities\r\nstats-tube work\r\n")
    assert b'max-attempts: 3\ndead-tube: "dead"\n' in shown
    pair.send("boss", b"set-tube work max-attempts=0\r\n")
    pair.restart(SECOND, clean=False)
    pair.connect("boss")
    shown = pair.send("boss", b"capabilities\r\nstats-tube work\r\n")
    assert b'max-attempts: 0\ndead-tube: "dead"\n' in shown
    pair.send("boss", b"set-tube work dead-tube=\r\n")
    pair.restart(SECOND, clean=False)
    assert not pair.queue.policies
    pair.finish()


def test_full_disk_buries_and_refuses_in_the_end() -> None:
    pair = world("limited", b"max-attempts=1 dead-tube=dead")
    worker(pair, "a")
    pair.limit_changes(0)
    assert pair.send("a", b"release 1 0 0\r\n") == b"OUT_OF_MEMORY\r\n"
    assert where(pair) == (b"work", 2)
    pair.advance(2 * SECOND)
    assert where(pair) == (b"work", 3), "no client waits for a reply to the end of a TTR"
    assert pair.send("a", b"set-tube work dead-tube=\r\n") == b"OUT_OF_MEMORY\r\n"
    pair.finish()


@pytest.mark.parametrize(("dead", "ready"), [(5, 7), (7, 5)])
def test_dead_letter_and_the_job_whose_turn_it_frees_come_by_priority(dead: int, ready: int):
    """A dead letter is ready in one tube, and its old tube may have one more reserved job."""
    pair = world("memory", b"max-attempts=1 max-reserved=1 dead-tube=dead")
    pair.send("boss", b"delete 1\r\nput %d 0 2 1\r\nd\r\nput %d 0 2 1\r\nr\r\n" % (dead, ready))
    pair.send("boss", b"reserve-job 2\r\n")
    pair.connect("waiting")
    pair.send("waiting", b"watch work\r\nwatch dead\r\nreserve\r\n")
    pair.advance(2 * SECOND)
    job = min((dead, 2), (ready, 3))[1]
    assert pair.queue.jobs[job].state == RESERVED
    pair.finish()
