"""`import`, `export` and `compact`: no job is lost or changed."""

from __future__ import annotations

import errno
import os
import random
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from testkit.daemon import Daemon
from testkit.queue_server import QueueServer

from beanstalkd_py.foreign import cbinlog
from beanstalkd_py.foreign.cbinlog import BURIED, CJob
from tests.foreign.cbinlog.c_server import need_c_server, running
from tests.foreign.cbinlog.test_c_live import Workload, assert_server_has, random_jobs
from tests.tools.beanstalkd_binlog import logs
from tests.tools.beanstalkd_binlog.conftest import Cli

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "c-binlog"
Lines = Callable[..., list[dict[str, object]]]


def c_directory(path: Path, seed: int, count: int = 200) -> list[CJob]:
    jobs = random_jobs(random.Random(seed), count)
    cbinlog.write_directory(str(path), jobs, 10 * count, segment_bytes=65536)
    return cbinlog.read_directory(str(path)).jobs


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_import_then_export_keeps_every_job(tmp_path: Path, run: Cli) -> None:
    expected = c_directory(tmp_path / "c", seed=1)
    before = files(tmp_path / "c")
    assert run("import", tmp_path / "c", tmp_path / "ours").exit_code == 0
    assert files(tmp_path / "c") == before
    assert run("verify", tmp_path / "ours").exit_code == 0
    assert run("export", tmp_path / "ours", tmp_path / "back").exit_code == 0
    back = cbinlog.read_directory(str(tmp_path / "back"))
    assert [_as_logged(job) for job in expected] == back.jobs
    assert back.next_id == 2000


def test_export_goes_on_after_the_reserved_ids(tmp_path: Path, run: Cli, lines: Lines) -> None:
    """Of a server with -f that was killed, and of one that was stopped."""
    ours = tmp_path / "ours"
    ours.mkdir()
    server = QueueServer(ours, durability=wal.Durability.WINDOW)
    server.say(server.session(), b"put 0 0 60 1", b"x")
    assert run("export", ours, tmp_path / "killed").exit_code == 0
    assert cbinlog.read_directory(str(tmp_path / "killed")).next_id == server.binlog.ids.bound
    server.binlog.close(server.now + server.wall)
    assert [(line["event"], line.get("id_bound")) for line in lines("dump", ours)] == [
        ("put", None),
        ("ids", 2),
    ]
    assert run("export", ours, tmp_path / "stopped").exit_code == 0
    assert cbinlog.read_directory(str(tmp_path / "stopped")).next_id == 2


def _as_logged(job: CJob) -> CJob:
    """The writer subtracts one from a buried job's buries, because the C server adds one."""
    return replace(job, buries=max(job.buries - 1, 0)) if job.state == BURIED else job


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir() if path.is_dir()))
def test_sample_is_imported(tmp_path: Path, sample: str, run: Cli, lines: Lines) -> None:
    data = SAMPLES / sample / "data"
    assert run("import", data, tmp_path / "ours").exit_code == 0
    assert [line["job"] for line in lines("jobs", tmp_path / "ours")] == sorted(
        job.id for job in cbinlog.read_directory(str(data)).jobs
    )


def test_import_of_damaged_files_lists_the_damage(tmp_path: Path, run: Cli, lines: Lines) -> None:
    c_directory(tmp_path / "c", seed=2, count=20)
    path = tmp_path / "c" / "binlog.1"
    data = bytearray(path.read_bytes())
    data[300:340] = b"\xff" * 40
    path.chmod(0o600)
    path.write_bytes(data)
    refused = run("import", tmp_path / "c", tmp_path / "ours")
    assert refused.exit_code == 65
    assert f"{path}:" in refused.stderr
    assert "--accept-damaged-import" in refused.stderr
    accepted = run("import", "--accept-damaged-import", tmp_path / "c", tmp_path / "ours")
    assert accepted.exit_code == 0
    assert f"{path}:" in accepted.stdout
    assert len(lines("jobs", tmp_path / "ours")) > 10


def test_import_into_a_log_with_jobs_is_refused(tmp_path: Path, run: Cli) -> None:
    c_directory(tmp_path / "c", seed=3, count=5)
    log = logs.clean(tmp_path / "log")
    before = {name: data for name, data in files(log).items() if name != "lock"}
    assert run("import", tmp_path / "c", log).exit_code == 65
    assert {name: data for name, data in files(log).items() if name != "lock"} == before


def test_import_from_a_directory_without_a_binlog(tmp_path: Path, run: Cli) -> None:
    (tmp_path / "c").mkdir()
    result = run("import", tmp_path / "c", tmp_path / "ours")
    assert (result.exit_code, "no binlog.N files found" in result.stderr) == (66, True)
    assert not (tmp_path / "ours").exists()


