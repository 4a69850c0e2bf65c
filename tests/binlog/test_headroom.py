"""Headroom: a full disk refuses puts and nothing else, whatever is done in whatever order."""

from __future__ import annotations

import errno
import os
import random
from itertools import product
from pathlib import Path

import pytest
from simulation.disk import MemoryDisk
from testkit.queue_server import QueueServer

from beanstalkd_py.binlog.usage import NEW_OVERHEAD
from tests.binlog.daemon import S

KIB = 1024
LATER = 100_000  # seconds
DIRECTORY = Path("/log")


def full_disk(capacity: int) -> MemoryDisk:
    """A disk with `capacity` bytes. A sync in memory costs nothing."""
    disk = MemoryDisk()
    disk.capacity = capacity
    return disk


class Contested(MemoryDisk):
    """Another program takes at once what is unlinked while the server starts."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__()
        self.names = disk.names
        self.capacity = disk.used()
        self.started = False

    def unlink(self, path: str) -> None:
        super().unlink(path)
        if not self.started:
            self.capacity = self.used()


class FullQueue(QueueServer):
    """A queue on its binlog, one client, a fake clock, no threads."""

    def __init__(
        self, disk: MemoryDisk, segment_bytes: int, max_job_size: int = 65535, now: int = 1000 * S
    ) -> None:
        self.said: list[str] = []
        super().__init__(
            DIRECTORY,
            now=now,
            wall=0,
            segment_bytes=segment_bytes,
            max_job_size=max_job_size,
            fs=disk,
            report=self.said.append,
        )
        self.disk = disk
        self.segment_bytes = segment_bytes
        self.client = self.session()

    def killed(self) -> FullQueue:
        """A start after SIGKILL."""
        return FullQueue(
            self.disk.after_kill(), self.segment_bytes, self.dispatcher.max_job_size, self.now
        )

    def say(self, *lines: bytes) -> list[bytes]:
        """The first words of the replies. All lines are one iteration."""
        words = []
        for line in lines:
            self.now += 1000
            self.client.receive(line + b"\r\n", self.now)
            words.append(self.client.take_output().split(None, 1)[0])
        self.commit()
        return words

    def rest(self) -> None:
        """Retries and compaction, until there is nothing to do."""
        for _ in range(10):
            self.binlog.retry()
            while self.commit():
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
    """Each command that changes a job or a pause, and its reply. The job is ready at the end."""
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
    """About `commands` commands: each step of the cycle for many jobs, then the whole cycle for
    single jobs.
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


@pytest.mark.parametrize(
    ("segment", "largest"),
    [
        *product([64 * KIB, 128 * KIB], [100, 3000, 60000]),
        *product([512 * KIB], [3000, 60000]),
    ],
)
def test_full_disk_refuses_nothing_but_puts(segment, largest):
    random_ = random.Random(segment + largest)
    capacity = int(random_.uniform(8, 12) * max(segment, largest))
    queue = FullQueue(full_disk(capacity), segment)
    ids = queue.fill(random_, largest)
    assert sum(len(job.body) for job in queue.queue.jobs.values()) > capacity // 6
    for _ in range(2):
        go_on(queue, random_, ids, 3000)
        assert len(queue.queue.jobs) == len(ids)
        queue = queue.killed()
        assert len(queue.queue.jobs) == len(ids)


@pytest.mark.parametrize(("before", "after"), [(64, 512), (128, 64)])
def test_start_with_another_segment_size_refuses_nothing_but_puts(before, after):
    """With larger segments, compaction needs more headroom. On a full disk there are none yet."""
    random_ = random.Random(before)
    queue = FullQueue(full_disk(7 * before * KIB), before * KIB)
    ids = queue.fill(random_, 100)
    for _ in range(2):
        queue.segment_bytes = after * KIB
        queue = queue.killed()
        go_on(queue, random_, ids, 600)
        assert len(queue.queue.jobs) == len(ids)


def test_compaction_on_a_full_disk_is_tried_again_when_there_is_more_to_gain():
    """A put found too little headroom. Before the next retry, deletes make bytes dead. Changes then
    need headroom, all in one iteration.
    """
    random_ = random.Random(1)
    queue = FullQueue(full_disk(12 * 64 * KIB), 64 * KIB)
    ids = queue.fill(random_, 1000)
    assert not queue.binlog.compactor.make_headroom(1 << 30, 0)
    gone, left = ids[::2], ids[1::2]
    changes = [line for id in left for line, _ in cycle(id)]
    said = queue.say(*[b"delete %d" % id for id in gone], *changes * 3)
    assert b"OUT_OF_MEMORY" not in said


