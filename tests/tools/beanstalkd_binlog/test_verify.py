"""`verify`: every byte is read, torn and corrupt are told apart, all damage is listed, in the
server's words.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_binlog.status import NO_LOG
from beanstalkd_binlog.walk import Walk
from beanstalkd_wal.format import HEADER_BYTES
from testkit.daemon import ROOT
from testkit.waiting import HANG_S

from beanstalkd_py.binlog.records import VERSION
from tests.tools.beanstalkd_binlog import logs
from tests.tools.beanstalkd_binlog.logs import (
    AT,
    change_header,
    clean,
    flip,
    frames,
    last_segment,
    patch,
    put,
    segment,
    server_report,
    write,
)

STATUSES = {
    **dict.fromkeys(("clean", "killed", "imported", "empty"), 0),
    "torn": 1,
    **dict.fromkeys(("flipped", "missing", "orphan", "unreadable"), 2),
    **dict.fromkeys(("newer", "newer_records"), 65),
}


@pytest.mark.parametrize("name", logs.MAKERS)
def test_verify_exit_status(run, golden, name):
    assert run("verify", golden[name]).exit_code == STATUSES[name]


def test_verify_of_a_clean_log(run, golden):
    assert (
        run("verify", golden["clean"]).stdout
        == f"{golden['clean']}: clean: 4 segments, 15 records, 5 jobs\n"
    )
    assert (
        run("verify", golden["empty"]).stdout
        == f"{golden['empty']}: clean: 0 segments, 0 records, 0 jobs\n"
    )


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_log_of_each_version_is_read(run, lines, version):
    log = ROOT / f"tests/binlog/data/records_v{version}"
    assert run("verify", log).exit_code == 0
    found = {line["job"]: (line["pri"], line["body"]) for line in lines("jobs", log)}
    assert found == {1: (7, "ready"), 2: (0, "delayed"), 3: (9, "buried")}
    events = [line["event"] for line in lines("dump", log)]
    assert events[:7] == ["put", "put", "put", "put", "bury", "delete", "pause"]


def test_verify_json_has_the_documented_fields(lines, golden):
    verdict, damage, missing, summary = lines("verify", golden["flipped"])
    path = str(segment(golden["flipped"], 1))
    said = verdict["server_says"]
    assert said.startswith(f"{path}: corrupt at offset 1024: expected LSN 1, found ")
    assert verdict == {
        "state": "corrupt",
        "segment": 1,
        "path": path,
        "offset": 1024,
        "bytes": 0,
        "reason": said,
        "server_says": said,
    }
    reason = "a payload with a wrong checksum"
    assert damage == {
        "state": "corrupt",
        "segment": 1,
        "path": path,
        "offset": 1024,
        "bytes": 88,
        "reason": reason,
        "server_says": None,
    }
    assert (missing["offset"], missing["reason"]) == (1112, "LSN 1 missing")
    assert summary == {
        "state": "corrupt",
        "status": 2,
        "segments": 4,
        "bytes": 11808,
        "records": 14,
        "jobs": 5,
        "next_lsn": 16,
        "running": False,
    }


# The server's words


def first_line(log: Path) -> str:
    """What the server reports first of this log, whether it starts or not."""
    report = server_report(log)
    return report.refusal or report.messages[0]


def cut_short(directory: Path) -> Path:
    clean(directory)
    path = segment(directory, 2)
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 10)
    return directory


def header_copy(directory: Path) -> Path:
    flip(segment(clean(directory), 2), 600)
    return directory


def headers_gone(directory: Path) -> Path:
    patch(segment(clean(directory), 3), 0, bytes(HEADER_BYTES))
    return directory


def another_log(directory: Path) -> Path:
    change_header(segment(clean(directory), 3), log_id=12345)
    return directory


def no_metadata(directory: Path) -> Path:
    change_header(segment(clean(directory), 2), meta=b"")
    return directory


def no_record(directory: Path) -> Path:
    return write(directory, [put(1)], [b""])


def short_full(directory: Path) -> Path:
    return write(directory, [b"\x01short"], [put(1)])


def damage_below_a_seal(directory: Path) -> Path:
    """Under -F: damage in a sealed segment, which was synced before its successor had a name."""
    write(
        directory,
        [put(1)],
        [put(2, body=b"x" * 2500)],
        [put(3, body=b"y" * 2500)],
        durability=logs.NEVER,
        close=False,
    )
    flip(segment(directory, 1), frames(directory)[1].end - 1)
    return directory


DAMAGES = [
    logs.torn,
    logs.flipped,
    logs.missing,
    logs.newer,
    logs.newer_records,
    logs.orphan,
    logs.unreadable,
    cut_short,
    header_copy,
    headers_gone,
    another_log,
    no_metadata,
    no_record,
    short_full,
    damage_below_a_seal,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_verify_reports_first_what_the_server_reports(run, tmp_path, damage):
    """On stdout; a newer version is reported on stderr."""
    log = damage(tmp_path / "log")
    found = run("verify", log)
    said = (
        found.stderr.removeprefix("beanstalkd-binlog: ") if found.exit_code == 65 else found.stdout
    )
    assert said.splitlines()[0] == first_line(log)


def test_server_refuses_with_the_words_of_verify(run, tmp_path):
    log = logs.flipped(tmp_path / "log")
    command = [
        sys.executable,
        "-m",
        "beanstalkd_py",
        "-l",
        f"unix:{tmp_path}/socket",
        "-b",
        str(log),
    ]
    server = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S)
    assert ": " + run("verify", log).stdout.splitlines()[0] in server.stderr
    assert server.returncode == run("dump", log).exit_code == 65


def test_newer_metadata_without_records_is_reported(run, tmp_path):
    log = write(tmp_path / "log", [put(1)])
    wal.Log.open(
        logs.replayed(log),
        segment_bytes=4096,
        meta=lambda: bytes((VERSION + 1, 0)) + bytes(14),
        at=AT,
        threaded=False,
    ).close(AT)
    found = run("verify", log)
    assert (found.exit_code, first_line(log)) == (
        65,
        found.stderr.removeprefix("beanstalkd-binlog: ").rstrip(),
    )


# All damage


def test_segment_of_another_log_is_damage(lines, tmp_path):
    log = another_log(tmp_path / "log")
    *found, _ = lines("verify", log)
    assert (
        found[1]["reason"] == "a segment of log 0000000000003039"
        and found[1]["bytes"] == segment(log, 3).stat().st_size
    )
    assert [line["lsn"] for line in lines("dump", log) if "lsn" in line] == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        14,
        15,
    ]


def test_verify_lists_all_damage(lines, tmp_path):
    log = clean(tmp_path / "log")
    flip(segment(log, 1), frames(log)[1].offset + 60)
    flip(segment(log, 3), HEADER_BYTES + 60)
    flip(segment(log, 4), 10)
    *found, summary = lines("verify", log)
    places = [(line["segment"], line["offset"], line["bytes"]) for line in found[1:]]
    assert places == [
        (1, 1112, 140),
        (1, 1252, 0),
        (3, 1024, 1635),
        (3, 2659, 0),
        (4, 0, 512),
        (2, 1024, 0),
    ]
    assert [line["reason"] for line in found[2:3] + found[-1:]] == [
        "LSN 2 to 3 missing",
        "LSN 8: job 2 has an UPDATE but no record with its body; 1 more job like it",
    ]
    assert [bool(line["server_says"]) for line in found] == [True] + [False] * 6
    assert summary["state"] == "corrupt"


def test_verify_lists_damage_after_an_unreadable_record(lines, tmp_path):
    log = write(tmp_path / "log", [b"\x63"], [put(1)], [b"\x64"], [put(2)])
    flip(segment(log, 1), frames(log)[1].end - 1)
    *found, _ = lines("verify", log)
    reasons = [line["reason"] for line in found]
    assert (
        "no record of kind 99" in reasons[0]
        and "wrong checksum" in reasons[1] + reasons[2]
        and "no record of kind 100" in reasons[-1]
    )


def test_verify_finds_every_flipped_bit(run, tmp_path):
    """In every used byte of a closed log. Only damage to the last frame, a watermark, is torn: no
    promise depends on that frame.
    """
    log = write(tmp_path / "log", [put(1, body=b"hello")], [put(2)])
    data = last_segment(log).read_bytes()
    for offset in range(0, len(data), 3):
        flip(last_segment(log), offset, 1 << offset % 8)
        status = run("verify", log).exit_code
        patch(last_segment(log), offset, data[offset : offset + 1])
        assert status in ((2, 65) if offset < frames(log)[-1].offset else (1,)), offset
    assert run("verify", log).exit_code == 0


def test_damage_up_to_the_watermark_is_corrupt_later_torn(run, tmp_path):
    log = write(tmp_path / "closed", [put(1)], [put(2)])
    flip(last_segment(log), frames(log)[1].end - 1)
    assert run("verify", log).exit_code == 2
    log = write(tmp_path / "killed", [put(1)], [put(2)], close=False)
    flip(last_segment(log), frames(log)[1].end - 1)
    assert run("verify", log).exit_code == 1


def test_orphan_above_the_watermark_is_torn(run, tmp_path):
    log = write(tmp_path / "log", [put(1)], [logs.update(7)], close=False)
    found = run("verify", log)
    assert found.exit_code == 1
    assert (
        found.stdout.splitlines()[0] == f"{last_segment(log)}: offset {frames(log)[1].offset}: "
        "LSN 2: job 7 has an UPDATE but no record with its body; "
        "it is not known to be durable, so it is discarded"
    )


# OtherFiles a server


def test_half_written_frame_of_a_running_server_is_clean(run, tmp_path):
    log = logs.torn(tmp_path / "log")
    lock = wal.lock(log)
    try:
        found = run("verify", log)
    finally:
        lock.close()
    assert found.exit_code == 0
    counts = "1 segment, 1 record, 1 job"
    running = "a server has the log open, segment 1 is active"
    assert found.stdout == f"{log}: clean: {counts}; {running}\n"
    assert run("verify", log).exit_code == 1


def test_half_written_frame_is_torn_for_the_lock_holder(tmp_path):
    log = logs.torn(tmp_path / "log")
    lock = wal.lock(log)
    walk = Walk(str(log), holds_lock=True)
    walk.read_all()
    lock.close()
    assert [finding.state for finding in walk.findings] == ["torn"]


def test_corruption_is_reported_beside_a_running_server(run, tmp_path):
    log = logs.flipped(tmp_path / "log")
    lock = wal.lock(log)
    try:
        assert run("verify", log).exit_code == 2
    finally:
        lock.close()


def test_lock_of_another_process_is_not_released(run, golden, tmp_path):
    log = logs.killed(tmp_path / "log")
    holder = [
        sys.executable,
        "-c",
        f"import beanstalkd_wal as wal; held = wal.lock({str(log)!r}); "
        "print('held', flush=True); input()",
    ]
    with subprocess.Popen(
        holder, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert "a server has the log open" in run("verify", log).stdout
        with pytest.raises(wal.Locked):
            wal.lock(log)
        process.communicate("\n")
    assert "a server has the log open" not in run("verify", log).stdout


def test_reading_commands_change_nothing(run, golden, tmp_path):
    for name, directory in golden.items():
        before = {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()
        }
        for command in ("ls", "verify", "dump", "jobs", "stats"):
            run(command, directory)
        run("history", directory, 1)
        assert {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in directory.iterdir()
        } == before, name


def test_verify_of_a_missing_log_has_status_66(run, tmp_path):
    assert run("verify", tmp_path / "nowhere").exit_code == NO_LOG == 66
