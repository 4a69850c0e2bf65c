"""`jobs --at`: the jobs at an earlier moment, from a log that was compacted since."""

from __future__ import annotations

import random
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_binlog.moment import Moment, Past
from beanstalkd_binlog.walk import Walk
from testkit.queue_server import QueueServer

from beanstalkd_py.binlog.records import IMPORT_BEGIN, IMPORT_END, Delete, Import
from beanstalkd_py.queue.model import BURIED, DELAYED, READY
from beanstalkd_py.queue.queue import Queue
from tests.tools.beanstalkd_binlog.logs import (
    AT,
    S,
    Unsynced,
    append,
    open_log,
    put,
    segment,
    update,
    write,
)

Truth = dict[int, tuple[object, ...]]


def stood(state: Queue | object, at: int) -> Truth:
    """What the log tells of each job. Reserves are not logged by themselves."""
    jobs = state.jobs.values()  # type: ignore[attr-defined]
    return {
        job.id: (
            READY if job.state == DELAYED and job.deadline_at <= at else job.state,
            *(job.tube.name, job.pri, job.ttr, len(job.body)),
            *(job.timeouts, job.releases, job.buries, job.kicks),
        )
        for job in jobs
    }


class Served(QueueServer):
    """A queue and its log on a fake clock, without threads. Monotonic and wall clock are the
    same. `truth` has the jobs at each LSN.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        super().__init__(
            directory,
            now=AT,
            wall=0,
            segment_bytes=16384,
            durability=wal.Durability.SYNC,
            fs=Unsynced(),
        )
        self.chance = random.Random(seed)
        self.client = self.session()
        self.truth: dict[int, tuple[int, Truth]] = {}
        self.say(b"watch a", b"watch b")

    def say(self, *commands: bytes) -> bytes:
        self.now += S
        self.queue.tick(self.now)
        self.client.receive(b"".join(command + b"\r\n" for command in commands), self.now)
        said = self.iterate()[self.client]
        self.truth.setdefault(self.binlog.log.lsn, (self.now, stood(self.queue, self.now)))
        return said

    def random_commands(self) -> None:
        chance = self.chance
        ids = list(self.queue.jobs)
        if len(ids) < 60 or chance.random() < 0.3:
            nbytes = chance.randrange(1500)
            delay = chance.choice((0, 0, 20, 2000))
            self.say(
                chance.choice((b"use a", b"use b")),
                b"put %d %d 9 %d" % (chance.randrange(99), delay, nbytes),
                bytes(nbytes),
            )
        elif chance.random() < 0.5:
            self.say(b"delete %d" % chance.choice(ids))
        elif chance.random() < 0.3:
            self.say(b"kick-job %d" % chance.choice(ids))
        else:
            id = chance.choice(ids)
            end = chance.choice((b"release %d 7 0", b"release %d 8 30", b"bury %d 9"))
            self.say(b"reserve-job %d" % id, end % id)


@pytest.mark.parametrize("seed", range(6))
def test_past_jobs_are_complete_and_certain_ones_exact(tmp_path, seed):
    served = Served(tmp_path, seed)
    for _ in range(700):
        served.random_commands()
    served.binlog.log.close(served.now)
    first = min(frame.first_lsn for frame in wal.Replay(tmp_path))
    assert first > 50, "no segment was deleted"
    moments = [lsn for lsn in served.truth if lsn >= first]
    uncertain = lost = 0
    for lsn in served.chance.sample(moments, 20):
        at, truth = served.truth[lsn]
        for moment in (Moment(lsn=lsn), Moment(at=at)):
            past = Past(Walk(str(tmp_path), replay=False), moment)
            past.read()
            shown = stood(past.replayer.state, past.at)
            assert shown.keys() <= truth.keys(), lsn
            assert {id: shown[id] for id in shown if id not in past.uncertain} == {
                id: truth[id] for id in shown if id not in past.uncertain
            }, lsn
            assert len(shown) + past.lost == len(truth), lsn
            uncertain += len(past.uncertain)
            lost += past.lost
    assert uncertain and lost, "the log was not compacted enough for this test"


def test_moment_before_the_log_begins(run, lines, tmp_path):
    log = write(
        tmp_path / "log",
        [put(1, body=b"a" * 2000)],
        [put(2, body=b"b" * 2000)],
        [put(1, body=b"a" * 2000)],
        next_id=3,
    )
    segment(log, 1).unlink()
    assert lines("jobs", log, "--at", 1) == []
    assert (
        run("jobs", log, "--at", 1).stderr
        == f"beanstalkd-binlog: {log}: the log begins after that moment\n"
    )
    assert (
        run("jobs", log, "--at", "2025-01-01").stderr
        == f"beanstalkd-binlog: {log}: the log begins after that moment\n"
    )
    assert [line["job"] for line in lines("jobs", log, "--at", 2)] == [1, 2]
    assert run("jobs", log, "--at", 2).stderr == ""


def test_moment_in_an_empty_log(lines, run, golden):
    assert (
        lines("jobs", golden["empty"], "--at", 1) == []
        and run("jobs", golden["empty"], "--at", 1).stderr == ""
    )


def test_later_import_adds_no_job_to_the_past(lines, tmp_path):
    log = write(
        tmp_path / "log",
        [put(1, body=b"a" * 2500)],
        [put(9, body=b"9" * 2500)],
        [update(1, BURIED)],
        next_id=2,
    )
    more = open_log(log, next_id=10)
    append(
        more,
        [
            Delete(9),
            Import(IMPORT_BEGIN, b"{}"),
            put(2),
            put(1, body=b"other"),
            Import(IMPORT_END, b"{}"),
        ],
        AT + 9 * S,
    )
    more.close(AT + 9 * S)
    segment(log, 1).unlink()
    assert [line["job"] for line in lines("jobs", log, "--at", 3)] == [9]


def test_gap_before_the_moment_voids_earlier_records(tmp_path, monkeypatch):
    log = write(
        tmp_path / "log",
        [put(1, body=b"a" * 2000), update(7, BURIED, pri=77)],
        [put(2, body=b"b" * 2000)],
        [put(3, body=b"c" * 2000), Delete(1), update(7, BURIED, pri=78)],  # LSN 4 to 6
        [put(4, body=b"d" * 2000)],
        [put(2), put(7)],  # LSN 8, 9
        next_id=8,
    )
    delete_when_reading(log, 3, monkeypatch)
    past = Past(Walk(str(log), replay=False), Moment(lsn=7))
    past.read()
    jobs = past.replayer.state.jobs
    assert set(jobs) == {2, 4, 7} and jobs[7].pri == 5


def test_gap_after_the_moment_changes_nothing(tmp_path, monkeypatch):
    log = write(
        tmp_path / "log",
        [put(1, body=b"a" * 2500)],
        [put(2, body=b"b" * 2500)],  # LSN 2: the moment
        [put(3, body=b"c" * 2500)],
        [put(4, body=b"d" * 2500)],
        [put(1, body=b"a" * 2500)],
        next_id=3,
    )
    segment(log, 1).unlink()
    delete_when_reading(log, 4, monkeypatch)
    past = Past(Walk(str(log), replay=False), Moment(lsn=2))
    past.read()
    assert set(past.replayer.state.jobs) == {1, 2}


def delete_when_reading(log: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server deletes all segments up to this one when it is about to be read."""
    real = wal.FileSystem.read

    def read(self, path, nbytes=-1):
        if nbytes < 0 and path.endswith(f"{number}.wal"):
            for each in range(1, number + 1):
                segment(log, each).unlink(missing_ok=True)
        return real(self, path, nbytes)

    monkeypatch.setattr(wal.FileSystem, "read", read)
