"""Records of jobs that grow: a changed job needs a longer record than a new one. On a full disk
there is headroom for that, and no job grows further.
"""

from __future__ import annotations

import random
from pathlib import Path

from beanstalkd_py.binlog.jobrecord import encode_head
from beanstalkd_py.binlog.usage import LENGTH_FIELD
from beanstalkd_py.queue.model import Job
from tests.binlog.daemon import Daemon
from tests.binlog.test_headroom import FullQueue, full_disk

SEGMENT = 64 * 1024


def fill(queue: FullQueue, body: bytes = b"") -> list[int]:
    """Puts until one is refused. Returns the ids."""
    lines = [b"put 9 0 60000 %d\r\n%b" % (len(body), body)] * 50
    while set(queue.say(*lines)) == {b"INSERTED"}:
        pass
    return list(queue.queue.jobs)


def say_all(queue: FullQueue, ids: list[int], *lines: bytes) -> set[bytes]:
    said: set[bytes] = set()
    for at in range(0, len(ids), 50):
        said.update(queue.say(*[line % id for id in ids[at : at + 50] for line in lines]))
    return said


def check_usage(daemon: Daemon | FullQueue) -> None:
    """What compaction would write for each job is as long as the usage says."""
    jobs = [*daemon.queue.jobs.values()]
    for job in jobs:
        place = job.full_segment
        is_limited = place is not place.segment.full
        head = encode_head(job, daemon.binlog.offset, not place.has_grown, is_limited)
        assert len(head) + len(job.body) + LENGTH_FIELD == place.kept(job)
    assert daemon.binlog.usage.grown == sum(job.full_segment.has_grown for job in jobs)


def test_all_jobs_can_be_changed_on_a_full_disk() -> None:
    """Each of them grows by half of its record, and the disk is as full as puts may make it."""
    queue = FullQueue(full_disk(7 * SEGMENT), SEGMENT)
    ids = fill(queue)
    assert queue.binlog.usage.kept > 2 * SEGMENT and not queue.binlog.usage.grown
    before = queue.binlog.usage.kept
    random.Random(1).shuffle(ids)
    said = say_all(queue, ids, b"reserve-job %d", b"bury %d 7")
    assert said == {b"RESERVED", b"BURIED"}
    assert queue.binlog.usage.kept > before * 3 // 2
    assert say_all(queue, ids, b"kick-job %d") == {b"KICKED"}
    check_usage(queue)
    again = queue.killed()
    assert {job.kicks for job in again.queue.jobs.values()} == {1}
    assert len(again.queue.jobs) == len(ids)


def rewritten(queue: FullQueue) -> list[Job]:
    """The jobs that compaction has rewritten since their latest change."""
    return [job for job in queue.queue.jobs.values() if job.update_segment is None]


def often_released(capacity: int) -> tuple[FullQueue, FullQueue]:
    """More often than a SHORT record can count, on a disk that was full for puts before it had
    `capacity` bytes. The second queue is that after a restart.
    """
    queue = FullQueue(full_disk(6 * SEGMENT), SEGMENT)
    ids = fill(queue, bytes(1000))
    queue.disk.capacity = capacity
    queue.rest()
    for job in queue.queue.jobs.values():
        job.reserves, job.history = 300, (300, 0, 299, 0, 0)
    for count in range(30):
        said = say_all(queue, ids, b"reserve-job %d", b"release %d 0 0")
        assert said == {b"RESERVED", b"RELEASED"}
        if count > 10:
            queue.binlog.compact_all()
            if len(rewritten(queue)) > 20:
                break
    check_usage(queue)
    again = queue.killed()
    assert sorted(again.queue.jobs) == ids
    return queue, again


def test_counters_are_limited_on_a_full_disk() -> None:
    """There is no headroom for FULL records. Nothing else is lost."""
    queue, again = often_released(6 * SEGMENT)
    short = rewritten(queue)
    assert len(short) > 20
    assert {again.queue.jobs[job.id].releases for job in short} == {255}


def test_counters_are_not_limited_if_there_is_space() -> None:
    queue, again = often_released(12 * SEGMENT)
    assert len(rewritten(queue)) > 20
    assert {job.releases for job in again.queue.jobs.values()} == {311}


def test_usage_is_that_of_the_records(tmp_path: Path) -> None:
    """After a start it is the same."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 1 0 60 3", b"new")
    daemon.say(session, b"put 1 9 60 7", b"delayed")
    for _ in range(3):
        daemon.say(session, b"put 1 0 60 7", b"changed")
    daemon.say(session, b"reserve-job 3")
    daemon.say(session, b"bury 3 7")
    daemon.say(session, b"reserve-job 4")
    daemon.say(session, b"delete 5")
    daemon.say(session, b"put 1 0 60 8", b"released")
    daemon.say(session, b"reserve-job 6")
    daemon.say(session, b"release 6 1 0")
    for again in (daemon, daemon.restarted(tmp_path)):
        usage = again.binlog.usage
        assert [job.full_segment.has_grown for job in again.queue.jobs.values()] == [
            False, True, True, False, True,
        ]  # fmt: skip
        assert usage.kept == sum(job.full_segment.kept(job) for job in again.queue.jobs.values())
        check_usage(again)
