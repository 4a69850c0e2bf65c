"""The records of jobs in their three forms."""

from __future__ import annotations

from pathlib import Path

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.jobrecord import encode_head, job_head
from beanstalkd_py.binlog.records import FULL, NEW, SHORT, Full, decode, encode
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, RESERVED
from tests.binlog.daemon import WALL, Daemon, S, append

NEW_JOB = Full(READY, 7, 5, 0, 60 * S, WALL + S + 1, 0, 0, 0, 0, 0, 0, b"mail", b"body")
LARGEST = Full(
    DELAYED, (1 << 32) - 1, (1 << 48) - 1, ((1 << 32) - 1) * S, ((1 << 32) - 1) * S, WALL,
    (1 << 63) - 1, 255, 255, 255, 255, 255, b"x" * 200, bytes(3000),
)  # fmt: skip


@pytest.mark.parametrize(
    ("job", "kind"),
    [
        (NEW_JOB, NEW),
        (NEW_JOB._replace(body=b""), NEW),
        (NEW_JOB._replace(created_at=-1), NEW),
        (LARGEST._replace(state=READY, delay=0, deadline_at=0, reserves=0, timeouts=0,
                          releases=0, buries=0, kicks=0), NEW),
        (NEW_JOB._replace(state=DELAYED, delay=9 * S, deadline_at=WALL + 10 * S), SHORT),
        (NEW_JOB._replace(delay=9 * S), SHORT),
        (NEW_JOB._replace(state=RESERVED, deadline_at=WALL), SHORT),
        (NEW_JOB._replace(state=BURIED, deadline_at=1 << 40), SHORT),
        (NEW_JOB._replace(reserves=1), SHORT),
        (NEW_JOB._replace(kicks=255), SHORT),
        (LARGEST, SHORT),
        (LARGEST._replace(id=1 << 48), FULL),
        (LARGEST._replace(releases=256), FULL),
        (NEW_JOB._replace(id=(1 << 64) - 1), FULL),
        (NEW_JOB._replace(kicks=256), FULL),
        (NEW_JOB._replace(ttr=60 * S + 1), FULL),
        (NEW_JOB._replace(ttr=S << 32), FULL),
        (NEW_JOB._replace(ttr=-S), FULL),
        (NEW_JOB._replace(delay=1), FULL),
    ],
)  # fmt: skip
def test_encode_takes_the_shortest_form(job: Full, kind: int) -> None:
    record = encode(job)
    assert record[0] == kind
    assert decode(record) == job
    assert len(record) - len(job.tube) - len(job.body) == {NEW: 24, SHORT: 42, FULL: 68}[kind]
    assert job_head(record) == (job.id, len(record) - len(job.body))
    assert job_head(record[: len(record) - len(job.body)]) == job_head(record)


@pytest.mark.parametrize("record", [b"", b"\x01", b"\x08" * 23, b"\x09" * 41, b"\x02" * 52])
def test_other_records_have_no_head_of_a_job(record: bytes) -> None:
    assert job_head(record) is None


@pytest.mark.parametrize("size", [24, 42])
@pytest.mark.parametrize("name_length", [0, 5, 201])
def test_tube_name_must_fit(size: int, name_length: int) -> None:
    record = bytes((NEW if size == 24 else SHORT, name_length)) + bytes(size - 2 + 4)
    state = bytearray(record)
    if size == 42:
        state[36] = READY
    with pytest.raises(ValueError, match=f"tube name of {name_length} bytes"):
        decode(bytes(state))


@pytest.mark.parametrize(
    "put",
    [
        b"put 7 0 60 4",
        b"put 4294967295 9 1 4",
        b"put 0 4294967295 4294967295 4",
        b"put 0 0 4294967295 4",
    ],
)
@pytest.mark.parametrize("wall", [WALL, 8_250_000_000 * S, -(1 << 62)])
def test_put_and_compaction_write_what_encode_writes(put: bytes, wall: int) -> None:
    """Both pack records themselves."""
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), fs=disk, wall=wall)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, put, b"body")
    daemon.turn()
    job = daemon.queue.jobs[1]
    (record,) = [
        record
        for frame in wal.Replay(Path("/log"), fs=disk.copy())
        for record in frame.records
        if record[0] in (FULL, NEW, SHORT)
    ]
    offset = daemon.binlog.offset
    until = job.deadline_at + offset if job.delay else 0
    full = Full(
        job.state, job.pri, 1, job.delay, job.ttr, job.created_at + offset, until, 0, 0, 0, 0, 0,
        b"mail", b"body",
    )  # fmt: skip
    assert record == encode(full)
    assert encode_head(job, offset, is_new=record[0] == NEW) + b"body" == record


def test_new_record_replaces_an_earlier_one(tmp_path: Path) -> None:
    """Whatever the earlier record says."""
    append(tmp_path, encode(NEW_JOB._replace(state=BURIED, deadline_at=3, buries=2)))
    append(tmp_path, encode(NEW_JOB._replace(pri=8)))
    job = Daemon(tmp_path).queue.jobs[5]
    assert (job.state, job.pri, job.buries) == (READY, 8, 0)
