"""Limits of tubes: max-jobs, max-bytes, max-reserved and expire, over restarts."""

from __future__ import annotations

from model.pair import SECOND, Pair

from beanstalkd_py.queue import tubebytes
from beanstalkd_py.queue.policy import Policy
from beanstalkd_py.queue.queue import Queue

FULL = b"TUBE_FULL\r\n"


def put(pair: Pair, size: int, who: str = "a") -> bytes:
    return pair.send(who, b"put 0 0 60 %d\r\n%b\r\n" % (size, b"x" * size))


def world(policy: bytes, kind: str = "binlog") -> Pair:
    pair = Pair(kind)
    pair.connect("a")
    pair.send("a", b"set-tube t %b\r\nuse t\r\nwatch t\r\n" % policy)
    return pair


def restarted(pair: Pair) -> None:
    pair.restart(SECOND, clean=False)
    pair.connect("a")
    pair.send("a", b"use t\r\nwatch t\r\n")


def test_limits_hold_after_a_kill() -> None:
    pair = world(b"max-jobs=3 max-bytes=500 max-reserved=1 expire=9")
    put(pair, 300)
    put(pair, 150)
    restarted(pair)
    assert pair.queue.policies == {b"t": Policy(0, b"", 3, 500, 1, 9)}
    assert put(pair, 51) == FULL
    assert put(pair, 50).startswith(b"INSERTED")
    assert put(pair, 0) == FULL
    assert pair.send("a", b"reserve\r\nreserve-with-timeout 0\r\n").endswith(b"TIMED_OUT\r\n")
    pair.send("a", b"delete 1\r\n")
    assert put(pair, 300).startswith(b"INSERTED")
    pair.advance(20 * SECOND)
    assert not pair.queue.jobs
    pair.finish()


def test_limits_stay_over_compaction() -> None:
    pair = world(b"max-jobs=1 dead-tube=dead")
    pair.send("a", b"use default\r\n")
    for _ in range(30):
        id = pair.queue.next_id
        put(pair, 400)
        pair.send("a", b"delete %d\r\n" % id)
    assert pair.binlog is not None and pair.binlog.log.oldest > 1
    restarted(pair)
    assert put(pair, 1).startswith(b"INSERTED") and put(pair, 1) == FULL
    pair.send("a", b"set-tube t max-jobs= dead-tube=\r\n")
    restarted(pair)
    assert not pair.queue.policies and not pair.queue.tubes[b"t"].guarded
    pair.finish()


def test_bytes_of_a_tube_follow_each_change() -> None:
    """Also jobs that expire, and dead letters."""
    pair = world(b"max-bytes=100 dead-tube=u max-attempts=1")
    pair.send("a", b"set-tube u max-bytes=100\r\n")
    pair.send("a", b"put-with 0 0 60 30 expire=5\r\n%b\r\n" % bytes(30))
    put(pair, 70)
    assert put(pair, 1) == FULL
    pair.advance(5 * SECOND)
    assert put(pair, 31) == FULL and put(pair, 30).startswith(b"INSERTED")
    pair.send("a", b"reserve\r\n")
    pair.send("a", b"release 2 0 0\r\nuse u\r\n")
    assert put(pair, 1) == FULL, "30 + 70 bytes of dead letters"
    pair.send("a", b"truncate u\r\n")
    assert put(pair, 100).startswith(b"INSERTED")
    pair.finish()


def test_bytes_are_counted_in_slices_while_jobs_come_and_go() -> None:
    """The reply to set-tube comes when all are counted."""
    pair = world(b"max-jobs=100000", "memory")
    session = pair.sessions["a"]
    for _ in range(3 * tubebytes.SLICE_JOBS):
        session.receive(b"put 0 0 60 2\r\nxx\r\n", pair.now)
    session.take_output()
    session.receive(b"set-tube t max-bytes=100000\r\n", pair.now)
    queue: Queue = pair.queue
    pair.connect("b")
    other = pair.sessions["b"]
    ids = list(queue.jobs)
    slices = 1
    while session.held:
        for id in (ids[slices], ids[-slices]):
            other.receive(b"delete %d\r\n" % id, pair.now)
        other.receive(b"put-in-tube t 0 0 60 5\r\nxxxxx\r\n", pair.now)
        other.receive(b"move-job %d u\r\n" % ids[-slices - 100], pair.now)
        session.run(pair.now)
        slices += 1
    assert session.take_output() == b"TUBE_SET\r\n" and slices > 1
    tube = queue.tubes[b"t"]
    assert isinstance(tube.counted, tubebytes.TubeBytes)
    bodies = [job.body for job in queue.jobs.values() if job.tube is tube]
    assert tube.counted.nbytes == sum(map(len, bodies))