def test_export_into_a_directory_with_a_binlog_is_refused(tmp_path: Path, run: Cli) -> None:
    c_directory(tmp_path / "c", seed=4, count=5)
    before = files(tmp_path / "c")
    assert run("export", logs.clean(tmp_path / "log"), tmp_path / "c").exit_code == 65
    assert files(tmp_path / "c") == before


@pytest.mark.parametrize("name", ["flipped", "missing", "newer"])
def test_export_of_a_damaged_log_is_refused(tmp_path: Path, run: Cli, name: str) -> None:
    assert run("export", logs.MAKERS[name](tmp_path / "log"), tmp_path / "c").exit_code == 65
    assert not list((tmp_path / "c").glob("binlog.*")) if (tmp_path / "c").exists() else True


def test_compact_shrinks_the_log_and_keeps_every_job(
    tmp_path: Path, run: Cli, lines: Lines
) -> None:
    batches: list[logs.Batch] = [[logs.put(id, body=b"x" * 200)] for id in range(1, 400)]
    batches += [[logs.update(1, reserves=count)] for count in range(1500)]
    batches += [[logs.Delete(id)] for id in range(100, 400)]
    log = logs.write(tmp_path / "log", *batches, segment_bytes=65536)
    before = lines("jobs", log, "--full")
    (said,) = lines("compact", log)
    assert int(str(said["after_bytes"])) < int(str(said["before_bytes"])) / 3
    assert int(str(said["after_bytes"])) < 1.5 * int(str(said["live_bytes"]))
    after = lines("jobs", log, "--full")
    places = {"segment", "offset", "lsn"}
    assert [_without(job, places) for job in after] == [_without(job, places) for job in before]
    assert run("verify", log).exit_code == 0


def _without(job: dict[str, object], names: set[str]) -> dict[str, object]:
    """Without these fields, and without those that depend on the present time."""
    return {
        name: value
        for name, value in job.items()
        if name not in names and not name.startswith(("age", "time_left"))
    }


def test_compact_refuses_a_damaged_log(tmp_path: Path, run: Cli) -> None:
    log = logs.flipped(tmp_path / "log")
    before = {name: data for name, data in files(log).items() if name != "lock"}
    assert run("compact", log).exit_code == 65
    assert {name: data for name, data in files(log).items() if name != "lock"} == before


def test_round_trip_of_4000_jobs_through_both_servers(tmp_path: Path, run: Cli) -> None:
    """The C server works on the jobs and is killed; our server takes them over; they are exported;
    the C server then has every job again.
    """
    need_c_server()
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    random_ = random.Random(seed)
    directory = tmp_path / "jobs"
    jobs = [
        replace(job, reserves=9, timeouts=9, releases=9, buries=9, kicks=9)
        for job in random_jobs(random_, 4000)
    ]
    cbinlog.write_directory(str(directory), jobs, 40_000, segment_bytes=1 << 20)
    with running(directory, "-z", "65535", "-s", "1048576") as server:
        work = Workload(server, random_, 3000)
        work.alive = {job.id: job.state_name for job in jobs}
        work.run(300)
        server.kill()
    expected = cbinlog.read_directory(str(directory)).jobs
    assert len(expected) > 3000
    with Daemon(["-s", "1048576"], directory=directory) as daemon:
        assert "taken over" in daemon.start().said()
        assert daemon.stop() == 0
    assert run("verify", directory).exit_code == 0
    assert run("export", directory, tmp_path / "back").exit_code == 0
    with running(tmp_path / "back", "-z", "65535") as server:
        assert server.said() == ""
        assert_server_has(server, expected, added_to_buries=0)


def test_export_beside_a_running_server_takes_no_lock(
    tmp_path: Path, run: Cli, daemon: Daemon
) -> None:
    daemon.start()
    with daemon.connect() as connection:
        connection.sendall(b"put 3 0 60 5\r\nhello\r\n")
        assert connection.recv(100) == b"INSERTED 1\r\n"
        assert run("export", tmp_path / "log", tmp_path / "back").exit_code == 0
    (job,) = cbinlog.read_directory(str(tmp_path / "back")).jobs
    assert (job.pri, job.body) == (3, b"hello")
    with pytest.raises(wal.Locked):
        wal.lock(tmp_path / "log")


def test_directory_that_cannot_be_synced_is_a_line(
    tmp_path: Path, run: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def no_directories(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", no_directories)
    c_directory(tmp_path / "c", seed=2, count=3)
    line = "the file system cannot sync directories"
    imported = run("import", tmp_path / "c", tmp_path / "ours")
    assert (imported.exit_code, imported.output.count(line)) == (0, 1)
    exported = run("export", tmp_path / "ours", tmp_path / "back")
    assert (exported.exit_code, exported.output.count(line)) == (0, 1)
    compacted = run("compact", tmp_path / "ours")
    assert (compacted.exit_code, compacted.output.count(line)) == (0, 1)
