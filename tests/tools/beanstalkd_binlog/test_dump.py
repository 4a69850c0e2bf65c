"""`dump` and `history`: every record in order, with its exact values."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from beanstalkd_py.binlog.records import Delete, Full, Pause, Update, decode
from tests.tools.beanstalkd_binlog.logs import (
    AT,
    STORY,
    S,
    encode,
    frames,
    put,
    segment,
    update,
    write,
)

INSTANTS = {"at", "created_at", "ready_at", "reserved_until", "until"}


def test_dump_lists_each_record_in_order(run, golden):
    said = run("dump", golden["clean"]).stdout
    rows = [line.split(maxsplit=5) for line in said.splitlines()]
    assert rows[0][:5] == ["lsn", "segment", "offset", "time", "event"]
    assert [int(row[0]) for row in rows[1:]] == list(range(1, 16))
    events = "put put put pause bury release put kick put reserve timeout delete unpause put"
    events = [*events.split(), "rewrite"]
    assert [line.split()[5] for line in said.splitlines()[1:]] == events


def test_dump_row_shows_the_changes(run, golden):
    said = run("dump", golden["clean"]).stdout.splitlines()
    row = "     5        1      1384  2026-01-01 00:00:03.000  bury          1  default     "
    row += "state ready -> buried, pri 5 -> 9, reserves 0 -> 1, buries 0 -> 1"
    assert said[5] == row
    assert said[2].split()[-1] == "wörld"
    assert "delayed, until 2026-01-01 00:01:41.000, pri 5, delay 1m40s, ttr 1m" in said[2]
    assert said[4].endswith("mail        for 10s, until 2026-01-01 00:00:12.000")


def test_dump_row_with_long_changes_shifts_no_other_row(run, golden):
    said = run("dump", golden["clean"]).stdout.splitlines()
    assert (
        said[0].index("body")
        == said[1].index("hello")
        == said[3].index("\\x00")
        < said[2].index("wörld")
    )


def test_dump_offset_is_the_place_of_the_record(lines, golden):
    story = [record for batch in STORY for record in batch]
    for line, record in zip(lines("dump", golden["clean"]), story, strict=True):
        data = encode(record)
        path = segment(golden["clean"], line["segment"])
        assert path.read_bytes()[line["offset"] : line["offset"] + len(data)] == data


def test_dump_json_has_every_value_of_the_record(lines, golden):
    found = lines("dump", golden["clean"], "--full", "--body", "base64")
    records = [decode(record) for frame in frames(golden["clean"]) for record in frame.records]
    for line, record in zip(found, records, strict=True):
        assert rebuilt(line) == record


def rebuilt(line: dict) -> object:
    if line["kind"] == "delete":
        return Delete(line["job"])
    if line["kind"] == "pause":
        return Pause(line["tube"].encode(), line["pause_ns"], line.get("until_ns", 0))
    state = {"ready": 1, "reserved": 2, "buried": 3, "delayed": 4}[line["state"]]
    deadline = line.get("ready_at_ns", line.get("reserved_until_ns", line.get("bury_order", 0)))
    counters = [line[name] for name in ("reserves", "timeouts", "releases", "buries", "kicks")]
    if line["kind"] == "update":
        return Update(state, line["pri"], line["job"], line["delay_ns"], deadline, *counters)
    body = base64.b64decode(line["body"])
    assert line["body_bytes"] == len(body)
    times = line["delay_ns"], line["ttr_ns"], line["created_at_ns"], deadline
    tube = line["tube"].encode()
    return Full(state, line["pri"], line["job"], *times, *counters, tube, body)


def test_dump_json_has_the_documented_fields(lines, golden):
    common = {
        "lsn",
        "segment",
        "offset",
        "frame_offset",
        "at",
        "at_ns",
        "kind",
        "event",
        "job",
        "tube",
    }
    changing = {"state", "pri", "delay_ns", "reserves", "timeouts", "releases", "buries", "kicks"}
    body = {"body", "body_encoding", "body_bytes", "body_cut"}
    found = lines("dump", golden["clean"])
    fixed = {
        "new": common | changing | body | {"ttr_ns", "created_at", "created_at_ns"},
        "update": common | changing,
        "delete": common,
        "pause": common | {"pause_ns"},
    }
    fixed["short"] = fixed["new"]
    optional = {
        "was",
        "ready_at",
        "ready_at_ns",
        "reserved_until",
        "reserved_until_ns",
        "bury_order",
        "until",
        "until_ns",
    }
    for line in found:
        assert fixed[line["kind"]] <= line.keys() <= fixed[line["kind"]] | optional
        for name in INSTANTS & line.keys():
            assert isinstance(line[name + "_ns"], int) and line[name].endswith("Z")
    assert found[0]["at"] == "2026-01-01T00:00:00.000000000Z" and found[0]["at_ns"] == AT
    assert found[4]["was"] == {"state": "ready", "pri": 5, "reserves": 0, "buries": 0}


@pytest.mark.parametrize(
    ("options", "lsns"),
    [
        (["--tube", "mail"], [2, 3, 4, 6, 8, 10, 11, 13]),
        (["--tube", "big", "--tube", "default"], [1, 5, 7, 9, 12, 14, 15]),
        (["--job", "1"], [1, 5, 15]),
        (["--job", "3", "--job", "4"], [3, 6, 7, 11, 12]),
        (["--kind", "delete"], [12]),
        (["--kind", "new", "--tube", "mail"], [3]),
        (["--kind", "new", "--kind", "short", "--tube", "mail"], [2, 3]),
        (["--kind", "kick", "--kind", "unpause"], [8, 13]),
        (["--since", "2026-01-01T00:00:07Z"], [12, 13, 14, 15]),
        (["--until", "2026-01-01 00:00:01"], [1, 2, 3]),
        (["--since", "@1767225602", "--until", "2026-01-01T01:00:03+01:00"], [4, 5, 6]),
        (["--lsn", "5"], [5]),
        (["--lsn", "5:7"], [5, 6, 7]),
        (["--lsn", "14:"], [14, 15]),
        (["--lsn", ":2"], [1, 2]),
        (["--lsn", "99:"], []),
    ],
)
def test_dump_filters(lines, golden, options, lsns):
    assert [line["lsn"] for line in lines("dump", golden["clean"], *options)] == lsns


def test_dump_stops_reading_after_the_last_lsn(lines, golden, monkeypatch):
    read = []
    real = open

    def opened(path, *rest, **options):
        read.append(str(path)[-12:])
        return real(path, *rest, **options)

    monkeypatch.setattr("builtins.open", opened)
    lines("dump", golden["clean"], "--lsn", ":2")
    assert (
        read.count("00000001.wal") == 2 and read.count("00000004.wal") == 1
    )  # each header; one segment


def test_times_without_a_zone_are_local(lines, golden, monkeypatch):
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    assert [
        line["lsn"] for line in lines("dump", golden["clean"], "--until", "2026-01-01 02:00:00")
    ] == [1]


def test_bodies_are_text_if_they_can_be(lines, golden):
    found = {
        line["lsn"]: (line["body"], line["body_encoding"])
        for line in lines("dump", golden["clean"], "--kind", "put")
    }
    assert found[2] == ("wörld", "text")
    assert found[3] == ("AP8NCg==", "base64")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("hex", "00ff0d0a"), ("base64", "AP8NCg=="), ("text", "\\x00\\xff\\r\\n")],
)
def test_encodings_of_a_body_in_the_table(run, golden, encoding, body):
    assert run("dump", golden["clean"], "--lsn", "3", "--body", encoding).stdout.split()[-1] == body


def test_bodies_are_cut_unless_full(run, lines, golden):
    (cut,) = lines("dump", golden["clean"], "--lsn", "7")
    assert (cut["body"], cut["body_bytes"], cut["body_cut"]) == ("x" * 256, 2500, True)
    (full,) = lines("dump", golden["clean"], "--lsn", "7", "--full")
    assert (full["body"], full["body_bytes"], full["body_cut"]) == ("x" * 2500, 2500, False)
    assert run("dump", golden["clean"], "--lsn", "7").stdout.split()[-1] == "x" * 256 + "…"
    assert run("dump", golden["clean"], "--lsn", "7", "--full").stdout.split()[-1] == "x" * 2500


def test_cut_body_leaves_out_an_incomplete_character(lines, tmp_path):
    write(tmp_path / "log", [put(1, body=b"a" + "ö".encode() * 200)])
    (line,) = lines("dump", tmp_path / "log")
    assert (line["body"], line["body_encoding"]) == ("a" + "ö" * 127, "text")


def test_damage_is_listed_where_records_are_lost(run, lines, golden):
    found = lines("dump", golden["flipped"])
    assert found[0] == {
        "segment": 1,
        "offset": 1024,
        "kind": "damage",
        "bytes": 88,
        "reason": "a payload with a wrong checksum",
    }
    assert found[1] == {
        "segment": 1,
        "offset": 1112,
        "kind": "damage",
        "bytes": 0,
        "reason": "LSN 1 missing",
    }
    assert [line["lsn"] for line in found[2:]] == list(range(2, 16))
    assert found[-1]["event"] == "rewrite"  # a buried job was put earlier
    row = run("dump", golden["flipped"]).stdout.splitlines()[1].split(maxsplit=3)
    assert row == ["1", "1024", "damage", "88 bytes: a payload with a wrong checksum"]


def test_tube_of_a_job_without_a_full_record_is_unknown(lines, golden):
    (line,) = lines("dump", golden["orphan"], "--job", "7")
    assert (line["event"], line["tube"]) == ("update", None) and "was" not in line


def test_torn_tail_is_the_last_row_of_dump(lines, run, golden):
    found = lines("dump", golden["torn"])
    assert [line.get("lsn") for line in found] == [1, None]
    assert run("dump", golden["torn"]).exit_code == 0


def test_unreadable_record_is_shown_with_the_reason(run, lines, golden):
    found = lines("dump", golden["unreadable"])
    assert [line["lsn"] for line in found] == [1, 2, 3, 4]
    assert (found[1]["kind"], found[1]["reason"]) == (
        "unreadable",
        "no record of kind 99 has 8 bytes",
    )
    assert run("dump", golden["unreadable"]).exit_code == 65


def test_dump_shows_the_phases_of_an_import(lines, golden):
    found = lines("dump", golden["imported"])
    assert [(line["event"], line["job"]) for line in found] == [
        ("put", 1),
        ("import", None),
        ("import", 2),
        ("import", None),
        ("put", 3),
    ]
    assert [line.get("phase") for line in found] == [None, "begin", None, "end", None]


def test_full_record_with_an_old_id_is_a_rewrite(lines, tmp_path):
    log = tmp_path / "log"
    write(log, [put(1, body=b"a" * 2000), put(2, body=b"b" * 2000)], next_id=3)
    write(log, [put(1, body=b"a" * 2000)], [put(3)], next_id=3)
    segment(log, 1).unlink()
    events = [(line["job"], line["event"]) for line in lines("dump", log)]
    assert events == [(2, "put"), (1, "rewrite"), (3, "put")]


def test_full_record_in_a_complete_log_is_a_put(lines, tmp_path):
    write(tmp_path / "log", [put(1)], next_id=10)  # the id was taken before the segment was created
    assert lines("dump", tmp_path / "log")[0]["event"] == "put"


def test_update_that_raises_two_counters_has_no_event(lines, tmp_path):
    write(tmp_path / "log", [put(1)], [update(1, releases=1, kicks=1)])
    assert lines("dump", tmp_path / "log")[1]["event"] == "update"


# history


def test_history_lists_the_records_of_one_job(lines, run, golden):
    assert [line["event"] for line in lines("history", golden["clean"], 3)] == [
        "put",
        "release",
        "timeout",
    ]
    said = run("history", golden["clean"], 1).stdout.splitlines()
    assert [line.split()[5] for line in said[1:4]] == ["put", "bury", "rewrite"]
    assert said[4] == "now buried; a restart would keep the job"


def test_history_of_a_deleted_job_ends_with_the_delete(run, golden, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: AT + 67 * S)
    assert run("history", golden["clean"], 4).stdout.splitlines()[-1] == "deleted 1m ago"


def test_history_says_that_earlier_records_were_deleted(run, tmp_path):
    log = tmp_path / "log"
    write(log, [put(1, body=b"a" * 2000), put(2, body=b"b" * 2000)], next_id=3)
    write(log, [put(1, body=b"a" * 2000)], next_id=3)
    segment(log, 1).unlink()
    assert "earlier records were deleted with their segments" in run("history", log, 1).stdout
    assert "earlier records" not in run("history", log, 2).stdout


def test_history_ends_with_the_present_state(run, tmp_path, monkeypatch):
    log = write(tmp_path / "log", *STORY[:2])
    monkeypatch.setattr("time.time_ns", lambda: AT + 100 * S)
    assert (
        run("history", log, 2).stdout.splitlines()[-1]
        == "now delayed until 2026-01-01 00:01:41.000; a restart would keep the job"
    )
    monkeypatch.setattr("time.time_ns", lambda: AT + 102 * S)
    assert (
        run("history", log, 2).stdout.splitlines()[-1] == "now ready; a restart would keep the job"
    )


def test_history_of_an_unknown_id(run, lines, golden):
    assert (
        run("history", golden["clean"], 99).stdout
        == "no record of job 99: the highest job id in the log is 6\n"
    )
    assert lines("history", golden["clean"], 99) == []


def test_history_of_a_job_that_an_import_made_void(lines, run, golden):
    assert [line["event"] for line in lines("history", golden["imported"], 1)] == [
        "put",
        "import",
        "import",
    ]
    assert (
        run("history", golden["imported"], 1).stdout.splitlines()[-1] == "the job no longer exists"
    )


def test_json_lines_are_ascii(run, golden):
    for line in run("dump", golden["clean"], "--json").stdout.splitlines():
        assert line.isascii() and json.loads(line)


def test_bodies_are_escaped_in_tables(run, tmp_path: Path):
    write(tmp_path / "log", [put(1, body=b"\x1b[31m\x9b\xc2\x9b\xe2\x80\xae\x7f")])
    assert run("dump", tmp_path / "log").stdout.split()[-1] == "\\x1b[31m\\x9b\\x9b\\u202e\\x7f"
