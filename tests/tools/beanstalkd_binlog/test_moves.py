"""Records of jobs that moved to another tube."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.beanstalkd_binlog.logs import AT, S, move, put, update, write


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(
        tmp_path / "log",
        [put(1, b"a", b"one"), put(2, b"a", b"two")],
        [move(1, b"other"), update(1, pri=7)],
    )


def test_dump_shows_the_tubes(run, lines, log):
    row = run("dump", log).stdout.splitlines()[3]
    assert row.split()[5:8] == ["move", "1", "other"] and row.endswith("tube a -> other")
    line = lines("dump", log)[2]
    assert (line["event"], line["tube"], line["was"]) == ("move", "other", {"tube": "a"})


def test_jobs_are_in_their_latest_tubes(lines, log):
    assert [line["tube"] for line in lines("jobs", log)] == ["other", "a"]
    assert [line["tube"] for line in lines("jobs", log, "--at", "2")] == ["a", "a"]


def test_move_of_a_job_without_a_record_is_damage(run, tmp_path):
    log = write(tmp_path / "log", [put(1)], [move(7, b"b")], [put(2)])
    done = run("verify", log)
    assert done.exit_code and "job 7 has an UPDATE but no record with its body" in done.stdout
    assert run("repair", log).stdout.splitlines()[-2].endswith("is lost): 7")
    assert not run("verify", log).exit_code


def test_tube_before_a_later_move_is_uncertain(lines, tmp_path):
    """Compaction has deleted the segment with the job's first record."""
    log = write(
        tmp_path / "log",
        [update(1, pri=5)],
        [move(1, b"b")],
        [put(1, b"b", b"one")],
        next_id=9,
    )
    assert AT and S
    shown = lines("jobs", log, "--at", "1")
    assert shown == [] or not shown[0]["certain"]
