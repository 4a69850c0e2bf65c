"""`ls` and `stats`: contents of segments, the jobs that keep them, and totals."""

from __future__ import annotations

import beanstalkd_wal as wal
import pytest
from beanstalkd_binlog.directory import OtherFiles

from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.model import BURIED
from beanstalkd_py.queue.state import State
from tests.tools.beanstalkd_binlog.conftest import EMPTY_STATS
from tests.tools.beanstalkd_binlog.logs import AT, STORY, S, frames, put, segment, update, write


def test_ls_has_one_row_per_segment(run, golden):
    said = run("ls", golden["clean"]).stdout.splitlines()
    assert said[0].split("  ")[0] == "segment" and len(said) == 5
    assert said[1].split() == [
        *(
            "1",
            "sealed",
            "1488",
            "110",
            "162",
            "6",
            "2",
            "1",
            "6",
            "2026-01-01",
            "00:00:00.000",
            "2026-01-01",
            "00:00:03.000",
        ),
    ]


def test_ls_json_has_the_documented_fields(lines, golden):
    first = lines("ls", golden["clean"])[0]
    assert first == {
        "segment": 1,
        "state": "sealed",
        "bytes": 1488,
        "used_bytes": 1488,
        "records": 6,
        "record_bytes": 272,
        "live_bytes": 110,
        "dead_bytes": 162,
        "base_lsn": 1,
        "first_lsn": 1,
        "last_lsn": 6,
        "created_at": "2026-01-01T00:00:00.000000000Z",
        "created_at_ns": AT,
        "first_at": "2026-01-01T00:00:00.000000000Z",
        "first_at_ns": AT,
        "last_at": "2026-01-01T00:00:03.000000000Z",
        "last_at_ns": AT + 3 * S,
        "oldest_job": 2,
        "oldest_job_created_at": "2026-01-01T00:00:00.000000000Z",
        "oldest_job_created_at_ns": AT,
    }


def test_live_bytes_equal_the_servers(lines, golden):
    usage = Usage()
    replayer = Replayer(State(), usage, 0)
    for frame in frames(golden["clean"]):
        replayer.apply(frame)
    replayer.finish()
    live = {number: segment.live for number, segment in usage.by_number.items()}
    assert {line["segment"]: line["live_bytes"] for line in lines("ls", golden["clean"])} == live
    assert sum(live.values()) == usage.live > 0


def test_records_are_live_or_dead(lines, golden):
    for line in lines("ls", golden["clean"]):
        assert line["live_bytes"] + line["dead_bytes"] == line["record_bytes"] < line["used_bytes"]


def test_oldest_job_of_each_segment(lines, tmp_path):
    log = tmp_path / "log"
    batches = [
        [put(1, created_at=AT + 3, body=b"a" * 1000), put(2, created_at=AT + 2, body=b"b" * 1000)],
        [put(3, created_at=AT + 9, body=b"c" * 2000), update(1, BURIED)],
        [put(4, created_at=AT + 9, body=b"d" * 2000)],
    ]
    write(log, *batches)
    assert [(line["segment"], line["oldest_job"]) for line in lines("ls", log)] == [
        (1, 2),
        (2, 1),
        (3, 4),
    ]


def test_segment_without_live_records_has_no_oldest_job(lines, golden):
    second = lines("ls", golden["clean"])[1]
    assert (second["live_bytes"], second["oldest_job"]) == (0, None)
    assert "oldest_job_created_at" not in second


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("clean", ["sealed"] * 4),
        ("killed", ["active"]),
        ("torn", ["torn"]),
        ("flipped", ["corrupt", "sealed", "sealed", "sealed"]),
        ("missing", ["corrupt", "sealed", "sealed"]),
        ("empty", []),
    ],
)
def test_segment_states(lines, golden, name, states):
    assert [line["state"] for line in lines("ls", golden[name])] == states


def test_last_segment_is_active_while_the_log_is_locked(lines, golden):
    lock = wal.lock(golden["clean"])
    try:
        assert [line["state"] for line in lines("ls", golden["clean"])] == [
            "sealed",
            "sealed",
            "sealed",
            "active",
        ]
        assert lines("ls", golden["torn"])[0]["state"] == "torn"
    finally:
        lock.close()


