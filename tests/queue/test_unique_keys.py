"""Unique keys, over kills and restarts."""

from __future__ import annotations

from random import Random

import pytest
from model.pair import SECOND, Pair
from simulation.disk import MemoryDisk

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from tests.binlog.daemon import Daemon


def put(pair: Pair, key: str, more: str = "", who: str = "a") -> bytes:
    return pair.send(who, f"put-with 0 0 60 1 tube=t key={key}{more}\r\nx\r\n".encode())


def world(kind: str = "binlog") -> Pair:
    pair = Pair(kind)
    pair.connect("a")
    return pair


def test_many_puts_of_each_key_make_one_job_over_kills() -> None:
    """Each put by another client. Each run is killed after its puts, and its log is replayed."""
    rng = Random(1)
    disk = MemoryDisk()
    daemon = Daemon("/log", fs=disk)
    answers: dict[int, set[bytes]] = {}
    for _ in range(10):
        for _ in range(300):
            key = rng.randrange(100)
            session = Session(daemon.dispatcher)
            session.receive(b"put-with 0 0 60 1 key=k%d\r\nx\r\n" % key, daemon.now)
            answers.setdefault(key, set()).add(session.take_output().split()[1])
            session.lost(daemon.now)
            if rng.random() < 0.1:
                daemon.commit()
        daemon.commit()
        disk = disk.after_kill()
        daemon = daemon.restarted("/log", fs=disk)
    assert len(answers) == 100 and all(len(ids) == 1 for ids in answers.values())
    assert len(daemon.queue.jobs) == 100


def test_key_until_the_first_reserve_is_gone_after_a_kill() -> None:
    pair = world()
    assert put(pair, "k", " until=reserve") == b"INSERTED 1\r\n"
    pair.send("a", b"watch t\r\nreserve\r\n")
    pair.restart(SECOND, clean=False)
    pair.connect("a")
    assert put(pair, "k", " until=reserve") == b"INSERTED 2\r\n"
    assert [job.id for job in pair.queue.jobs.values()] == [1, 2]
    pair.finish()


def test_key_is_kept_over_kill_and_compaction_until_the_delete() -> None:
    pair = world()
    assert put(pair, "k") == b"INSERTED 1\r\n"
    body = b"x" * 400
    for _ in range(30):
        id = pair.queue.next_id
        pair.send("a", b"put 0 0 60 400\r\n%b\r\ndelete %d\r\n" % (body, id))
    assert pair.binlog is not None and pair.binlog.log.oldest > 1
    pair.restart(SECOND, clean=False)
    pair.connect("a")
    assert put(pair, "k") == b"EXISTS 1\r\n"
    pair.send("a", b"delete 1\r\n")
    pair.restart(SECOND, clean=False)
    pair.connect("a")
    assert put(pair, "k").startswith(b"INSERTED")
    pair.finish()


def test_dead_letter_has_no_key_after_a_kill() -> None:
    pair = world()
    pair.send("a", b"set-tube t dead-tube=dead\r\nwatch t\r\n")
    put(pair, "k", " attempts=1")
    pair.send("a", b"reserve\r\nrelease 1 0 0\r\n")
    pair.restart(SECOND, clean=False)
    pair.connect("a")
    shown = pair.send("a", b"capabilities\r\nstats-job 1\r\n")
    assert shown.endswith(b'kicks: 0\norigin: "t"\nreason: attempts\n\r\n')
    assert put(pair, "k").startswith(b"INSERTED")
    pair.finish()


@pytest.mark.parametrize("commands", [b"delete 1\r\n", b"truncate t\r\n"])
def test_deleted_job_leaves_nothing_behind(commands: bytes) -> None:
    pair = world("memory")
    put(pair, "k", " expire=9")
    pair.send("a", commands)
    assert not pair.queue.attributes and b"t" not in pair.queue.tubes
    assert pair.queue.memory.used == 0
    pair.send("a", b"use t\r\n")
    assert put(pair, "l") == b"INSERTED 2\r\n" and put(pair, "k") == b"INSERTED 3\r\n"
    pair.send("a", b"delete 2\r\ndelete 3\r\n")
    tube = pair.queue.tubes[b"t"]
    assert tube.marked is None and not tube.guarded
    pair.finish()


def test_reserve_without_headroom_keeps_the_key() -> None:
    pair = world("limited")
    put(pair, "k", " until=reserve")
    pair.limit_changes(0)
    assert pair.send("a", b"watch t\r\nreserve\r\n").endswith(b"RESERVED 1 1\r\nx\r\n")
    assert put(pair, "k") == b"EXISTS 1\r\n"
    pair.limit_changes(None)
    pair.send("a", b"release 1 0 0\r\n")
    assert put(pair, "k").startswith(b"INSERTED")
    pair.finish()


def test_attributes_count_for_the_limit_of_memory() -> None:
    """Each put with attributes is asked, also one that would else be safe."""
    queue = Queue()
    session = Session(Dispatcher(queue))
    queue.memory.set_limit(100_000)
    for number in range(150):
        session.receive(b"put-with 0 0 60 1 key=key%d\r\nx\r\n" % number, 0)
    assert session.take_output().endswith(b"OUT_OF_MEMORY\r\n")
    assert 99_000 < queue.memory.used <= 100_000
    sizes = [1 + 400 + 400 + len(has.key) for has in queue.attributes.values()]
    assert queue.memory.used == sum(sizes)
