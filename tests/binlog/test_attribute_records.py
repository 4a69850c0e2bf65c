"""Attributes of jobs in the log."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.jobrecord import job_head
from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.binlog.opening import NewerRecords
from beanstalkd_py.binlog.records import VERSION, Full, Move, decode, encode
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, Attributes
from beanstalkd_py.queue.model import READY
from tests.binlog.daemon import Daemon, append, live_bytes
from tests.binlog.test_growth import fill, full_disk, say_all
from tests.binlog.test_headroom import FullQueue

GOLDEN = Path(__file__).parent / "data"
SEGMENT = 16 * 1024
HAS = Attributes(b"key", True, 10**18, 7, b"origin", 2)
FULL = Full(READY, 5, 1 << 60, 0, 10**9, 3, 0, 1, 2, 3, 4, 5, b"tube", b"body", HAS)
MOVE = Move(READY, 7, 1, 0, 0, 3, 0, 0, 0, 0, b"other", HAS)


@pytest.mark.parametrize("record", [FULL, MOVE, MOVE._replace(attributes=NO_ATTRIBUTES)])
def test_record_has_all_attributes(record: Full | Move) -> None:
    assert decode(encode(record)) == record


def test_head_of_a_record_ends_before_the_body() -> None:
    data = encode(FULL)
    assert job_head(data) == (FULL.id, len(data) - len(b"body"))


@pytest.mark.parametrize(
    "changed",
    [(68, 2), (69, 3), (70, 201), (71, 201)],
    ids=["until", "reason", "key length", "origin length"],
)
def test_impossible_attributes_are_refused(changed: tuple[int, int]) -> None:
    data = bytearray(encode(FULL))
    data[changed[0]] = changed[1]
    with pytest.raises(ValueError, match=r"key|reason"):
        decode(bytes(data))
    short = encode(FULL._replace(body=b""))
    with pytest.raises(ValueError, match="key of 3 bytes"):
        decode(short[:-1])
    with pytest.raises((ValueError, struct.error)):
        decode(encode(MOVE)[:-1])


def test_impossible_attributes_refuse_the_start(tmp_path: Path) -> None:
    data = bytearray(encode(FULL))
    data[69] = 3
    append(tmp_path, bytes(data))
    with pytest.raises(Exception, match=r"corrupt at offset .*reason 3"):
        Daemon(tmp_path)


def test_older_server_refuses_attributes_by_their_version(tmp_path: Path) -> None:
    """Each segment that may have them names this version or a later one."""
    assert VERSION >= 5 and encode_meta(1)[0] == VERSION
    append(tmp_path, meta=struct.pack("<HHIQQ", VERSION + 1, 0, 0, 1, 1))
    with pytest.raises(NewerRecords, match=f"version {VERSION + 1} are newer"):
        Daemon(tmp_path)


def test_attributes_of_version_5_are_read(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "records_v5", tmp_path, dirs_exist_ok=True)
    has = Daemon(tmp_path).queue.attributes
    assert has[1].key == b"unique" and has[1].expires_at > 10**18
    assert has[2] == Attributes(b"until", True, 0, 3)
    assert has[3] == Attributes(origin=b"dying", reason=1)


def put(daemon: Daemon, settings: bytes, delay: int = 0) -> None:
    session = daemon.session()
    line = b"put-with 0 %d 60 4%b" % (delay, settings)
    assert daemon.say(session, line, b"body").startswith(b"INSERTED")


def test_usage_is_the_same_after_each_change_and_each_start() -> None:
    """What compaction writes is never longer than the usage says."""
    disk = MemoryDisk()
    daemon = Daemon("/log", fs=disk)
    session = daemon.session()
    daemon.say(session, b"set-tube t dead-tube=dead-letters-of-t")
    put(daemon, b" key=k expire=100000 attempts=1 tube=t")
    put(daemon, b" key=until until=reserve")
    put(daemon, b" key=moved")
    put(daemon, b" key=delayed", delay=100)
    daemon.say(session, b"put-in-tube t 0 0 60 1", b"x")
    daemon.say(session, b"watch t")
    for _ in range(3):
        daemon.say(session, b"reserve-with-timeout 0")
    daemon.say(session, b"release 1 0 0")
    daemon.say(session, b"release 2 0 0")
    daemon.say(session, b"move-job 4 a-longer-name")
    daemon.turn()
    for _ in range(3):
        usage = daemon.binlog.usage
        policies = sum(nbytes for _, nbytes in usage.policies.values())
        assert usage.live == live_bytes(daemon.queue) + policies
        assert usage.grown == sum(job.full_segment.has_grown for job in daemon.queue.jobs.values())
        has = dict(daemon.queue.attributes)
        before = usage.kept
        again = daemon.restarted("/log", fs=disk)
        assert again.binlog.usage.kept == before
        assert again.queue.attributes == has
        while again.binlog.usage.sealed:
            assert again.binlog.compactor.step(1 << 20)
        again.turn()
        assert again.binlog.usage.kept <= before
        daemon = again
    assert {id: (each.key, each.origin) for id, each in daemon.queue.attributes.items()} == {
        1: (b"", b"t"),
        3: (b"moved", b""),
        4: (b"delayed", b""),
    }
    for id in list(daemon.queue.jobs):
        assert daemon.binlog.delete(daemon.queue.jobs[id])
    assert daemon.binlog.usage.kept == policies


def test_full_disk_buries_what_has_no_space_as_a_dead_letter() -> None:
    """A plain job grows by its attributes when it becomes a dead letter. Nothing is lost, and all
    other commands go on.
    """
    queue = FullQueue(full_disk(7 * SEGMENT), SEGMENT)
    queue.say(b"set-tube default max-attempts=1 dead-tube=dead")
    ids = fill(queue)
    said = say_all(queue, ids, b"reserve-job %d", b"release %d 0 0")
    assert said == {b"RESERVED", b"RELEASED"}
    states = [(job.tube.name, job.state) for job in queue.queue.jobs.values()]
    buried = states.count((b"default", 3))
    assert buried > len(ids) // 2 and buried + states.count((b"dead", 1)) == len(ids)
    again = queue.killed()
    assert [(job.tube.name, job.state) for job in again.queue.jobs.values()] == states
    assert say_all(again, ids, b"delete %d") == {b"DELETED"}
    assert not again.queue.jobs and not again.queue.attributes


def test_put_with_leaves_the_put_reserve() -> None:
    """A full disk refuses it like any put, and then each such job can be changed and deleted."""
    queue = FullQueue(full_disk(7 * SEGMENT), SEGMENT)
    lines = [b"put-with 9 0 60000 0 attempts=9 expire=100000\r\n"] * 50
    while set(queue.say(*lines)) == {b"INSERTED"}:
        pass
    ids = list(queue.queue.jobs)
    assert queue.binlog.usage.kept > 2 * SEGMENT
    assert say_all(queue, ids, b"reserve-job %d", b"bury %d 7") == {b"RESERVED", b"BURIED"}
    assert say_all(queue, ids, b"kick-job %d") == {b"KICKED"}
    again = queue.killed()
    assert len(again.queue.attributes) == len(ids)
    assert say_all(again, ids, b"delete %d") == {b"DELETED"}
