"""`jobs`: the jobs after a restart, and the jobs at an earlier moment."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_binlog.fields import COUNTERS
from beanstalkd_binlog.light import Bodies

from beanstalkd_py.binlog.records import Delete, Full
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, STATE_NAMES
from beanstalkd_py.queue.queue import Queue
from tests.tools.beanstalkd_binlog.logs import (
    AT,
    STORY,
    S,
    append,
    frames,
    open_log,
    put,
    segment,
    update,
    write,
)

FIELDS = {
    *(
        "job",
        "tube",
        "state",
        "pri",
        "delay_ns",
        "ttr_ns",
        "reserves",
        "timeouts",
        "releases",
        "buries",
        "kicks",
    ),
    *(
        "created_at",
        "created_at_ns",
        "lsn",
        "segment",
        "offset",
        "certain",
        "body",
        "body_encoding",
        "body_bytes",
        "body_cut",
    ),
}


def replayed(directory: Path, upto: int = 1 << 60, now: int = AT) -> Queue:
    """The state after the server's replay up to an LSN, with the bodies in memory."""
    queue = Queue()
    replayer = Replayer(queue, Usage(), 0)
    for frame in wal.Replay(directory):
        if frame.first_lsn <= upto:
            frame.lengths = frame.lengths[: upto + 1 - frame.first_lsn]
            replayer.apply(frame)
    replayer.finish()
    queue.tick(now)
    return queue


def expected(state: Queue) -> list[dict]:
    return [
        {
            "job": job.id,
            "tube": job.tube.name.decode(),
            "state": STATE_NAMES[job.state],
            "pri": job.pri,
            "delay_ns": job.delay,
            "ttr_ns": job.ttr,
            "created_at_ns": job.created_at,
            **{name: getattr(job, name) for name in COUNTERS},
            "body": base64.b64encode(job.body).decode(),
        }
        for job in sorted(state.jobs.values(), key=lambda job: job.id)
    ]


def agree(found: list[dict], state: Queue) -> None:
    wanted = expected(state)
    assert (
        [{name: line[name] for name in wanted[0]} for line in found] == wanted
        if wanted
        else found == []
    )


def random_log(directory: Path, seed: int, records: int = 300) -> Path:
    """Random puts, updates, deletes and rewrites of a few jobs, over many segments."""
    chance = random.Random(seed)
    directory.mkdir()
    log = open_log(directory)
    living: dict[int, Full] = {}
    next_id = 1
    for step in range(records):
        at = AT + step * S
        if len(living) < 5 or chance.random() < 0.3:
            state = chance.choice((READY, DELAYED))
            body = chance.randbytes(chance.randrange(600))
            job = put(
                next_id, b"t%d" % (next_id % 3), body, pri=chance.randrange(100), created_at=at
            )
            record = (
                job._replace(state=state, delay=9 * S, deadline_at=at + 9 * S)
                if state == DELAYED
                else job
            )
            living[next_id] = job
            next_id += 1
        else:
            id = chance.choice(list(living))
            record = chance.choice(
                (
                    Delete(id),
                    update(id, BURIED, deadline_at=step, pri=step),
                    update(id, pri=step, kicks=1),
                    living[id],
                )
            )
            if isinstance(record, Delete):
                del living[id]
        append(log, [record], at)
    log.close(AT + records * S)
    return directory


@pytest.mark.parametrize("seed", range(8))
def test_jobs_equal_those_of_the_servers_replay(lines, tmp_path, seed, monkeypatch):
    now = AT + 200 * S
    monkeypatch.setattr("time.time_ns", lambda: now)
    log = random_log(tmp_path / "log", seed)
    agree(lines("jobs", log, "--full", "--body", "base64"), replayed(log, now=now))


@pytest.mark.parametrize("seed", range(4))
def test_jobs_at_an_lsn_equal_a_replay_up_to_it(lines, tmp_path, seed):
    log = random_log(tmp_path / "log", seed, 120)
    for lsn in range(0, 121, 13):
        agree(
            lines("jobs", log, "--full", "--body", "base64", "--at", lsn),
            replayed(log, lsn, now=AT + (lsn - 1) * S),
        )