def test_ls_shows_a_blank_segment_as_corrupt(lines, tmp_path):
    write(tmp_path / "log", [put(1)])
    segment(tmp_path / "log", 2).write_bytes(bytes(4096))
    found = lines("ls", tmp_path / "log")
    assert [(line["segment"], line["state"], line["records"]) for line in found] == [
        (1, "sealed", 1),
        (2, "corrupt", 0),
    ]
    assert found[1]["bytes"] == 4096


# stats


def test_stats_has_all_totals(lines, golden, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: AT + 9 * S)
    (found,) = lines("stats", golden["clean"])
    assert found["jobs"] == 5 and found["body_bytes"] == 5 + 6 + 4 + 1500 + 2600
    assert found["tubes"]["big"] == {
        "ready": {"jobs": 2, "bytes": 4100},
        "delayed": {"jobs": 0, "bytes": 0},
        "buried": {"jobs": 0, "bytes": 0},
    }
    assert found["tubes"]["default"]["buried"] == {"jobs": 1, "bytes": 5}
    assert found["kinds"]["update"] == {"records": 5, "bytes": 280} and found["kinds"][
        "delete"
    ] == {"records": 1, "bytes": 13}
    assert found["segments"] == 4 and found["log_bytes"] == sum(
        line["bytes"] for line in lines("ls", golden["clean"])
    )
    assert found["live_bytes"] == sum(line["live_bytes"] for line in lines("ls", golden["clean"]))
    assert found["live_bytes"] + found["dead_bytes"] == found["record_bytes"]
    assert found["seconds"] == 8
    assert [job["job"] for job in found["biggest"]] == [6, 5, 2, 1, 3]
    assert [job["job"] for job in found["oldest"]] == [1, 2, 3, 5, 6]
    assert (found["running"], found["paused"]) == (False, {})


def test_stats_shows_pauses_and_delays(lines, golden, tmp_path, monkeypatch):
    write(tmp_path / "log", *STORY[:3])
    monkeypatch.setattr("time.time_ns", lambda: AT + 3 * S)
    (found,) = lines("stats", tmp_path / "log")
    assert found["paused"]["mail"] == {
        "pause_ns": 10 * S,
        "until": "2026-01-01T00:00:12.000000000Z",
        "until_ns": AT + 12 * S,
    }
    assert found["tubes"]["mail"]["delayed"]["jobs"] == 1
    monkeypatch.setattr("time.time_ns", lambda: AT + 103 * S)
    (found,) = lines("stats", tmp_path / "log")
    assert found["paused"] == {} and found["tubes"]["mail"]["delayed"]["jobs"] == 0


def test_stats_counts_preallocated_segments_and_torn_tails(lines, tmp_path):
    write(tmp_path / "log", [put(1)])
    (tmp_path / "log" / "spare.7").write_bytes(bytes(5000))
    (tmp_path / "log" / "torn.1.2000").write_bytes(b"abc")
    (found,) = lines("stats", tmp_path / "log")
    assert (found["spares"], found["spare_bytes"], found["torn_bytes"]) == (1, 5000, 3)


def test_spare_that_vanishes_while_counted_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "spare.2").write_bytes(b"abc")
    monkeypatch.setattr("os.listdir", lambda path: ["spare.1", "spare.2"])
    files = OtherFiles(str(tmp_path))
    assert (files.spares, files.spare_bytes) == (2, 3)


def test_stats_table(run, golden):
    said = run("stats", golden["clean"]).stdout
    assert said.startswith(
        "5 jobs, 4115 bytes of bodies\n"
        "log: 4 segments, 11808 bytes, of which 4442 bytes live (ratio 2.7)\n"
        "0 preallocated segments, 0 bytes\n"
    )
    assert "growth by kind of record, in 8s since 2026-01-01 00:00:00.000\n" in said
    assert "delete        1    13\n" in said


def test_stats_has_a_rate_after_one_minute_of_log(run, tmp_path):
    write(tmp_path / "log", *[[put(id, body=b"x")] for id in range(1, 122)])
    (row,) = [
        line.split()
        for line in run("stats", tmp_path / "log").stdout.splitlines()
        if line.startswith("new ")
    ]
    assert row == ["new", "121", str(36 * 121), str(36 * 121 * 30)]


def test_stats_of_an_empty_log(run, golden):
    assert run("stats", golden["empty"]).stdout == EMPTY_STATS
