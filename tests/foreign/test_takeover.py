"""Take-over: every job of the C server is kept, whatever happens, and no file is ever deleted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import beanstalkd_wal as wal
import pytest

from beanstalkd_py.binlog import records
from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.binlog.opening import Unreadable, open_binlog
from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.foreign import cbinlog, exporting, importing, old_files, takeover
from beanstalkd_py.foreign.cbinlog import CJob
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.model import BURIED, DELAYED, READY
from beanstalkd_py.queue.queue import Queue

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "c-binlog"
S = 1_000_000_000
WALL = 1_795_500_000 * S
SEGMENT = 64 * 1024


def take_over(directory: Path, accept: bool = False) -> list[str]:
    lines: list[str] = []
    takeover.take_over(
        str(directory),
        segment_bytes=SEGMENT,
        wall_now=WALL,
        date="TODAY",
        accept_damaged=accept,
        report=lines.append,
    )
    return lines


def opened(directory: Path, report: Callable[[str], None] = print) -> Queue:
    """What a server finds in its own log. Its clocks agree, so that instants compare."""
    queue = Queue()
    log = open_binlog(
        str(directory),
        queue,
        segment_bytes=SEGMENT,
        durability=wal.Durability.NEVER,
        now=WALL,
        wall_now=WALL,
        notify=lambda: None,
        report=messages_only(report),
        threaded=False,
    ).log
    log.close(WALL)
    return queue


def jobs_of(queue: Queue) -> list[CJob]:
    return [exporting.c_job(job, 0, job.body) for job in exporting.in_export_order(queue)]


def some_jobs(count: int = 200) -> list[CJob]:
    jobs = []
    for id in range(1, count + 1):
        state = (READY, DELAYED, BURIED)[id % 3]
        jobs.append(
            CJob(
                id, b"tube-%d" % (id % 4), state, id * 7, 2000 * S, 60 * S, WALL - id * S,
                WALL + 1000 * S + id if state == DELAYED else 0,
                id % 5, id % 3, id % 2, 1 + id % 4, id % 6, b"body %d\0\r\n" % id,
            )
        )  # fmt: skip
    return [job for job in jobs if job.state != BURIED] + [
        job for job in reversed(jobs) if job.state == BURIED
    ]


def written(directory: Path, jobs: list[CJob], next_id: int = 1000) -> list[CJob]:
    """A C server's directory with these jobs, and what reading it gives (of buried jobs the C
    server's writer keeps one bury less).
    """
    cbinlog.write_directory(str(directory), jobs, next_id, segment_bytes=4096)
    return cbinlog.read_directory(str(directory)).jobs


def c_files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("binlog.*")}


def test_every_job_is_taken_over(tmp_path: Path) -> None:
    expected = written(tmp_path, some_jobs())
    before = c_files(tmp_path)
    take_over(tmp_path)
    queue = opened(tmp_path)
    assert jobs_of(queue) == expected
    assert queue.next_id == 1000
    (folder,) = tmp_path.glob("beanstalkd-binlog-*")
    assert c_files(folder) == before
    assert not old_files.present(str(tmp_path))


def test_delay_is_at_most_its_whole_length(tmp_path: Path) -> None:
    """The clock of the C server was ten years ahead."""
    job = CJob(
        1, b"a", DELAYED, 0, 60 * S, 60 * S, WALL, WALL + 10 * 365 * 86400 * S, 0, 0, 0, 0, 0, b"x"
    )
    written(tmp_path, [job])
    take_over(tmp_path)
    assert opened(tmp_path).jobs[1].deadline_at == WALL + 60 * S


def test_torn_tail_of_an_unfinished_take_over_is_reported(tmp_path: Path) -> None:
    replay = wal.Replay(str(tmp_path))
    assert not list(replay)
    log = wal.Log.open(replay, SEGMENT, meta=lambda: encode_meta(1), at=WALL, threaded=False)
    assert log.ensure_headroom(1000)
    log.append(records.encode(records.Import(records.IMPORT_BEGIN, b"{}")))
    log.commit(WALL)
    segment = tmp_path / "00000001.wal"
    data = bytearray(segment.read_bytes())
    data[len(data.rstrip(b"\0")) - 1] ^= 0xFF
    segment.write_bytes(data)
    for path in (SAMPLES / "01_basic_states" / "data").iterdir():
        shutil.copy(path, tmp_path)
    lines = take_over(tmp_path)
    assert any(line.startswith(f"{segment}: torn") for line in lines), lines
    assert list(tmp_path.glob("torn.1.*"))


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir() if path.is_dir()))
def test_sample_is_taken_over(tmp_path: Path, sample: str) -> None:
    """All but what the samples' README says a better server does otherwise."""
    for path in (SAMPLES / sample / "data").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    larger = SAMPLES / sample / "expected_larger_z.json"
    expected = json.loads(
        (larger if larger.exists() else SAMPLES / sample / "expected.json").read_text()
    )
    take_over(tmp_path)
    queue = opened(tmp_path)
    broken = {job["id"] for job in expected["jobs"] if "body_trailer_hex" in job}
    assert set(queue.jobs) == {job["id"] for job in expected["jobs"]} - broken
    assert queue.next_id >= expected["next_id"]
    for job in expected["jobs"]:
        if job["id"] not in broken:
            ours = queue.jobs[job["id"]]
            buries = job["buries"] - (job["state"] == "buried")
            assert (ours.tube.name.decode(), ours.pri, ours.delay // S, ours.ttr // S) == (
                job["tube"],
                job["pri"],
                job["delay"],
                job["ttr"],
            )
            assert (ours.reserves, ours.timeouts, ours.releases, ours.buries, ours.kicks) == (
                job["reserves"], job["timeouts"], job["releases"], buries, job["kicks"],
            )  # fmt: skip
            assert ours.created_at == job["created_at_ns"]


