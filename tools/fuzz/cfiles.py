"""Damaged binlog files of the C server: reading, take-over, serving.

Reading raises nothing, stays within the bounds and changes nothing. A take-over succeeds or is
refused with a message. A server works with the jobs that were taken over, and finds them after a
restart.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from random import Random

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import Unreadable, open_binlog
from beanstalkd_py.foreign.cbinlog import CBinlog, read_directory
from beanstalkd_py.foreign.old_files import DamagedImport
from beanstalkd_py.foreign.takeover import take_over
from beanstalkd_py.queue.queue import Queue

from . import bounds
from .count import Count
from .forge import forged
from .logs import START, WALL, Files, exercise
from .mutate import NUMBERS
from .mutate import files as damaged

INPUTS = 10  # of each directory
SAMPLES = Path(__file__).resolve().parents[2] / "tests" / "samples" / "c-binlog"  # of real servers
SECOND = 1_000_000_000
BORN = 1_700_000_000 * SECOND
SEGMENT_BYTES = 65536
IDS = [
    number for number in NUMBERS if 0 < number != 2**63 - 1
]  # larger ids can only come from corruption; 2^63 - 1 leaves no valid next id
LIMITS = [
    2**64 - 1,
    2**32 - 1,
    2**63 - 1,
    2**63 - 1,
    2**31 - 1,
    2**63 - 1,
    2**63 - 1,
    *[2**32 - 1] * 5,
    255,
]
STRUCT = {
    (7, "x86-64"): ("<QI4xqqi4xqqIIIIIB3x", "<i", 1),
    (5, "x86-64"): ("<QI4xqqi4xqqIIIIIB", "<Q", 1000),
    (7, "x86"): ("<QIqqiqqIIIIIB3x", "<i", 1),
    (5, "x86"): ("<QIqqiqqIIIIIB", "<I", 1000),
}  # version and machine: job, name length, ns of a time unit


def run(seed: int, count: Count) -> None:
    """Generates and checks some inputs from the seed."""
    rng = Random(f"cfiles {seed}")
    whole = make_directory(rng)
    for _ in range(INPUTS):
        with tempfile.TemporaryDirectory(prefix="fuzz.") as scratch:
            check(Path(scratch), damaged(rng, whole), rng, count)


def make_directory(rng: Random) -> Files:
    samples = sorted(SAMPLES.glob("*/data")) if SAMPLES.is_dir() else []
    if samples and rng.random() < 0.5:
        return {
            path.name: path.read_bytes()
            for path in rng.choice(samples).iterdir()
            if path.name.startswith("binlog.")
        }
    version = rng.choice((7, 7, 5))
    machine = rng.choice(("x86-64", "x86"))
    names = [f"binlog.{number}" for number in range(1, rng.choice((1, 2, 3)) + 1)]
    made = Player(rng, version, machine)
    return {name: made.file(rng.randrange(40)) for name in names}


class Player:
    """Writes like the C server: puts, updates, deletes, and copies as its compaction makes them."""

    def __init__(self, rng: Random, version: int, machine: str) -> None:
        self.rng = rng
        self.version = version
        self.machine = machine
        self.jobs: dict[int, list[int]] = {}  # id -> fields
        self.texts: dict[int, tuple[bytes, bytes]] = {}  # id -> tube and body
        self.next_id = 1

    def file(self, records: int) -> bytes:
        data = struct.pack("<i", self.version)
        for _ in range(records):
            data += self.record()
        return data + bytes(self.rng.choice((0, 50, 4096)))

    def record(self) -> bytes:
        rng = self.rng
        if not self.jobs or rng.random() < 0.5:
            return self.put()
        id = rng.choice(sorted(self.jobs))
        fields = self.jobs[id]
        if rng.random() < 0.2:
            return self.encoded(fields, *self.texts[id])
        state = rng.choice((0, 1, 3, 4))
        fields[6] = fields[5] + 7 * SECOND if state == 4 else 0
        fields[7] += 1
        counter = {1: 11, 3: 10, 4: 9}.get(state, 7)
        fields[counter] += 1
        fields[12] = state
        if state == 0:
            del self.jobs[id]
        return self.encoded(fields)

    def put(self) -> bytes:
        rng = self.rng
        id, self.next_id = self.next_id, self.next_id + 1
        if rng.random() < 0.02:
            id = rng.choice(IDS)
        tube, body = (
            rng.choice((b"default", b"a", b"x" * 200)),
            rng.randbytes(rng.choice((0, 5, 100, 700))),
        )
        self.texts[id] = tube, body
        self.jobs[id] = [
            id,
            rng.choice((0, 1024)),
            0,
            60 * SECOND,
            len(body) + 2,
            BORN + id % 1000 * 1000,
            0,
            0,
            0,
            0,
            0,
            0,
            1,
        ]
        return self.encoded(self.jobs[id], tube, body)

    def encoded(self, fields: list[int], tube: bytes = b"", body: bytes = b"") -> bytes:
        job, length, unit = STRUCT[self.version, self.machine]
        values = [
            value // unit if index in (2, 3, 5, 6) else value for index, value in enumerate(fields)
        ]
        if self.rng.random() < 0.05:
            which = self.rng.randrange(13)
            values[which] = (
                self.rng.choice(NUMBERS) & LIMITS[which] if which else self.rng.choice(IDS)
            )
        return (
            struct.pack(length, len(tube))
            + tube
            + struct.pack(job, *values)
            + (body + b"\r\n" if tube else b"")
        )


def check(directory: Path, files: Files, rng: Random, count: Count) -> None:
    nbytes = sum(map(len, files.values()))
    count.input(nbytes)
    for name, data in files.items():
        (directory / name).write_bytes(data)
    bounded = bounds.bounded if rng.random() < 0.5 else bounds.unbounded
    found = bounded(nbytes, lambda: read_directory(str(directory)))
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == files, (
        "reading changed the directory"
    )
    if found.damaged:
        count.add("damaged")
    for accept in [False, True] if found.damaged else [False]:
        if bounded(4 * nbytes, lambda accept=accept: _taken_over(directory, accept)):  # type: ignore[misc]
            _serve(directory, found, count)
            _again(directory, rng, count)


def _taken_over(directory: Path, accept: bool) -> bool:
    lines: list[str] = []
    try:
        take_over(
            str(directory),
            segment_bytes=SEGMENT_BYTES,
            wall_now=START + WALL,
            date="now",
            accept_damaged=accept,
            report=lines.append,
        )
    except (DamagedImport, Unreadable, wal.Corrupt, wal.NewerVersion) as error:
        assert str(error)
        return False
    return True


def _serve(directory: Path, found: CBinlog, count: Count) -> None:
    """All jobs are there. A server works with them, and a restart finds the same jobs."""
    queue, binlog = _opened(directory, START)
    assert sorted(queue.jobs) == sorted(job.id for job in found.jobs), (
        "the jobs differ from those that were read"
    )
    now = exercise(queue, binlog, START)
    binlog.close(now + WALL)
    left = {id: (job.tube.name, job.body, job.pri) for id, job in queue.jobs.items()}
    queue, binlog = _opened(directory, now)
    assert {id: (job.tube.name, job.body, job.pri) for id, job in queue.jobs.items()} == left, (
        "a restart finds other jobs"
    )
    binlog.close(now + WALL)
    count.add("taken over")


def _opened(directory: Path, now: int) -> tuple[Queue, Binlog]:
    queue = Queue()
    binlog = open_binlog(
        str(directory),
        queue,
        segment_bytes=SEGMENT_BYTES,
        durability=wal.Durability.NEVER,
        now=now,
        wall_now=now + WALL,
        notify=lambda: None,
        threaded=False,
    )
    return queue, binlog


def _again(directory: Path, rng: Random, count: Count) -> None:
    """Takes the same files over again, next to our forged log that remembers them."""
    ours = {path.name: path.read_bytes() for path in directory.glob("*.wal")}
    for name, data in forged(rng, ours).items():
        (directory / name).write_bytes(data)
    for path in directory.glob("beanstalkd-binlog-*/*"):
        path.rename(directory / path.name)
    _taken_over(directory, True)
