"""Jobs whose bodies are too long to be copied: put, replayed, compacted, on a full disk."""

from __future__ import annotations

from pathlib import Path

from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.headroom import LONG_BODY
from tests.binlog.daemon import Daemon, survivors

MAX_JOB_SIZE = 4 * LONG_BODY
BODY = bytes(range(256)) * (LONG_BODY // 256 + 1)


def put(daemon: Daemon, body: bytes, delay: int = 0) -> bytes:
    return daemon.say(daemon.sessions[0], b"put 5 %d 60 %d" % (delay, len(body)), body)


def test_long_jobs_survive_restarts_and_compaction(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, max_job_size=MAX_JOB_SIZE)
    daemon.session()
    for body in (BODY, b"x", BODY[1:], BODY[::-1], b"y"):
        assert put(daemon, body, delay=len(body) % 2).startswith(b"INSERTED")
    for _ in range(3):
        daemon.say(daemon.sessions[0], b"kick 1")
        daemon.say(daemon.sessions[0], b"delete %d" % min(daemon.queue.jobs))
        before = survivors(daemon.queue, daemon.now)
        assert (
            daemon.binlog.usage.live
            == sum(segment.live for segment in daemon.binlog.usage.sealed.values())
            + daemon.binlog.usage.current.live
        )
        daemon = daemon.restarted(tmp_path, max_job_size=MAX_JOB_SIZE)
        daemon.session()
        assert survivors(daemon.queue, daemon.now) == before
        assert daemon.binlog.compact_all()
        daemon.rest()
    daemon = daemon.restarted(tmp_path)
    assert survivors(daemon.queue, daemon.now) == before


def test_long_job_without_space_is_refused_and_changes_nothing() -> None:
    disk = MemoryDisk()
    daemon = Daemon("/log", max_job_size=MAX_JOB_SIZE, fs=disk)
    daemon.session()
    assert put(daemon, b"x") == b"INSERTED 1\r\n"
    daemon.rest()
    disk.capacity = sum(len(file.data) for file in disk.names.values())
    headroom = daemon.binlog.headroom
    before = daemon.binlog.log.lsn, headroom.put_reserve, daemon.binlog.usage.live
    assert put(daemon, BODY) == b"OUT_OF_MEMORY\r\n"
    assert (daemon.binlog.log.lsn, headroom.put_reserve, daemon.binlog.usage.live) == before
    assert daemon.say(daemon.sessions[0], b"delete 1") == b"DELETED\r\n"