class Killed(BaseException):
    """Not an Exception: nobody on the way may catch it."""


class Killer:
    """Stands before every call that changes the disk, and kills at the nth."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.calls = 0
        self.at = at
        for owner, names in (
            (
                wal.FileSystem,
                ("write", "sync", "truncate", "rename", "replace", "unlink", "create"),
            ),
            (os, ("rename", "makedirs")),
        ):
            for name in names:
                monkeypatch.setattr(owner, name, self._guarded(getattr(owner, name)))

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls >= self.at:  # dead is dead
                raise Killed
            return call(*arguments, **named)

        return guarded


def test_takeover_killed_anywhere_finishes_at_the_next_start(tmp_path: Path) -> None:
    source = tmp_path / "c"
    expected = written(source, some_jobs(60))
    files = c_files(source)
    at = 0
    while True:
        at += 1
        directory = tmp_path / f"killed-{at}"
        directory.mkdir()
        for name, data in files.items():
            (directory / name).write_bytes(data)
        with pytest.MonkeyPatch.context() as patch:
            killer = Killer(patch, at)
            try:
                take_over(directory)
            except (Killed, wal.LogFailed):
                pass
        if old_files.present(str(directory)):
            take_over(directory)
        assert jobs_of(opened(directory)) == expected, f"killed at call {at}"
        (folder,) = directory.glob("beanstalkd-binlog-*")
        assert c_files(folder) == files, f"killed at call {at}"
        if killer.calls < at:
            break
    assert at > 20


def test_damage_stops_the_start_and_changes_nothing(tmp_path: Path) -> None:
    written(tmp_path, some_jobs(20))
    path = tmp_path / "binlog.1"
    data = bytearray(path.read_bytes())
    data[600:640] = b"\xff" * 40
    path.chmod(0o600)
    path.write_bytes(data)
    before = {each.name for each in tmp_path.iterdir()}
    with pytest.raises(old_files.DamagedImport) as refused:
        take_over(tmp_path)
    assert any(line.startswith(f"{path}:") for line in refused.value.lines)
    assert "--accept-damaged-import" in refused.value.lines[-1]
    assert {each.name for each in tmp_path.iterdir()} == before
    take_over(tmp_path, accept=True)
    assert len(opened(tmp_path).jobs) >= 15


def test_takeover_into_a_log_with_jobs_is_refused(tmp_path: Path) -> None:
    written(tmp_path, some_jobs(5))
    take_over(tmp_path)
    again = tmp_path / "again"
    written(again, some_jobs(7))
    for path in again.iterdir():
        path.rename(tmp_path / path.name)
    with pytest.raises(Unreadable, match="5 jobs"):
        take_over(tmp_path)
    assert c_files(tmp_path)


def test_unfinished_import_without_its_files_is_discarded(tmp_path: Path) -> None:
    written(tmp_path, some_jobs(60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "records", _NoEnd(importing.records))
        with pytest.raises(Killed):
            take_over(tmp_path)
    for path in tmp_path.glob("binlog.*"):
        path.unlink()
    said: list[str] = []
    assert not opened(tmp_path, said.append).jobs
    assert said == [f"{tmp_path}: an unfinished import is discarded"]
    assert not opened(tmp_path, said.append).jobs and len(said) == 1


class _NoEnd:
    """beanstalkd_py.records, but killed when the import is to end."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def Import(self, phase: int, text: bytes) -> Any:
        if phase == self._records.IMPORT_END:
            raise Killed
        return self._records.Import(phase, text)


