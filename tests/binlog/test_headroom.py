"""A full disk: puts are refused, everything else goes on from room that was set aside, whatever is
done in whatever order (law 4).
"""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import beanstalkd_wal as wal
import pytest

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue

S = 1_000_000_000
KIB = 1024
LATER = 100_000  # seconds


class FullFileSystem(wal.FileSystem):
    """At most so many bytes in the directory, by the sizes of the files."""

    def __init__(self, directory: Path, capacity: int) -> None:
        self.directory = directory
        self.capacity = capacity

    def _claim(self, nbytes: int) -> None:
        if nbytes > 0 and used(self.directory) + nbytes > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, handle: int, data: bytes, offset: int) -> None:
        self._claim(offset + len(data) - os.fstat(handle).st_size)
        super().write(handle, data, offset)

    def allocate(self, handle: int, old: int, new: int) -> None:
        self._claim(new - old)
        super().allocate(handle, old, new)


class Coveted(FullFileSystem):
    """Whatever is unlinked while the server starts has somebody else at once."""

    started = False

    def unlink(self, path: str) -> None:
        super().unlink(path)
        if not self.started:
            self.capacity = used(self.directory)


def used(directory: Path) -> int:
    return sum(entry.stat().st_size for entry in os.scandir(directory))


class FullQueue:
    """A queue on its binlog, one client, a fake clock, no threads."""

    def __init__(
        self, fs: FullFileSystem, segment_bytes: int, max_job_size: int = 65535, now: int = 1000 * S
    ) -> None:
        self.now = now
        self.fs = fs
        self.segment_bytes = segment_bytes
        self.queue = Queue()
        self.dispatcher = Dispatcher(self.queue, max_job_size=max_job_size)
        self.binlog: Binlog = open_binlog(
            str(fs.directory),
            self.queue,
            segment_bytes=segment_bytes,
            durability=wal.Durability.NEVER,
            now=now,
            wall_now=now,
            notify=lambda: None,
            threaded=False,
            fs=fs,
        )
        self.session = Session(self.dispatcher)

    def killed(self) -> FullQueue:
        """What a start finds after SIGKILL."""
        return FullQueue(self.fs, self.segment_bytes, self.dispatcher.max_job_size, self.now)

    def say(self, *lines: bytes) -> list[bytes]:
        """The replies' first words; the lines are one turn of the loop."""
        words = []
        for line in lines:
            self.now += 1000
            self.session.receive(line + b"\r\n", self.now)
            words.append(self.session.take_output().split(None, 1)[0])
        self.binlog.end_iteration(self.now, self.now)
        return words

    def rest(self) -> None:
        """Compaction and the server's tries, as long as they find something to do."""
        for _ in range(10):
            self.binlog.retry()
            while self.binlog.end_iteration(self.now, self.now):
                self.now += 1000

    def fill(self, random_: random.Random, largest: int) -> list[int]:
        """Puts until they are refused. Returns the ids."""
        ids = []
        while True:
            id = self.queue.next_id
            body = random_.randbytes(random_.choice((0, largest // 10, largest)))
            if self.say(b"put 9 0 60000 %d\r\n%b" % (len(body), body)) != [b"INSERTED"]:
                return ids
            ids.append(id)


def cycle(id: int) -> list[tuple[bytes, bytes]]:
    """All that can be done to a job, and what must be said. It is ready before and after."""
    return [
        (b"reserve-job %d" % id, b"RESERVED"),
        (b"release %d 7 %d" % (id, LATER), b"RELEASED"),
        (b"reserve-job %d" % id, b"RESERVED"),
        (b"touch %d" % id, b"TOUCHED"),
        (b"release %d 8 0" % id, b"RELEASED"),
        (b"reserve-job %d" % id, b"RESERVED"),
        (b"bury %d 9" % id, b"BURIED"),
        (b"pause-tube default %d" % LATER, b"PAUSED"),
        (b"kick-job %d" % id, b"KICKED"),
        (b"pause-tube default 0", b"PAUSED"),
    ]


def go_on(queue: FullQueue, random_: random.Random, ids: list[int], commands: int) -> None:
    """Single jobs through their cycle; all of them, one step after the other; then about `commands`
    more, here and there.
    """
    todo = []
    for step in range(10):
        todo += [cycle(id)[step] for id in ids if random_.random() < commands / len(ids) / 20]
    for id in random_.choices(ids, k=commands // 10):
        todo += cycle(id)
    for id in ids[:: max(1, 20 * len(ids) // commands)]:
        todo += cycle(id)
    at = 0
    while at < len(todo):
        some = todo[at : at + random_.choice((1, 10, 300))]
        said = queue.say(*[line for line, _ in some])
        assert b"OUT_OF_MEMORY" not in said
        at += len(some)


@pytest.mark.parametrize("largest", [100, 3000, 60000])
@pytest.mark.parametrize("segment", [64 * KIB, 256 * KIB, 1024 * KIB])
def test_everything_but_put_goes_on(tmp_path, segment, largest):
    random_ = random.Random(segment + largest)
    capacity = int(random_.uniform(8, 12) * max(segment, largest))
    queue = FullQueue(FullFileSystem(tmp_path, capacity), segment)
    ids = queue.fill(random_, largest)
    assert sum(len(job.body) for job in queue.queue.jobs.values()) > capacity // 6
    for _ in range(3):
        go_on(queue, random_, ids, 6000)
        assert len(queue.queue.jobs) == len(ids)
        queue = queue.killed()
        assert len(queue.queue.jobs) == len(ids)


@pytest.mark.parametrize("largest", [100, 3000, 60000])
def test_puts_go_on_when_jobs_were_deleted(tmp_path, largest):
    random_ = random.Random(largest)
    queue = FullQueue(FullFileSystem(tmp_path, 6 << 20), 256 * KIB)
    ids = queue.fill(random_, largest)
    for _ in range(3):
        random_.shuffle(ids)
        gone, ids = ids[::2], ids[1::2]
        assert set(queue.say(*[b"delete %d" % id for id in gone])) == {b"DELETED"}
        queue.rest()
        new = queue.fill(random_, largest)
        assert len(new) > len(gone) // 2
        ids += new
        go_on(queue, random_, ids, 2000)


def test_puts_go_on_when_there_is_room_again(tmp_path):
    random_ = random.Random(1)
    queue = FullQueue(FullFileSystem(tmp_path, 3 << 20), 256 * KIB)
    before = queue.fill(random_, 1000)
    queue.fs.capacity *= 2
    queue.rest()
    assert len(queue.fill(random_, 1000)) > len(before) // 2


def test_nearly_empty_queue_goes_on_when_somebody_else_fills_the_disk(tmp_path):
    random_ = random.Random(1)
    queue = FullQueue(FullFileSystem(tmp_path, 1 << 30), 256 * KIB)
    queue.say(b"put 0 0 60 5\r\nhello", b"put 0 0 60 5\r\nhello")
    queue.fs.capacity = used(tmp_path)
    for _ in range(4):
        go_on(queue, random_, [1, 2], 5000)
        queue = queue.killed()
    ids = [1, 2, *queue.fill(random_, 100)]
    go_on(queue, random_, ids, 5000)
    assert set(queue.say(*[b"delete %d" % id for id in ids])) == {b"DELETED"}
    queue.rest()
    assert queue.say(b"put 0 0 60 0\r\n") == [b"INSERTED"]


def test_an_update_costs_a_bounded_amount_of_rewriting(tmp_path):
    """However large the log: a pass over all of it is worth an eighth of its length of updates."""
    queue = FullQueue(FullFileSystem(tmp_path, 8 << 20), 64 * KIB)
    ids = queue.fill(random.Random(1), 1000)
    before, migrated = queue.binlog.written, queue.binlog.compactor.migrated
    go_on(queue, random.Random(2), ids, 20_000)
    migrated = queue.binlog.compactor.migrated - migrated
    updates = queue.binlog.written - before - migrated
    average = queue.binlog.usage.kept / len(ids)
    assert migrated * average < 12 * updates * 60


def test_a_job_larger_than_any_segment_is_moved_as_well(tmp_path):
    queue = FullQueue(FullFileSystem(tmp_path, 6 << 20), 64 * KIB, max_job_size=1 << 20)
    random_ = random.Random(1)
    ids = [queue.queue.next_id]
    assert queue.say(b"put 0 0 60 1000000\r\n" + random_.randbytes(1000000)) == [b"INSERTED"]
    ids += queue.fill(random_, 1000)
    go_on(queue, random_, ids, 5000)
    assert len(queue.killed().queue.jobs) == len(ids)


def test_a_put_that_is_refused_takes_nothing_from_the_others(tmp_path):
    """What is set aside follows the largest job: once that of one whom nobody let in."""
    random_ = random.Random(1)
    queue = FullQueue(FullFileSystem(tmp_path, 3 << 20), 256 * KIB)
    ids = queue.fill(random_, 100)
    go_on(queue, random_, ids, 10000)
    for _ in range(100):
        said = queue.say(b"put 0 0 60 65000\r\n" + bytes(65000), b"pause-tube default 0")
        assert said == [b"OUT_OF_MEMORY", b"PAUSED"]


def test_a_start_gives_back_nothing_of_what_was_set_aside(tmp_path):
    """Its compaction drops segments before it is known how much room is wished for."""
    random_ = random.Random(1)
    queue = FullQueue(FullFileSystem(tmp_path, 2 << 20), 64 * KIB)
    ids = queue.fill(random_, 1000)
    for id in ids[::2] + ids[1::4]:
        queue.session.receive(b"delete %d\r\n" % id, queue.now)
    queue.binlog.log.commit(queue.now)
    queue.binlog.headroom.keep()
    assert queue.binlog.compactor.behind()
    set_aside = sum(file.stat().st_size for file in tmp_path.glob("spare.*"))
    queue.fs = Coveted(tmp_path, used(tmp_path))
    queue = queue.killed()
    assert queue.binlog.log.headroom > set_aside * 3 // 4
    queue.fs.started = True
    go_on(queue, random_, ids[3::4], 2000)