@pytest.mark.parametrize(
    ("segment", "largest"), [(64 * KIB, 100), (128 * KIB, 3000), (128 * KIB, 60000)]
)
def test_puts_go_on_when_jobs_were_deleted(segment, largest):
    random_ = random.Random(largest)
    queue = FullQueue(full_disk(24 * segment), segment)
    ids = queue.fill(random_, largest)
    for _ in range(2):
        random_.shuffle(ids)
        gone, ids = ids[::2], ids[1::2]
        assert set(queue.say(*[b"delete %d" % id for id in gone])) == {b"DELETED"}
        queue.rest()
        new = queue.fill(random_, largest)
        queue.rest()
        new += queue.fill(random_, largest)
        assert len(new) > len(gone) // 2
        ids += new
        go_on(queue, random_, ids, 2000)


def test_puts_go_on_when_the_disk_has_space_again():
    random_ = random.Random(1)
    queue = FullQueue(full_disk(3 << 20), 256 * KIB)
    before = queue.fill(random_, 1000)
    queue.disk.capacity *= 2
    queue.rest()
    assert len(queue.fill(random_, 1000)) > len(before) // 2


def test_small_queue_goes_on_when_another_program_fills_the_disk():
    random_ = random.Random(1)
    queue = FullQueue(full_disk(1 << 30), 256 * KIB)
    queue.say(b"put 0 0 60 5\r\nhello", b"put 0 0 60 5\r\nhello")
    queue.disk.capacity = queue.disk.used()
    for _ in range(2):
        go_on(queue, random_, [1, 2], 5000)
        queue = queue.killed()
    ids = [1, 2, *queue.fill(random_, 100)]
    go_on(queue, random_, ids, 3000)
    assert set(queue.say(*[b"delete %d" % id for id in ids])) == {b"DELETED"}
    queue.rest()
    assert queue.say(b"put 0 0 60 0\r\n") == [b"INSERTED"]


def test_update_on_a_full_disk_costs_bounded_rewriting():
    """A pass over the log gives back an eighth of its length for updates, however large it is."""
    queue = FullQueue(full_disk(4 << 20), 64 * KIB)
    ids = queue.fill(random.Random(1), 1000)
    before, migrated = queue.binlog.written, queue.binlog.compactor.migrated
    go_on(queue, random.Random(2), ids, 10_000)
    migrated = queue.binlog.compactor.migrated - migrated
    updates = queue.binlog.written - before - migrated
    average = queue.binlog.usage.kept / len(ids)
    assert migrated * average < 12 * updates * 60


def test_compaction_moves_a_job_larger_than_a_segment():
    queue = FullQueue(full_disk(6 << 20), 64 * KIB, max_job_size=1 << 20)
    random_ = random.Random(1)
    ids = [queue.queue.next_id]
    assert queue.say(b"put 0 0 60 1000000\r\n" + random_.randbytes(1000000)) == [b"INSERTED"]
    ids += queue.fill(random_, 1000)
    go_on(queue, random_, ids, 5000)
    assert len(queue.killed().queue.jobs) == len(ids)


def test_refused_put_does_not_raise_the_put_reserve():
    """The put reserve follows the largest job: once that of a refused put."""
    random_ = random.Random(1)
    queue = FullQueue(full_disk(3 << 20), 256 * KIB)
    ids = queue.fill(random_, 100)
    go_on(queue, random_, ids, 10000)
    for _ in range(100):
        said = queue.say(b"put 0 0 60 65000\r\n" + bytes(65000), b"pause-tube default 0")
        assert said == [b"OUT_OF_MEMORY", b"PAUSED"]


@pytest.mark.parametrize("largest", [3000, 30_000])
@pytest.mark.parametrize("preallocates", [False, True])
def test_each_put_leaves_the_put_reserve(largest: int, preallocates: bool) -> None:
    """The marks are not computed for each put. A deleted large job makes them rise the most."""
    queue = FullQueue(full_disk(60 << 20), 4 * KIB)
    queue.say(b"put 0 0 60 %d\r\n%b" % (largest, bytes(largest)), b"delete 1", b"use x")
    queue.rest()
    headroom, log = queue.binlog.headroom, queue.binlog.log
    for count in range(400):
        queue.client.receive(b"put 0 0 60 0\r\n\r\n", queue.now)
        put_mark = headroom.put_mark
        headroom.update_marks()
        assert headroom.slack >= headroom.put_reserve
        assert log.headroom >= headroom.low - NEW_OVERHEAD  # a rotation leaves the rest unused
        headroom.put_mark = put_mark
        if preallocates and count % 10 == 0:
            log.preallocate(log.headroom + 2 * KIB)
            queue.binlog.collect()