def test_implausible_numbers_and_names_are_served(tmp_path: Path) -> None:
    """What damage may leave in the C server's files, and an operator accept."""
    most = (1 << 63) - 1
    jobs = [
        CJob(1, b"\xff\n", READY, 0, most, most, most, 0, *[(1 << 32) - 1] * 5, b"odd"),
        CJob((1 << 64) - 2, b"t", DELAYED, 0, 0, S, WALL, WALL + S, 0, 0, 0, 0, 0, b"last"),
    ]
    log = wal.Log.open(
        replayed_log(tmp_path),
        segment_bytes=SEGMENT,
        meta=lambda: encode_meta(5),
        at=WALL,
        threaded=False,
    )
    for job in jobs:
        log.append(records.encode(importing.full_record(job, 0)))
    log.close(WALL)
    queue = Queue()
    binlog = open_binlog(
        str(tmp_path),
        queue,
        segment_bytes=SEGMENT,
        durability=wal.Durability.NEVER,
        now=WALL,
        wall_now=WALL,
        notify=lambda: None,
        threaded=False,
    )
    session = Session(Dispatcher(queue, log=binlog.snapshot))
    session.receive(
        b"stats-job 1\r\nreserve-job 1\r\nrelease 1 0 4294967295\r\nkick-job 1\r\n"
        b"put 0 0 1 0\r\n\r\nuse a\r\npeek-ready\r\n",
        WALL,
    )
    said = session.take_output()
    assert b'tube: "\xff\n"' in said and said.endswith(
        b"RELEASED\r\nKICKED\r\nINSERTED 5\r\nUSING a\r\nNOT_FOUND\r\n"
    )
    binlog.compact_all()
    binlog.close(WALL)
    assert {job.id: (job.reserves, job.kicks) for job in opened(tmp_path).jobs.values()} == {
        1: ((1 << 32) - 1, (1 << 32) - 1), 5: (0, 0), (1 << 64) - 2: (0, 0)
    }  # fmt: skip


def replayed_log(directory: Path) -> wal.Replay:
    replay = wal.Replay(directory)
    list(replay)
    return replay


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"[1]", b'{"folder": 1}', b'{"folder": "../up"}', b'{"files": 1}', b"[" * 100_000],
)
def test_invalid_import_record_is_refused(tmp_path: Path, text: bytes) -> None:
    log = wal.Log.open(
        replayed_log(tmp_path),
        segment_bytes=1 << 20,
        meta=lambda: encode_meta(1),
        at=WALL,
        threaded=False,
    )
    for phase in (records.IMPORT_BEGIN, records.IMPORT_END):
        log.append(records.encode(records.Import(phase, text)))
    log.close(WALL)
    cbinlog.write_directory(str(tmp_path), some_jobs(3), 10)
    with pytest.raises(Unreadable, match="the IMPORT record of the log cannot be read"):
        take_over(tmp_path)


def test_moved_file_replaces_no_file(tmp_path: Path) -> None:
    """A file that somebody put into the folder of a take-over that was interrupted."""
    written(tmp_path, some_jobs(3))
    files = c_files(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(takeover, "_move", lambda *arguments: None)
        take_over(tmp_path)
    folder = tmp_path / importing.Present(str(tmp_path)).folder
    folder.mkdir()
    (folder / min(files)).write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError):
        take_over(tmp_path)
    assert (folder / min(files)).read_bytes() == b"of somebody else"
    assert c_files(tmp_path) == files
