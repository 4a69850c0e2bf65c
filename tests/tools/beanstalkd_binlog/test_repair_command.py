"""`repair` on every golden directory: in verify's words, nothing thrown away, clean afterwards; and
the server starts again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.format import FRAME_BYTES, encode_frame, salt_of

from beanstalkd_py.binlog.opening import Unreadable, open_binlog
from beanstalkd_py.queue.engine import Engine
from beanstalkd_py.queue.model import BURIED
from tests.tools.beanstalkd_binlog import logs
from tests.tools.beanstalkd_binlog.conftest import Cli

DAMAGED = ["flipped", "missing", "orphan", "unreadable"]
Lines = Callable[..., list[dict[str, object]]]


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def server_says(directory: Path) -> str:
    """Why it would not start; "" if it would."""
    engine = Engine()
    try:
        opened = open_binlog(
            str(directory), engine, segment_bytes=65536, durability=wal.Durability.NEVER, now=logs.AT, wall_now=logs.AT,
            notify=lambda: None, threaded=False,
        )  # fmt: skip
    except (wal.Corrupt, wal.NewerVersion, Unreadable) as error:
        return str(error)
    opened.log.close(logs.AT)
    return ""


@pytest.fixture(params=DAMAGED)
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return logs.MAKERS[request.param](tmp_path / "log")


def test_verify_server_and_repair_tell_the_same_story(damaged: Path, run: Cli) -> None:
    said = server_says(damaged)
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
    assert server_says(damaged) == ""
    assert "nothing to do" in run("repair", damaged).stdout


def test_every_whole_job_behind_the_damage_is_salvaged(
    tmp_path: Path, run: Cli, lines: Lines
) -> None:
    log = logs.flipped(
        tmp_path / "log"
    )  # the first frame: the put of job 1, which compaction wrote again at the end
    run("repair", log)
    ids = {line["job"] for line in lines("jobs", log)}
    assert {2, 3, 5, 6} <= ids


def test_bytes_taken_out_are_kept(tmp_path: Path, run: Cli, lines: Lines) -> None:
    log = logs.flipped(tmp_path / "log")
    before = contents(log)
    (loss,) = [line for line in lines("repair", log) if line["event"] == "loss"]
    offset, nbytes = int(str(loss["offset"])), int(str(loss["bytes"]))
    kept = (log / f"damaged.1.{offset}").read_bytes()
    assert nbytes > 0
    assert kept == before["00000001.wal"][offset : offset + nbytes]


def test_affected_jobs_are_named(tmp_path: Path, run: Cli, lines: Lines) -> None:
    """Job 1 is heard of again behind the loss, jobs 2 and 3 are not."""
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


def test_job_whose_beginning_is_lost_is_named_and_gone(
    tmp_path: Path, run: Cli, lines: Lines
) -> None:
    log = logs.orphan(tmp_path / "log")
    (affected,) = [line for line in lines("repair", log) if line["event"] == "affected"]
    assert affected["lost"] == [7]
    assert {line["job"] for line in lines("jobs", log)} == {1, 2}


def test_torn_tail_is_cut_as_the_server_cuts_it(tmp_path: Path, run: Cli) -> None:
    log = logs.torn(tmp_path / "log")
    assert run("repair", log).exit_code == 0
    assert run("verify", log).exit_code == 0
    assert [path for path in log.iterdir() if path.name.startswith(("torn.", "damaged."))]


def test_clean_and_empty_directories_are_left_alone(tmp_path: Path, run: Cli) -> None:
    for make in (logs.clean, logs.empty):
        log = make(tmp_path / make.__name__)
        before = contents(log)
        result = run("repair", log)
        assert (result.exit_code, "nothing to do" in result.stdout) == (0, True)
        assert contents(log) == before


@pytest.mark.parametrize("name", ["newer", "newer_records"])
def test_newer_version_is_left_alone(tmp_path: Path, run: Cli, name: str) -> None:
    log = logs.MAKERS[name](tmp_path / "log")
    before = contents(log)
    assert run("repair", log).exit_code == 65
    assert contents(log) == before


def test_without_any_header_nothing_is_guessed(tmp_path: Path, run: Cli) -> None:
    log = logs.clean(tmp_path / "log")
    for path in log.glob("*.wal"):
        logs.patch(path, 0, b"\xaa" * 1024)
    before = contents(log)
    result = run("repair", log)
    assert (result.exit_code, "no segment has a header" in result.stderr) == (65, True)
    assert contents(log) == before


@pytest.mark.parametrize("command", ["repair", "compact"])
def test_changing_commands_refuse_while_a_server_has_the_lock(
    tmp_path: Path, run: Cli, command: str
) -> None:
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


def test_a_copy_of_the_log_repairs_alike(tmp_path: Path, run: Cli) -> None:
    """Nothing depends on where it lies."""
    log = logs.flipped(tmp_path / "log")
    other = Path(shutil.copytree(log, tmp_path / "other"))
    run("repair", log)
    run("repair", other)
    names = {name for name in contents(log) if name.startswith("damaged.")}
    assert names == {name for name in contents(other) if name.startswith("damaged.")}


def test_a_first_segment_without_a_header_gets_one_that_the_server_takes(
    tmp_path: Path, run: Cli
) -> None:
    """The next id is not in it any more: it was said again in the segments behind it."""
    log = logs.clean(tmp_path / "log")
    logs.patch(logs.segment(log, 1), 0, b"\xaa" * 1024)
    assert run("repair", log).exit_code == 0
    assert run("verify", log).exit_code == 0
    assert server_says(log) == ""


def test_what_is_whole_behind_a_torn_place_is_kept_and_makes_sense(
    tmp_path: Path, run: Cli, lines: Lines
) -> None:
    """The power went: of three frames the middle one was lost, and with it the beginning of a job
    that the last one speaks of.
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
    for frame in (first, third):  # none of them knew anything to be durable
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
    assert server_says(log) == ""
    assert {line["job"] for line in lines("jobs", log)} == {1, 2}


def test_metadata_that_says_nothing_is_beyond_repair(tmp_path: Path, run: Cli) -> None:
    log = logs.clean(tmp_path / "log")
    logs.change_header(logs.segment(log, 1), meta=b"")
    before = contents(log)
    result = run("repair", log)
    assert (result.exit_code, "metadata of 0 bytes" in result.stderr) == (65, True)
    assert contents(log) == before