def test_put_allocates_although_the_preparer_met_a_full_disk() -> None:
    """The space that the preparer lacked may be that of a segment which the loop thread began to
    allocate and gave up.
    """
    queue = FullQueue(full_disk(60 << 20), 4 * KIB)
    queue.disk.capacity = queue.disk.used()
    queue.binlog.log.preallocate(1 << 20)
    queue.binlog.log.collect()
    queue.disk.capacity = 60 << 20
    assert queue.binlog.log.disk_full
    random_ = random.Random(1)
    bodies = [b"put 0 0 60 1000\r\n" + random_.randbytes(1000)] * 40
    assert set(queue.say(*bodies)) == {b"INSERTED"}


def half_dead(capacity: int) -> FullQueue:
    """After a kill: a sealed segment with little that is live."""
    queue = FullQueue(full_disk(capacity), 64 * KIB)
    queue.say(*[b"put 0 0 60 100\r\n" + bytes(100)] * 240)
    queue.say(*[b"delete %d" % id for id in range(2, queue.queue.next_id)])
    return queue.killed()


def test_compaction_follows_a_put_that_allocates():
    """A put may allocate a whole segment, so that the files are larger than the invariant allows.
    Compaction once began only when more was appended.
    """
    queue = half_dead(100_000)
    queue.disk.capacity = 60 << 20
    log, headroom = queue.binlog.log, queue.binlog.headroom
    queue.binlog.collect()
    headroom.update_marks()
    log.trim(log.headroom - (headroom.slack - headroom.put_reserve) + KIB)
    before = log.total_bytes
    queue.client.receive(b"put 0 0 60 700\r\n" + bytes(700) + b"\r\n", queue.now)
    assert log.total_bytes == before + queue.segment_bytes
    while queue.commit():
        pass
    assert not queue.binlog.compactor.has_work()


def test_full_disk_gives_back_nothing_that_is_asked_for_again():
    """The marks are lower on a full disk without a whole segment. What was freed because of them
    was allocated again when the disk did not count as full any more, and so on.
    """
    queue = half_dead(100_000)
    log = queue.binlog.log
    before = log.headroom
    assert log.disk_full
    queue.binlog.collect()
    queue.say(b"pause-tube default 0")
    assert log.disk_full
    assert log.headroom > before - KIB


def test_start_on_a_full_disk_gives_back_no_headroom():
    """Compaction at the start retires segments before the first target is known."""
    random_ = random.Random(1)
    queue = FullQueue(full_disk(2 << 20), 64 * KIB)
    ids = queue.fill(random_, 1000)
    for id in ids[::2] + ids[1::4]:
        queue.client.receive(b"delete %d\r\n" % id, queue.now)
    queue.binlog.log.commit(queue.now)
    queue.binlog.headroom.keep()
    assert queue.binlog.compactor.has_work()
    files = queue.disk.names.items()
    preallocated = sum(len(file.data) for path, file in files if "/spare." in path)
    queue.disk = contested = Contested(queue.disk)
    queue = queue.killed()
    assert queue.binlog.log.headroom > preallocated * 3 // 4
    contested.started = True
    go_on(queue, random_, ids[3::4], 2000)


def test_refused_puts_are_reported_and_their_end_too():
    disk = full_disk(6 * 65536)
    queue = FullQueue(disk, 65536)
    random_ = random.Random(1)
    ids = queue.fill(random_, 3000)
    for _ in range(50):  # three minutes, with refused puts all the time
        queue.fill(random_, 3000)
        queue.now += 4 * S
        queue.rest()
    refused = "/log: puts are refused: No space left on device; free some space, or delete jobs"
    assert queue.said == [refused]
    queue.say(*[b"delete %d" % id for id in ids[::2]])
    queue.now += 6 * S
    queue.rest()
    assert queue.said[0] == refused
    assert queue.said[1].startswith("/log: puts are accepted again; ")
    assert len(queue.said) == 2


def test_put_above_the_limit_of_file_sizes_is_refused():
    """EFBIG for one put of 200 000 bytes: others go on, and the operator hears of it once."""
    disk = MemoryDisk()
    queue = FullQueue(disk, 65536, max_job_size=1 << 20)

    allocate = disk.allocate

    def limited(handle: int, old: int, new: int) -> None:
        if new > 100_000:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        allocate(handle, old, new)

    disk.allocate = limited
    for _ in range(20):
        assert queue.say(b"put 0 0 9 200000\r\n" + bytes(200_000)) == [b"OUT_OF_MEMORY"]
        assert queue.say(b"put 0 0 9 3\r\nabc") == [b"INSERTED"]
        queue.now += S
        queue.rest()
    (line,) = queue.said
    assert "File too large; raise the limit on the size of files" in line