def test_jobs_json_has_the_documented_fields(lines, golden):
    found = lines("jobs", golden["clean"])
    assert [line["job"] for line in found] == [1, 2, 3, 5, 6]
    for line in found:
        assert FIELDS <= line.keys() <= FIELDS | {"bury_order", "ready_at", "ready_at_ns"}
    assert (found[0]["lsn"], found[0]["segment"], found[0]["bury_order"], found[0]["certain"]) == (
        15,
        4,
        1,
        True,
    )
    assert [line["body_encoding"] for line in found] == ["text", "text", "base64", "text", "text"]


def test_jobs_table(run, golden, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: AT + 90 * S)
    assert run("jobs", golden["clean"], "--tube", "default", "--tube", "mail").stdout == (
        "job  tube     state   pri    age  ready in  ttr  size  counts    body\n"
        "  1  default  buried    9  1m30s             1m     5  R1 B1     hello\n"
        "  2  mail     ready     5  1m30s             1m     6  R1 K1     wörld\n"
        "  3  mail     ready     8  1m30s             1m     4  R2 T1 L1  \\x00\\xff\\r\\n\n"
    )


def test_jobs_filters(lines, golden):
    assert [line["job"] for line in lines("jobs", golden["clean"], "--tube", "big")] == [5, 6]
    assert [line["job"] for line in lines("jobs", golden["clean"], "--state", "buried")] == [1]
    assert [
        line["job"] for line in lines("jobs", golden["clean"], "--state", "ready", "--tube", "mail")
    ] == [2, 3]


def test_delayed_job_is_ready_after_its_delay(lines, tmp_path, monkeypatch):
    log = write(tmp_path / "log", *STORY[:2])
    monkeypatch.setattr("time.time_ns", lambda: AT + 100 * S)
    (found,) = lines("jobs", log, "--state", "delayed")
    assert (found["job"], found["ready_at"]) == (2, "2026-01-01T00:01:41.000000000Z")
    monkeypatch.setattr("time.time_ns", lambda: AT + 101 * S)
    assert lines("jobs", log, "--state", "delayed") == []


def test_jobs_at_a_time(lines, run, golden):
    assert [
        line["job"] for line in lines("jobs", golden["clean"], "--at", "2026-01-01T00:00:06.9Z")
    ] == [1, 2, 3, 4, 5]
    assert [
        line["job"] for line in lines("jobs", golden["clean"], "--at", "2026-01-01 00:00:07")
    ] == [1, 2, 3, 5]
    assert lines("jobs", golden["clean"], "--at", "2025-12-31") == []
    assert run("jobs", golden["clean"], "--at", "2026-01-01T00:00:01Z").stdout.splitlines()[
        2
    ].split()[:6] == [
        *("2", "mail", "delayed", "5", "1s", "1m40s"),
    ]


def test_unfinished_import_adds_no_job(lines, golden):
    assert [line["job"] for line in lines("jobs", golden["imported"])] == [2, 3]
    assert lines("jobs", golden["imported"], "--at", 3) == []


# A log whose beginning was deleted


def compacted(directory: Path) -> Path:
    """Segment 1 had jobs 1 to 5. The live ones were rewritten after LSN 9, and the segment was
    deleted.
    """
    directory.mkdir()
    log = open_log(directory, next_id=6)
    append(log, [put(id, body=b"%d" % id * 400) for id in range(1, 6)], AT)
    append(log, [update(1, BURIED, pri=1, buries=1)], AT + 10 * S)
    log.close(AT + 10 * S)
    log = open_log(directory, next_id=6, at=AT + 11 * S)  # LSN 7 begins segment 2
    append(log, [update(2, BURIED, pri=2, buries=1), Delete(5)], AT + 11 * S)
    append(log, [put(6, created_at=AT + 12 * S)], AT + 12 * S)  # LSN 9
    append(
        log,
        [update(2, pri=22, kicks=1), update(3, BURIED, pri=33, buries=1), Delete(4)],
        AT + 20 * S,
    )
    append(log, [put(7, created_at=AT + 21 * S), Delete(7)], AT + 21 * S)
    for id, state, pri in ((1, BURIED, 1), (2, READY, 22), (3, BURIED, 33)):
        append(
            log,
            [
                put(
                    id,
                    body=b"%d" % id * 500,
                    state=state,
                    pri=pri,
                    **({"delay": 9 * S, "buries": 1} if id == 1 else {}),
                )
            ],
            AT + 22 * S,
        )
    log.close(AT + 22 * S)
    segment(directory, 1).unlink()
    return directory


