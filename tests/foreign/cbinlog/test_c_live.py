"""With the real beanstalkd: its logs are read as it reads them itself, and it reads our logs."""

from __future__ import annotations

import os
import random
import re
import struct
import time
from dataclasses import replace

import pytest

from beanstalkd_py.foreign.cbinlog import (
    BURIED,
    DELAYED,
    READY,
    CBinlog,
    CJob,
    Kind,
    read_directory,
    write_directory,
)

from .c_server import CServer, copy_of, inserted, need_c_server, put, running
from .logs import SECOND

LONG = 4_000_000_000
TUBES = [b"default", b"emails", b"a/b+c;d.e$f_g(h)-i", b"L" * 200]
SLACK_SECONDS = 3


@pytest.fixture(autouse=True)
def installed() -> None:
    need_c_server()


@pytest.fixture
def seed() -> int:
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")  # shown when the test fails
    return seed


def now_ns() -> int:
    return time.time_ns()


# Comparing


def assert_server_has(server: CServer, jobs: list[CJob], added_to_buries: int) -> None:
    """These jobs, field by field, and no others."""
    at_ns = now_ns()
    stats = server.stats(*(b"stats-job %d" % job.id for job in jobs))
    bodies = [body for _, body in server.ask(*(b"peek %d" % job.id for job in jobs))]
    for job, shown, body in zip(jobs, stats, bodies, strict=True):
        assert shown is not None, job.id
        assert body == job.body, job.id
        expected = {
            "tube": job.tube.decode(),
            "state": job.state_name,
            "pri": job.pri,
            "delay": job.delay_ns // SECOND,
            "ttr": job.ttr_ns // SECOND,
            "reserves": job.reserves,
            "timeouts": job.timeouts,
            "releases": job.releases,
            "buries": job.buries + (added_to_buries if job.state == BURIED else 0),
            "kicks": job.kicks,
        }
        assert {name: shown[name].strip('"') for name in expected} == {
            name: str(value) for name, value in expected.items()
        }, job.id
        assert abs(int(shown["age"]) - (at_ns - job.created_at_ns) // SECOND) <= SLACK_SECONDS
        if job.state == DELAYED:
            assert (
                abs(int(shown["time-left"]) - (job.deadline_at_ns - at_ns) // SECOND)
                <= SLACK_SECONDS
            )
    (total,) = server.stats(b"stats")
    assert total is not None
    assert sum(
        int(total[f"current-jobs-{state}"]) for state in ("ready", "reserved", "delayed", "buried")
    ) == len(jobs)


# A server at work


class Workload:
    """Random commands on a live server, and the order in which jobs were buried."""

    def __init__(self, server: CServer, rng: random.Random, max_body: int) -> None:
        self.server = server
        self.rng = rng
        self.max_body = max_body
        self.alive: dict[int, str] = {}
        self.buried: list[int] = []
        self.highest = 0
        server.ask(*(b"watch " + tube for tube in TUBES))

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.rng.choice(
                [
                    self.put,
                    self.put,
                    self.put,
                    self.delete,
                    self.bury,
                    self.release,
                    self.release_later,
                    self.kick,
                ]
            )()

    def put(self) -> None:
        delay = self.rng.choice([0, 0, 0, LONG])
        size = self.rng.choice(
            [0, 1, 5, 80, 300, 3000, self.max_body - 1, self.max_body]
            if self.rng.random() < 0.3
            else [10, 60]
        )
        body = self.rng.choice(
            [self.rng.randbytes(size), bytes(size), b"\r\n" * (size // 2) + b"x" * (size % 2)]
        )
        pri, ttr = (
            self.rng.choice([0, 5, 1023, 1024, 2**32 - 1]),
            self.rng.choice([100_000, 2**32 - 1]),
        )
        self.server.one(b"use " + self.rng.choice(TUBES))
        (id,) = inserted(self.server.ask(put(pri, delay, ttr, body)))
        self.alive[id] = "delayed" if delay else "ready"
        self.highest = id

    def delete(self) -> None:
        if self.alive:
            id = self.rng.choice(list(self.alive))
            assert self.server.one(b"delete %d" % id) == b"DELETED"
            del self.alive[id]
            self.buried = [each for each in self.buried if each != id]

    def bury(self) -> None:
        if id := self.reserve():
            assert self.server.one(b"bury %d %d" % (id, self.rng.randrange(5000))) == b"BURIED"
            self.alive[id] = "buried"
            self.buried.append(id)

    def release(self) -> None:
        if id := self.reserve():
            assert (
                self.server.one(b"release %d %d 0" % (id, self.rng.randrange(5000))) == b"RELEASED"
            )

    def release_later(self) -> None:
        if id := self.reserve():
            assert (
                self.server.one(b"release %d %d %d" % (id, self.rng.randrange(5000), LONG))
                == b"RELEASED"
            )
            self.alive[id] = "delayed"

    def kick(self) -> None:
        kickable = [id for id, state in self.alive.items() if state != "ready"]
        if kickable:
            id = self.rng.choice(kickable)
            assert self.server.one(b"kick-job %d" % id) == b"KICKED"
            self.alive[id] = "ready"
            self.buried = [each for each in self.buried if each != id]

    def reserve(self) -> int:
        line = self.server.one(b"reserve-with-timeout 0")
        return int(line.split()[1]) if line.startswith(b"RESERVED") else 0


@pytest.mark.parametrize("size", ["8192", "100000", "10485760"])
def test_log_of_a_killed_server_is_read_as_the_server_does(tmp_path, seed, size):
    directory = tmp_path / "killed"
    directory.mkdir()
    with running(directory, "-s", size, "-f0") as server:
        work = Workload(server, random.Random(seed), 65535)
        work.run(600)
        work.reserve()
        server.kill()
    binlog = read_directory(str(directory))
    assert {damage.kind for damage in binlog.damages} <= {Kind.HARMLESS, Kind.TORN}, binlog.damages
    assert {job.id: job.state_name for job in binlog.jobs} == work.alive
    # Of jobs whose burying was in a file that is gone, only so much is known that they come first.
    log = b"".join(path.read_bytes() for path in directory.glob("binlog.*"))
    buried = [job.id for job in binlog.jobs if job.state == BURIED]
    unknown = sum(not burying_is_in(log, id) for id in work.buried)
    assert buried[unknown:] == work.buried[unknown:]
    assert sorted(buried) == sorted(work.buried)
    assert binlog.next_id == work.highest + 1
    with running(copy_of(directory, tmp_path / "copy"), "-z", "65537") as server:
        assert_server_has(server, binlog.jobs, added_to_buries=1)
        assert inserted(server.ask(put(0, 0, 1, b""))) == [binlog.next_id]


def test_directory_of_several_starts_is_read(tmp_path, seed):
    directory = tmp_path / "log"
    directory.mkdir()
    rng = random.Random(seed)
    alive: dict[int, str] = {}
    for _ in range(4):
        with running(directory, "-s", "16384", "-z", "3002") as server:
            work = Workload(server, rng, 3000)
            work.alive = alive
            work.run(150)
            server.kill()
    binlog = read_directory(str(directory))
    assert not binlog.damaged, binlog.damages
    with running(copy_of(directory, tmp_path / "copy"), "-z", "3002") as server:
        assert_server_has(server, binlog.jobs, added_to_buries=1)
        assert inserted(server.ask(put(0, 0, 1, b""))) <= [binlog.next_id]
    assert {job.id: job.state_name for job in binlog.jobs} == work.alive


def burying_is_in(log: bytes, id: int) -> bool:
    return (
        re.search(rb"(?s)\0{4}" + re.escape(struct.pack("<Q", id)) + rb".{68}\x03\0{3}", log)
        is not None
    )


# The way back


def random_jobs(rng: random.Random, count: int) -> list[CJob]:
    jobs = [random_job(rng, id) for id in rng.sample(range(1, count * 3), count)]
    return sorted((job for job in jobs if job.state != BURIED), key=lambda job: job.id) + [
        job for job in jobs if job.state == BURIED
    ]


def random_job(rng: random.Random, id: int) -> CJob:
    state = rng.choice([READY, READY, DELAYED, BURIED])
    u32 = (0, 1, 2, 1023, 1024, 70_000, 2**32 - 1)
    delay = rng.choice(u32) * SECOND
    created_at = now_ns() - rng.randrange(10**6) * SECOND // 7
    deadline_at = now_ns() + rng.randrange(3600, LONG) * SECOND if state == DELAYED else 0
    counters = [rng.choice(u32) for _ in range(5)]
    if state == BURIED:
        counters[3] = max(counters[3], 1)
    body = rng.randbytes(rng.choice([0, 1, 10, 100, 1000])) + rng.choice(
        [b"", b"\r\n", b"\0\0\0\0"]
    )
    ttr = max(rng.choice(u32), 1) * SECOND
    return CJob(
        id,
        rng.choice(TUBES),
        state,
        rng.choice(u32),
        delay,
        ttr,
        created_at,
        deadline_at,
        *counters,
        body,
    )


def test_server_reads_ten_thousand_written_jobs(tmp_path, seed):
    rng = random.Random(seed)
    jobs = random_jobs(rng, 10_000)
    written = write_directory(str(tmp_path / "new"), jobs, 40_000, segment_bytes=100_000)
    assert len(written.files) > 10
    with running(tmp_path / "new", "-z", str(written.needs_z), "-s", "100000") as server:
        assert server.said() == ""
        assert_server_has(server, jobs, added_to_buries=0)
        for tube in TUBES:
            server.one(b"use " + tube)
            assert take_buried(server) == [
                job.id for job in jobs if job.state == BURIED and job.tube == tube
            ]
        assert inserted(server.ask(put(0, 0, 1, b""))) == [40_000]


def take_buried(server: CServer) -> list[int]:
    ids = []
    while (line := server.one(b"peek-buried")).startswith(b"FOUND"):
        ids.append(int(line.split()[1]))
        server.one(b"delete %d" % ids[-1])
    return ids


def test_server_goes_on_in_a_written_directory(tmp_path, seed):
    rng = random.Random(seed)
    jobs = [
        replace(job, reserves=9, timeouts=9, releases=9, buries=9, kicks=9)
        for job in random_jobs(rng, 300)
    ]  # none at its limit
    write_directory(str(tmp_path / "new"), jobs, 1000, segment_bytes=20_000)
    with running(tmp_path / "new", "-z", "3002", "-s", "20000") as server:
        work = Workload(server, rng, 3000)
        work.alive = {job.id: job.state_name for job in jobs}
        work.run(500)
        server.kill()
    binlog = read_directory(str(tmp_path / "new"))
    assert not binlog.damaged, binlog.damages
    assert {job.id: job.state_name for job in binlog.jobs} == work.alive
    with running(copy_of(tmp_path / "new", tmp_path / "copy"), "-z", "3002") as server:
        assert_server_has(server, binlog.jobs, added_to_buries=1)


@pytest.mark.parametrize(
    "jobs", [[], [CJob(7, b"default", READY, 1, 0, SECOND, 10**18, 0, 0, 0, 0, 0, 0, b"x")]]
)
def test_next_id_is_written_and_leaves_no_job(tmp_path, jobs):
    write_directory(str(tmp_path / "new"), jobs, 1_000_000)
    with running(tmp_path / "new") as server:
        assert server.said() == ""
        assert_server_has(server, jobs, added_to_buries=0)
        assert inserted(server.ask(put(0, 0, 1, b""))) == [1_000_000]


def test_needs_z_is_exact(tmp_path):
    job = CJob(1, b"default", READY, 1, 0, SECOND, 10**18, 0, 0, 0, 0, 0, 0, b"x" * 100)
    written = write_directory(str(tmp_path / "new"), [job], 2)
    with running(
        copy_of(tmp_path / "new", tmp_path / "enough"), "-z", str(written.needs_z)
    ) as server:
        assert server.one(b"peek 1") == b"FOUND 1 100"
    with running(
        copy_of(tmp_path / "new", tmp_path / "less"), "-z", str(written.needs_z - 1)
    ) as server:
        assert server.one(b"peek 1") == b"NOT_FOUND"


def test_import_and_export_lose_nothing(tmp_path, seed):
    directory = tmp_path / "log"
    directory.mkdir()
    with running(directory, "-s", "50000") as server:
        Workload(server, random.Random(seed), 5000).run(600)
        server.kill()
    first = read_directory(str(directory))
    write_directory(str(tmp_path / "back"), first.jobs, first.next_id)
    second = read_directory(str(tmp_path / "back"))
    assert [
        replace(job, buries=job.buries + 1) if job.state == BURIED else job for job in second.jobs
    ] == first.jobs
    assert (second.next_id, second.damages) == (first.next_id, [])


def damage_of(binlog: CBinlog) -> list[str]:
    return [str(damage) for damage in binlog.damages if damage.kind is Kind.DAMAGE]


@pytest.mark.parametrize("part", range(2))
def test_reader_has_no_fewer_jobs_than_the_server_on_a_cut_log(tmp_path, part):
    """The last records at each length: whatever the C server would show, less what it shows broken,
    is here too, and the next id is not lower.
    """
    directory = tmp_path / "log"
    directory.mkdir()
    with running(directory, "-s", "4096") as server:
        inserted(
            server.ask(put(1, 0, 60, b"one"), put(2, LONG, 60, b"two"), put(3, 0, 60, b"three"))
        )
        server.ask(b"reserve", b"bury 1 5", b"kick-job 1")
        server.kill()
    data = (directory / "binlog.1").read_bytes().rstrip(b"\0")
    for length in range(len(data) - 4 - part, len(data) - 300, -17):
        cut = tmp_path / f"cut-{length}"
        cut.mkdir()
        (cut / "binlog.1").write_bytes(data[:length] + bytes(4096 - length))
        ours = read_directory(str(cut))
        assert damage_of(ours) == []
        with running(copy_of(cut, tmp_path / f"copy-{length}")) as server:
            bodies = {
                id: body
                for id, (_, body) in enumerate(server.ask(b"peek 1", b"peek 2", b"peek 3"), 1)
                if body is not None
            }
            (next_id,) = inserted(server.ask(put(0, 0, 1, b"")))
        assert bodies.keys() <= {job.id for job in ours.jobs}
        assert ours.next_id >= next_id


def test_comparison_finds_a_difference(tmp_path):
    job = CJob(1, b"default", READY, 1, 0, SECOND, now_ns(), 0, 0, 0, 0, 0, 0, b"x")
    write_directory(str(tmp_path / "new"), [job], 2)
    with running(tmp_path / "new") as server:
        assert_server_has(server, [job], 0)
        for wrong in (
            [], [replace(job, body=b"y")], [replace(job, pri=2)], [replace(job, tube=b"t")],
            [replace(job, kicks=1)], [replace(job, id=2)], [replace(job, state=BURIED)],
            [replace(job, created_at_ns=job.created_at_ns - 9 * SECOND)],
        ):  # fmt: skip
            with pytest.raises(AssertionError):
                assert_server_has(server, wrong, 0)
