"""`repair` of each kind of damage: reported in verify's words, every removed byte kept, clean
afterwards, and the server starts again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.format import FRAME_BYTES, encode_frame, salt_of

from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.binlog.records import encode
from beanstalkd_py.queue.model import BURIED
from beanstalkd_py.queue.state import State
from tests.tools.beanstalkd_binlog import logs
from tests.tools.beanstalkd_binlog.conftest import Cli
from tests.tools.beanstalkd_binlog.logs import server_report

DAMAGED = ["flipped", "missing", "orphan", "unreadable"]
Lines = Callable[..., list[dict[str, object]]]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


@pytest.fixture(params=DAMAGED)
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return logs.MAKERS[request.param](tmp_path / "log")


def test_verify_server_and_repair_report_the_same(damaged: Path, run: Cli) -> None:
    said = server_report(damaged).refusal
    assert said
    assert said in run("verify", damaged).stdout.splitlines()
    found = run("verify", damaged).stdout.splitlines()[:-1]
    assert run("repair", "--dry-run", damaged).stdout.splitlines()[: len(found)] == found
    assert run("repair", damaged).stdout.splitlines()[: len(found)] == found


def test_dry_run_changes_nothing(damaged: Path, run: Cli) -> None:
    before = contents(damaged)
    result = run("repair", "--dry-run", damaged)
    assert result.exit_code == 0
    assert "nothing was changed" in result.stdout
    assert contents(damaged) == before


def test_repaired_log_is_clean_and_starts(damaged: Path, run: Cli) -> None:
    assert run("repair", damaged).exit_code == 0
    assert run("verify", damaged).exit_code == 0
    assert server_report(damaged).refusal == ""
    assert "nothing to do" in run("repair", damaged).stdout


def test_intact_jobs_after_the_damage_are_kept(tmp_path: Path, run: Cli, lines: Lines) -> None:
    # The damaged frame has the put of job 1, which compaction wrote again at the end.
    log = logs.flipped(tmp_path / "log")
    run("repair", log)
    ids = {line["job"] for line in lines("jobs", log)}
    assert {2, 3, 5, 6} <= ids


def test_removed_bytes_are_kept(tmp_path: Path, run: Cli, lines: Lines) -> None:
    log = logs.flipped(tmp_path / "log")
    before = contents(log)
    (loss,) = [line for line in lines("repair", log) if line["event"] == "loss"]
    offset, nbytes = int(str(loss["offset"])), int(str(loss["bytes"]))
    kept = (log / f"damaged.1.{offset}").read_bytes()
    assert nbytes > 0
    assert kept == before["00000001.wal"][offset : offset + nbytes]


def test_affected_jobs_are_named(tmp_path: Path, run: Cli, lines: Lines) -> None:
    """Job 1 has a record after the loss; jobs 2 and 3 have none."""
    log = logs.write(
        tmp_path / "log",
        [logs.put(1)],
        [logs.put(2)],
        [logs.put(3)],
        [logs.update(2)],
        [logs.update(1)],
        [logs.put(4)],
        [logs.put(5)],
    )
    frame = logs.frames(log)[3]
    logs.flip(logs.segment(log, 1), frame.offset + 60)
    (affected,) = [line for line in lines("repair", log) if line["event"] == "affected"]
    assert affected["maybe_changed_or_deleted"] == [2, 3]
    assert affected["lost"] == []


def test_job_without_a_full_record_is_named_and_deleted(
    tmp_path: Path, run: Cli, lines: Lines
) -> None:
    log = logs.orphan(tmp_path / "log")
    (affected,) = [line for line in lines("repair", log) if line["event"] == "affected"]
    assert affected["lost"] == [7]
    assert {line["job"] for line in lines("jobs", log)} == {1, 2}


def test_torn_tail_is_cut(tmp_path: Path, run: Cli) -> None:
    log = logs.torn(tmp_path / "log")
    assert run("repair", log).exit_code == 0
    assert run("verify", log).exit_code == 0
    assert [path for path in log.iterdir() if path.name.startswith(("torn.", "damaged."))]


def test_clean_and_empty_logs_are_not_changed(tmp_path: Path, run: Cli) -> None:
    for make in (logs.clean, logs.empty):
        log = make(tmp_path / make.__name__)
        before = contents(log)
        result = run("repair", log)
        assert (result.exit_code, "nothing to do" in result.stdout) == (0, True)
        assert contents(log) == before


@pytest.mark.parametrize("name", ["newer", "newer_records"])
def test_newer_version_is_not_changed(tmp_path: Path, run: Cli, name: str) -> None:
    log = logs.MAKERS[name](tmp_path / "log")
    before = contents(log)
    assert run("repair", log).exit_code == 65
    assert contents(log) == before


def test_log_without_any_header_keeps_its_jobs(tmp_path: Path, run: Cli, lines: Lines) -> None:
    log = logs.clean(tmp_path / "log")
    jobs = {line["job"] for line in lines("jobs", log)}
    for path in log.glob("*.wal"):
        logs.patch(path, 0, b"\xaa" * 1024)
    result = run("repair", log)
    assert result.exit_code == 0
    assert f"ids continue at {max(jobs) + 1 + (1 << 24)}" in result.stdout
    assert run("verify", log).exit_code == 0
    assert server_report(log).refusal == ""
    assert {line["job"] for line in lines("jobs", log)} == jobs


def blank(path: Path, zeroed: bool) -> None:
    path.write_bytes(bytes(path.stat().st_size) if zeroed else b"")


@pytest.mark.parametrize("zeroed", [False, True], ids=["emptied", "zeroed"])
@pytest.mark.parametrize("which", ["only", "first", "last", "all"])
def test_blank_segment_is_corrupt_until_it_is_repaired(
    tmp_path: Path, run: Cli, lines: Lines, which: str, zeroed: bool
) -> None:
    """Whichever it is: verify, ls and a start say so, and repair makes the log usable."""
    puts = [[logs.put(id, body=b"x" * 2000)] for id in range(1, 3 if which == "only" else 15)]
    log = logs.write(tmp_path / "log", *puts, segment_bytes=65536 if which == "only" else 4096)
    segments = sorted(log.glob("*.wal"))
    assert (len(segments) == 1) == (which == "only")
    for path in {"first": segments[:1], "last": segments[-1:]}.get(which, segments):
        blank(path, zeroed)
    refusal = server_report(log).refusal
    assert "corrupt at offset 0: expected a header" in refusal
    verified = run("verify", log)
    assert (verified.exit_code, refusal in verified.stdout) == (2, True)
    listed = run("ls", log)
    assert (listed.exit_code, refusal in listed.stderr) == (65, True)
    assert run("repair", "--dry-run", log).exit_code == 0
    assert run("repair", log).exit_code == 0
    assert run("verify", log).exit_code == 0
    assert server_report(log).refusal == ""
    assert next_id_of(log) > len(puts)


def next_id_of(log: Path) -> int:
    state = State()
    opened = open_binlog(
        str(log), state, segment_bytes=1 << 16, durability=logs.SYNC, now=0, wall_now=logs.AT,
        notify=lambda: None, threaded=False,
    )  # fmt: skip
    opened.log.close(logs.AT)
    return state.next_id


def test_ids_of_both_branches_are_not_assigned_again(
    tmp_path: Path, run: Cli, lines: Lines
) -> None:
    """Two servers, whose lock file was removed on a file system that cannot lock directories."""
    log = logs.write(tmp_path / "log", [logs.put(1)], close=False)
    first = logs.segment(log, 1).read_bytes()
    end = logs.frames(log)[-1].end
    salt = salt_of(int.from_bytes(first[40:48], "little"))
    logs.append(logs.open_log(log), [logs.put(2), logs.put(3)], logs.AT)
    late = b"".join(encode_frame(2, 1, logs.AT, [encode(logs.put(9))], salt))
    logs.segment(log, 1).write_bytes(first[:end] + late)
    assert "corrupt" in server_report(log).refusal
    result = run("repair", log)
    assert "00000001.wal: 1 record of a second writer set aside" in result.stdout
    assert "second-writer.1" in result.stdout
    assert run("verify", log).exit_code == 0
    assert {line["job"] for line in lines("jobs", log)} == {1, 2, 3}
    assert next_id_of(log) == 10
    aside = tmp_path / "aside"
    aside.mkdir()
    shutil.copy(log / "second-writer.1", logs.segment(aside, 1))
    assert {line["job"] for line in lines("jobs", aside)} == {1, 9}


@pytest.mark.parametrize("command", ["repair", "compact"])
def test_changing_commands_refuse_a_locked_log(tmp_path: Path, run: Cli, command: str) -> None:
    log = logs.clean(tmp_path / "log")
    before = contents(log)
    lock = wal.lock(log)
    try:
        result = run(command, log)
        assert (result.exit_code, "stop the server first" in result.stderr) == (10, True)
        if command == "repair":
            assert run(command, "--dry-run", log).exit_code == 0
    finally:
        lock.close()
    assert contents(log) == before


def test_repair_of_a_copy_gives_the_same_files(tmp_path: Path, run: Cli) -> None:
    """Nothing depends on the path of the log."""
    log = logs.flipped(tmp_path / "log")
    other = Path(shutil.copytree(log, tmp_path / "other"))
    run("repair", log)
    run("repair", other)
    names = {name for name in contents(log) if name.startswith("damaged.")}
    assert names == {name for name in contents(other) if name.startswith("damaged.")}


def test_first_segment_gets_a_header_that_the_server_accepts(tmp_path: Path, run: Cli) -> None:
    """The next id is taken from the later segments, which have it too."""
    log = logs.clean(tmp_path / "log")
    logs.patch(logs.segment(log, 1), 0, b"\xaa" * 1024)
    assert run("repair", log).exit_code == 0
    assert run("verify", log).exit_code == 0
    assert server_report(log).refusal == ""


def test_intact_frames_after_a_torn_one_are_kept(tmp_path: Path, run: Cli, lines: Lines) -> None:
    """A power failure lost the middle one of three frames. It had the full record of a job that the
    last frame updates.
    """
    log = logs.write(
        tmp_path / "log",
        [logs.put(1)],
        [logs.put(7)],
        [logs.update(7, BURIED), logs.put(2)],
        close=False,
    )
    first, second, third = logs.frames(log)
    path = logs.segment(log, 1)
    salt = salt_of(int.from_bytes(path.read_bytes()[40:48], "little"))
    for frame in (first, third):  # without a watermark
        logs.patch(
            path,
            frame.offset,
            b"".join(encode_frame(frame.first_lsn, 0, frame.at, frame.records, salt)),
        )
    logs.flip(path, second.offset + FRAME_BYTES + 9)
    assert run("verify", log).exit_code == 1
    (affected,) = [line for line in lines("repair", log) if line["event"] == "affected"]
    assert affected["lost"] == [7]
    assert run("verify", log).exit_code == 0
    assert server_report(log).refusal == ""
    assert {line["job"] for line in lines("jobs", log)} == {1, 2}


def test_segment_without_metadata_is_beyond_repair(tmp_path: Path, run: Cli) -> None:
    log = logs.clean(tmp_path / "log")
    logs.change_header(logs.segment(log, 1), meta=b"")
    before = contents(log)
    result = run("repair", log)
    assert (result.exit_code, "metadata of 0 bytes" in result.stderr) == (65, True)
    assert contents(log) == before
