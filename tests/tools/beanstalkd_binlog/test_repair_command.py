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

from beanstalkd_py.queue.model import BURIED
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


def test_log_without_any_header_is_refused(tmp_path: Path, run: Cli) -> None:
    log = logs.clean(tmp_path / "log")
    for path in log.glob("*.wal"):
        logs.patch(path, 0, b"\xaa" * 1024)
    before = contents(log)
    result = run("repair", log)
    assert (result.exit_code, "no segment has a header" in result.stderr) == (65, True)
    assert contents(log) == before


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
