"""Opening: what a start refuses, reports and compacts."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog import records
from beanstalkd_py.binlog.compactor import Compactor
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.meta import META_1_STRUCT, encode_meta
from beanstalkd_py.binlog.opening import Unreadable, apply_all, open_binlog
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.model import READY
from beanstalkd_py.queue.queue import Queue
from tests.binlog.daemon import (
    SEGMENT,
    Daemon,
    S,
    append,
)


def test_restarts_add_no_segments(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(300):
        daemon.say(session, b"put 0 0 60 1", b"x")
    daemon = daemon.restarted(tmp_path)
    names = None
    for _ in range(5):
        daemon = daemon.restarted(tmp_path)
        daemon.rest()
        found = sum(path.suffix == ".wal" for path in tmp_path.iterdir())
        assert names in (None, found)
        names = found


def _refusal(directory: Path) -> str:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(Unreadable) as refused:
        Daemon(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    return str(refused.value)


def test_update_without_a_job_refuses_the_start(tmp_path: Path) -> None:
    append(tmp_path, records.encode(records.Update(1, 0, 42, 0, 0, 0, 0, 0, 0, 0)))
    assert "job 42" in _refusal(tmp_path)


def test_invalid_record_refuses_the_start(tmp_path: Path) -> None:
    append(tmp_path, b"\x63abc")
    assert "kind 99" in _refusal(tmp_path)


def test_newer_records_are_named_and_left_alone(tmp_path: Path) -> None:
    newer = records.VERSION + 1
    append(tmp_path, b"\x63abc", meta=META_1_STRUCT.pack(newer, 0, 0, 1))
    assert f"records of version {newer} are newer than {records.VERSION}" in _refusal(tmp_path)


def test_implausible_next_id_refuses_the_start(tmp_path: Path) -> None:
    replay = wal.Replay(tmp_path)
    list(replay)
    wal.Log.open(
        replay,
        segment_bytes=SEGMENT,
        meta=lambda: encode_meta((1 << 64) - 1),
        threaded=False,
    ).close(0)
    with pytest.raises(Unreadable, match="18446744073709551615 as the next id"):
        Daemon(tmp_path)


def _synced(directory: Path, report: Callable[[str], None] = print) -> Binlog:
    return open_binlog(
        str(directory),
        Queue(),
        segment_bytes=SEGMENT,
        durability=wal.Durability.SYNC,
        now=0,
        wall_now=0,
        notify=lambda: None,
        report=messages_only(report),
        threaded=False,
    )


@pytest.mark.parametrize("turns", [0, 1])
def test_discarded_update_stays_discarded(tmp_path: Path, turns: int) -> None:
    """With -F, a power failure may leave an UPDATE record without its FULL record. The start
    discards it. A later watermark must not turn it into damage.
    """
    replay = wal.Replay(tmp_path)
    assert list(replay) == []
    log = wal.Log.open(
        replay, SEGMENT, wal.Durability.NEVER, meta=lambda: encode_meta(50), threaded=False
    )
    log.append(
        records.encode(records.Full(READY, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"default", b""))
    )  # so that the segment is not retired
    log.append(records.encode(records.Update(1, 0, 42, 0, 0, 0, 0, 0, 0, 0)))
    log.commit(0)
    said: list[str] = []
    for _ in range(3):
        binlog = _synced(tmp_path, said.append)
        for _ in range(turns):
            binlog.end_iteration(0, 0)
    assert said[0].startswith(f"{tmp_path}/00000001.wal: offset ") and "LSN 2: job 42" in said[0]
    assert [*binlog.compactor.state.jobs] == [1] and binlog.compactor.state.next_id == 50


def test_start_compacts_each_segment_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that leave large parts of their segments unused, and much headroom from when there were
    large jobs: a start once rewrote all of it without end.
    """
    daemon = Daemon(tmp_path, segment_bytes=8192)
    session = daemon.session()
    for _ in range(30):
        daemon.say(session, b"put 0 0 60 4500", bytes(4500))
    for id in range(31, 33):
        daemon.say(session, b"put 0 0 60 65000", bytes(65000))
        daemon.say(session, b"delete %d" % id)
    steps = 0
    step = Compactor.step

    def counted(compactor: Compactor, limit: int) -> bool:
        nonlocal steps
        steps += 1
        assert steps < 200
        return step(compactor, limit)

    monkeypatch.setattr(Compactor, "step", counted)
    assert len(daemon.restarted(tmp_path, segment_bytes=8192).queue.jobs) == 30