def test_past_job_is_restored_from_its_rewritten_record(lines, run, tmp_path):
    log = compacted(tmp_path / "log")
    found = {
        line["job"]: (line["state"], line["pri"], line["certain"])
        for line in lines("jobs", log, "--at", 9)
    }
    assert found == {
        1: ("buried", 1, True),  # no update in between
        2: ("buried", 2, True),  # from its last update up to LSN 9
        3: ("buried", 33, False),  # updated in between; the earlier state is not known
        6: ("ready", 5, True),
    }
    said = run("jobs", log, "--at", 9)
    # Job 4. Job 5 was deleted before LSN 9, and job 7 was put later.
    assert "not shown: 1 job deleted since then" in said.stderr
    assert "1 job (~) shown in a later state" in said.stderr
    assert [line.split()[2] for line in said.stdout.splitlines()[1:]] == [
        "buried",
        "buried",
        "buried~",
        "ready",
    ]
    assert said.exit_code == 0


def test_past_job_without_changes_is_certain(lines, tmp_path):
    log = compacted(tmp_path / "log")
    assert [(line["job"], line["certain"]) for line in lines("jobs", log, "--at", 8)] == [
        (1, True),
        (2, True),
        (3, False),
    ]


def test_present_jobs_are_all_certain(lines, run, tmp_path):
    log = compacted(tmp_path / "log")
    assert [(line["job"], line["certain"]) for line in lines("jobs", log)] == [
        (1, True),
        (2, True),
        (3, True),
        (6, True),
    ]
    assert run("jobs", log).stderr == ""


def test_body_comes_from_the_latest_full_record(lines, tmp_path):
    log = write(
        tmp_path / "log",
        [put(1, body=b"a" * 2000)],
        [put(2, body=b"b" * 2000)],
        [put(1, body=b"a" * 2000)],
    )
    (first, _) = lines("jobs", log, "--full")
    assert (first["segment"], first["lsn"], first["body"]) == (
        max(frame.segment for frame in frames(log)),
        3,
        "a" * 2000,
    )


def test_body_is_null_when_its_segment_was_replaced(lines, tmp_path, monkeypatch):
    """The file is now another segment, with another job in the same place."""
    log = write(tmp_path / "log", [put(1, body=b"a" * 100)])
    other = write(tmp_path / "other", [put(2, body=b"b" * 100)])
    enter = Bodies.__enter__

    def replaced(bodies):
        segment(other, 1).rename(segment(log, 1))
        return enter(bodies)

    monkeypatch.setattr(Bodies, "__enter__", replaced)
    assert [(line["job"], line["body"]) for line in lines("jobs", log)] == [(1, None)]


def test_body_is_null_when_its_segment_was_deleted(lines, tmp_path, monkeypatch):
    """Between reading and printing, the server may delete the segment, or fill the file with zeros
    to use it again.
    """
    log = write(
        tmp_path / "log",
        [put(1, body=b"a" * 2000)],
        [put(2, body=b"b" * 2000)],
        [put(3, body=b"c" * 2000)],
    )
    enter = Bodies.__enter__

    def deleted(bodies):
        segment(log, 1).unlink()
        segment(log, 2).write_bytes(bytes(segment(log, 2).stat().st_size))
        return enter(bodies)

    monkeypatch.setattr(Bodies, "__enter__", deleted)
    assert [
        (line["job"], line["body"] and line["body"][0], line["body_bytes"])
        for line in lines("jobs", log)
    ] == [
        *((1, None, 2000), (2, None, 2000), (3, "c", 2000)),
    ]
