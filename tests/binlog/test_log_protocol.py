"""The face of a log: `beanstalkd_wal.Log` has it, and the binlog uses nothing else.

`StreamLog` is a second implementation, as small as possible: a stream with a fixed capacity.
"""

from __future__ import annotations

import random

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.ids import ReservedIds
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.log import Log, Promises
from beanstalkd_py.binlog.opening import begin
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.report import unreported
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from tests.binlog.daemon import WALL, S, survivors

SEGMENT = 64 * 1024
HEADER = 1024  # bytes of a segment beside its records
LENGTH = 4  # bytes of a record beside its own


class StreamLog:
    """Keeps records in memory. It commits at once, and retired segments are deleted at once."""

    disk_full = watermark_behind = False
    full_errno = 0
    promise_durable = True

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.segments: dict[int, list[bytes]] = {1: []}
        self.sizes = {1: HEADER}
        self.lsn = self.promised_lsn = self.durable_lsn = 0
        self.segment = 1
        self.appended_bytes = 0
        self.changes = 0

    # --- records

    def append(self, record: bytes) -> int:
        nbytes = len(record) + LENGTH
        if nbytes + HEADER > self.headroom:
            raise wal.LogFull(len(record), self.headroom)
        if self.sizes[self.segment] + nbytes > SEGMENT:
            self.segment += 1
            self.segments[self.segment], self.sizes[self.segment] = [], HEADER
        self.segments[self.segment].append(record)
        self.sizes[self.segment] += nbytes
        self.appended_bytes += nbytes
        self.lsn += 1
        return self.segment

    def append_long(self, head: bytes, body: bytes) -> int:
        return self.append(head + body)

    @property
    def pending(self) -> bool:
        return self.promised_lsn < self.lsn

    def commit(self, at: int, inline: bool = False) -> bool:
        self.promised_lsn = self.durable_lsn = self.lsn
        return True

    def collect(self) -> None:
        pass

    def drain(self, at: int) -> None:
        self.commit(at)

    def sync(self, at: int) -> None:
        pass

    def write_watermark(self, at: int) -> None:
        pass

    def check_lock(self) -> None:
        pass

    def close(self, at: int) -> None:
        self.commit(at)

    # --- headroom

    @property
    def headroom(self) -> int:
        return self.capacity - sum(self.sizes.values())

    def preallocate(self, target: int) -> None:
        pass

    def trim(self, target: int) -> None:
        pass

    def join(self, nbytes: int) -> bool:
        return self.ensure_headroom(nbytes)

    def ensure_headroom(self, nbytes: int, minimum: int = 0) -> bool:
        return self.headroom - nbytes - LENGTH - HEADER >= minimum

    # --- segments

    @property
    def oldest(self) -> int:
        return min(self.sizes)

    @property
    def segment_sizes(self) -> dict[int, int]:
        return {number: size for number, size in self.sizes.items() if number != self.segment}

    @property
    def active_bytes(self) -> int:
        return self.sizes[self.segment]

    @property
    def largest_spare(self) -> int:
        return 0

    @property
    def unsealed_bytes(self) -> int:
        return self.active_bytes + self.headroom

    @property
    def total_bytes(self) -> int:
        return self.capacity

    def retire(self, before: int) -> None:
        for number in [number for number in self.sizes if number < before]:
            del self.sizes[number], self.segments[number]
        self.changes += 1

    # --- for the test

    def frames(self) -> list[wal.Frame]:
        """One frame per segment."""
        lsn = self.lsn + 1 - sum(len(records) for records in self.segments.values())
        frames = []
        for number, records in self.segments.items():
            lengths = tuple(map(len, records))
            data = b"".join(records)
            frames.append(wal.Frame(number, 0, len(data), lsn, 0, 0, data, 0, lengths))
            lsn += len(records)
        return frames


def replayed(log: StreamLog) -> Replayer:
    replayer = Replayer(Queue(), Usage(), WALL)
    for frame in log.frames():
        replayer.apply(frame)
    assert replayer.finish() is None
    replayer.state.next_id = replayer.highest_id + 1
    return replayer


class Clients:
    """One client of a queue whose binlog is on `log`."""

    def __init__(self, log: Log, replayer: Replayer) -> None:
        self.now = 1000 * S
        self.binlog: Binlog = begin(
            log,
            replayer,
            ReservedIds(replayer.state, 0),
            segment_bytes=SEGMENT,
            wall_now=self.now + WALL,
            report=unreported,
        )
        self.queue = replayer.state
        assert isinstance(self.queue, Queue)
        self.session = Session(Dispatcher(self.queue))

    def say(self, line: bytes) -> bytes:
        """The first word of the reply, after the end of the iteration."""
        self.now += 1000
        self.session.receive(line + b"\r\n", self.now)
        self.binlog.end_iteration(self.now, self.now + WALL)
        return self.session.take_output().split(None, 1)[0]


def members(face: type) -> set[str]:
    return {name for name in dir(face) if not name.startswith("_")}


def opened() -> wal.Log:
    replay = wal.Replay("/log", fs=MemoryDisk())
    assert list(replay) == []
    return wal.Log.open(replay, threaded=False)


@pytest.mark.parametrize("log", [opened(), StreamLog(1 << 20)], ids=["wal", "stream"])
def test_log_has_every_member_of_the_protocol(log: Log) -> None:
    assert {name for name in members(Log) if not hasattr(log, name)} == set()


def test_stream_log_has_no_other_member() -> None:
    """So the binlog uses nothing else of a log."""
    own = {"capacity", "segments", "sizes", "frames"}
    assert members(StreamLog) | vars(StreamLog(1 << 20)).keys() == members(Log) | own


def test_promises_are_a_part_of_the_log() -> None:
    assert members(Promises) < members(Log)


@pytest.mark.parametrize("seed", range(2))
def test_binlog_works_on_another_log(seed: int) -> None:
    """On a full stream nothing but puts is refused, and replay restores all jobs."""
    random_ = random.Random(seed)
    log = StreamLog(20 * SEGMENT)
    clients = Clients(log, replayed(log))
    for _ in range(3):
        while clients.say(b"put 5 0 60 1000\r\n" + random_.randbytes(1000)) == b"INSERTED":
            pass
        ids = list(clients.queue.jobs)
        assert len(ids) * 1000 > log.capacity // 2
        for id in random_.choices(ids, k=3000):
            assert clients.say(b"reserve-job %d" % id) == b"RESERVED"
            assert clients.say(b"release %d 7 0" % id) == b"RELEASED"
        assert log.oldest > 1
        for id in random_.sample(ids, len(ids) // 2):
            assert clients.say(b"delete %d" % id) == b"DELETED"
        expected = survivors(clients.queue, clients.now)
        clients = Clients(log, replayed(log))
        assert survivors(clients.queue, clients.now) == expected