def test_compaction_at_the_start_writes_the_time_of_the_start(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(2000):
        daemon.say(session, b"put 0 0 60 100", bytes(100))
    session.receive(b"".join(b"delete %d\r\n" % id for id in range(20, 2001)), daemon.now)
    daemon.binlog.log.commit(daemon.now + daemon.wall)  # killed before compaction
    again = daemon.restarted(tmp_path, now=daemon.now + S)
    again.binlog.log.close(again.now + again.wall)
    at = [frame.at for frame in wal.Replay(tmp_path)]
    assert at[-1] == again.now + again.wall and at == sorted(at)


class _Ends(Exception):
    """Ends the process."""


class _ReadOnly(wal.FileSystem):
    """Ends the process at the first call that would change something."""

    def create(self, path: str) -> int:
        raise _Ends

    def truncate(self, handle: int, nbytes: int) -> None:
        raise _Ends


def test_start_says_what_a_power_failure_may_have_taken(tmp_path: Path) -> None:
    """With -F the end of the log may be missing without a trace."""
    daemon = Daemon(tmp_path)
    daemon.say(daemon.session(), b"put 0 0 60 1", b"x")
    (segment,) = tmp_path.glob("*.wal")
    lines: list[str] = []
    for durability in (wal.Durability.NEVER, wal.Durability.SYNC):
        lines.clear()
        opened = open_binlog(
            str(tmp_path), Queue(), segment_bytes=SEGMENT, durability=durability, now=daemon.now,
            wall_now=daemon.now + daemon.wall, notify=lambda: None,
            report=messages_only(lines.append), threaded=False,
        )  # fmt: skip
        lsn = opened.log.lsn
    assert lines == [
        f"{segment.with_name('00000002.wal')}: was written with -F and not closed: "
        f"if the power failed, the changes after LSN {lsn} are gone"
    ]


def test_torn_tail_is_reported_before_it_is_cut(tmp_path: Path) -> None:
    """A kill between both must not leave a torn.* file that was never reported."""
    daemon = Daemon(tmp_path)
    daemon.say(daemon.session(), b"put 0 0 60 1", b"x")
    (segment,) = tmp_path.glob("*.wal")
    segment.write_bytes(segment.read_bytes().rstrip(b"\0") + b"torn")
    lines: list[str] = []
    with pytest.raises(_Ends):
        open_binlog(
            str(tmp_path),
            Queue(),
            segment_bytes=SEGMENT,
            durability=wal.Durability.SYNC,
            now=daemon.now,
            wall_now=daemon.now + daemon.wall,
            notify=lambda: None,
            report=messages_only(lines.append),
            threaded=False,
            fs=_ReadOnly(),
        )
    assert len(lines) == 1 and ": torn at offset" in lines[0]


def test_start_holds_one_segment_in_memory() -> None:
    """Not the segment before it too."""
    segment_bytes = 1 << 20
    disk = MemoryDisk()
    new = wal.Replay("/log", fs=disk)
    assert list(new) == []
    log = wal.Log.open(
        new,
        segment_bytes=segment_bytes,
        meta=lambda: encode_meta(1),
        threaded=False,
        fs=disk,
    )
    log.preallocate(4 * segment_bytes)
    log.collect()
    body = bytes(10_000)
    for id in range(1, 400):
        job = records.Full(READY, 0, id, 0, S, 0, 0, 0, 0, 0, 0, 0, b"default", body)
        log.append(records.encode(job))
        log.append(records.encode(records.Delete(id)))
    log.close(0)
    assert len(log.segment_sizes) >= 3
    queue = Queue()
    replayer = Replayer(queue, Usage(), 0)
    tracemalloc.start()
    apply_all(wal.Replay("/log", fs=disk), replayer, print, lambda done, total: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert replayer.records == 798 and not queue.jobs
    assert segment_bytes < peak < 1.5 * segment_bytes
