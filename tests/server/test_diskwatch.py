"""Slow calls to the disk: what is reported, when, and how often. The clock is the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.fs import FileSystem
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.server.diskwatch import LIMIT_NS, DiskWatch, WatchedFileSystem, open_file

SECOND = 1_000_000_000
SEGMENT = 8192


class Clock:
    def __init__(self) -> None:
        self.now = 50 * SECOND

    def __call__(self) -> int:
        return self.now


class Watched:
    """A watch, its clock and its lines."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.locked: list[bool] = []  # at each line: whether a call of the disk would have to wait
        self.watch = DiskWatch(
            messages_only(self._report), self.clock, lambda handle: f"file {handle}"
        )

    def _report(self, line: str) -> None:
        self.lines.append(line)
        self.locked.append(self.watch._lock.locked())

    def call(self, seconds: float, what: str = "sync") -> None:
        """A call that takes so long. The watch checks whenever it asked for that."""
        self.watch.begin(what, 7)
        self.pass_time(seconds)
        self.end()

    def end(self) -> None:
        """The call ends. A slow one wakes the watch's thread, which checks."""
        self.watch.end()
        self.watch.check()

    def pass_time(self, seconds: float) -> None:
        until = self.clock.now + int(seconds * SECOND)
        while (due := self.clock.now + self.watch.check()) <= until:
            self.clock.now = due
        self.clock.now = until


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_fast_calls_are_not_reported(watched: Watched) -> None:
    for _ in range(1000):
        watched.call(0.999)
    watched.pass_time(100)
    assert watched.lines == []


@pytest.mark.parametrize("started", [False, True])
def test_line_before_the_end_of_the_process_is_not_lost(watched: Watched, started: bool) -> None:
    if started:
        watched.watch.start()
    watched.watch.begin("sync", 7)
    watched.clock.now += 2 * SECOND
    watched.watch.end()
    watched.watch.close()
    assert watched.lines == ["file 7: the sync took 2.0 s"]
    assert not [thread for thread in threading.enumerate() if thread.name == "disk-watch"]


def test_slow_call_is_reported_after_a_second_and_at_its_end(watched: Watched) -> None:
    watched.watch.begin("sync", 7)
    watched.pass_time(0.999)
    assert watched.lines == []
    watched.pass_time(0.001)
    hangs = "file 7: a sync has not returned for 1.0 s, and clients may wait for it; check the disk"
    assert watched.lines == [hangs]
    watched.pass_time(600)
    assert watched.lines == [hangs]
    watched.pass_time(0.5)
    watched.end()
    assert watched.lines == [hangs, "file 7: the sync took 601.5 s"]
    watched.pass_time(600)
    assert len(watched.lines) == 2


def test_check_is_due_when_a_call_has_taken_a_second(watched: Watched) -> None:
    assert watched.watch.check() == LIMIT_NS
    watched.watch.begin("write", 3)
    watched.clock.now += LIMIT_NS // 4
    assert watched.watch.check() == LIMIT_NS * 3 // 4
    watched.watch.end()
    assert watched.watch.check() == LIMIT_NS


def test_slow_disk_does_not_fill_the_log_of_the_operator(watched: Watched) -> None:
    for _ in range(300):  # ten minutes
        watched.call(2)
    watched.pass_time(100)
    assert len(watched.lines) <= 3 * 11
    assert "took over 1.0 s within a minute, the longest 2.0 s" in watched.lines[-1]


def test_slow_calls_within_a_minute_are_counted_in_one_line(watched: Watched) -> None:
    watched.call(1.5)
    watched.call(3)
    watched.call(8)
    assert len(watched.lines) == 2
    watched.pass_time(60)
    assert watched.lines[2:] == [
        "2 more calls to the disk took over 1.0 s within a minute, the longest 8.0 s"
    ]


def test_end_of_the_process_reports_the_counted_calls(watched: Watched) -> None:
    watched.call(1.5)
    watched.call(3)
    watched.watch.close()
    assert watched.lines[2:] == [
        "1 more call to the disk took over 1.0 s within a minute, the longest 3.0 s"
    ]


def test_call_that_ended_before_the_check_is_reported_once(watched: Watched) -> None:
    watched.watch.begin("write", 7)
    watched.clock.now += SECOND
    watched.watch.end()
    watched.watch.check()
    assert watched.lines == ["file 7: the write took 1.0 s"]


def test_calls_of_two_threads_are_apart(watched: Watched) -> None:
    watched.watch.begin("sync", 7)
    other = threading.Thread(target=lambda: watched.call(0, "write"))
    other.start()
    other.join()
    watched.clock.now += 2 * SECOND
    watched.watch.check()
    watched.end()
    assert [line.split(": ")[1][:10] for line in watched.lines] == ["a sync has", "the sync t"]


def test_operator_who_reads_no_lines_delays_no_call(watched: Watched) -> None:
    watched.watch.begin("sync", 7)
    watched.clock.now += 2 * SECOND
    watched.watch.check()
    watched.watch.end()
    assert len(watched.lines) == 1, "the thread of the call reports nothing"
    watched.watch.check()
    assert watched.lines[1] == "file 7: the sync took 2.0 s"
    watched.call(2)
    watched.pass_time(100)
    assert watched.locked == [False] * 3, "lines are reported without the lock"


def test_slow_call_wakes_the_thread_of_the_watch(watched: Watched) -> None:
    watched.watch.begin("sync", 7)
    watched.watch.end()
    assert not watched.watch._wake.is_set()
    watched.watch.begin("sync", 7)
    watched.clock.now += 2 * SECOND
    watched.watch.end()
    assert watched.watch._wake.is_set()


def test_fields_have_the_file_and_the_seconds() -> None:
    events: list[tuple[str, dict[str, object]]] = []

    def report(message: str, event: str = "", **fields: object) -> None:
        events.append((event, fields))

    clock = Clock()
    watch = DiskWatch(report, clock, lambda handle: f"file {handle}")
    for seconds in (2.5, 3.0):
        watch.begin("sync", 7)
        clock.now += SECOND
        watch.check()
        clock.now += int((seconds - 1) * SECOND)
        watch.end()
        watch.check()
    clock.now += 61 * SECOND
    watch.check()
    call = {"file": "file 7", "call": "sync"}
    assert events == [
        ("slow_call", {**call, "seconds": 1.0}),
        ("slow_call_ended", {**call, "seconds": 2.5}),
        ("slow_calls", {"count": 1, "longest": 3.0}),
    ]


class WatchedDisk(WatchedFileSystem, MemoryDisk):
    """A disk in memory, on which one kind of call takes two seconds."""

    def __init__(self, slow: str) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.watch = DiskWatch(
            messages_only(self.lines.append), self.clock, lambda handle: self.handles[handle][0]
        )
        WatchedFileSystem.__init__(self, self.watch)
        MemoryDisk.__init__(self)
        self.before = self._take_long
        self._slow = slow

    def _take_long(self, call: str, path: str) -> None:
        if call == self._slow:
            self.clock.now += 2 * SECOND


@pytest.mark.parametrize(
    ("slow", "first"),
    [
        ("sync", "/log/spare.1: the sync took 2.0 s"),
        ("sync_directory", "/log: the sync took 2.0 s"),
        ("write", "/log/spare.1: the write took 2.0 s"),
        ("truncate", "/log/00000001.wal: the truncation took 2.0 s"),
    ],
)
def test_calls_of_the_log_are_watched(slow: str, first: str) -> None:
    disk = WatchedDisk(slow)
    replay = wal.Replay("/log", fs=disk)
    assert list(replay) == []
    log = wal.Log.open(replay, SEGMENT, threaded=False)
    log.append(b"x")
    log.commit(1)
    log.close(2)
    disk.watch.check()
    assert disk.lines[0] == first


def failing(act: Callable[[FileSystem], None]) -> None:
    fs = WatchedFileSystem(DiskWatch(messages_only(pytest.fail)))
    with pytest.raises(OSError):
        act(fs)
    assert not fs._watch._calls


def test_call_that_fails_is_not_under_way_any_more() -> None:
    failing(lambda fs: fs.sync(9999))
    failing(lambda fs: fs.sync_directory(9999))
    failing(lambda fs: fs.write(9999, b"x", 0))
    failing(lambda fs: fs.truncate(9999, 0))


def test_open_file_has_its_name(tmp_path) -> None:
    with open(tmp_path / "file", "w") as file:
        assert open_file(file.fileno()) == f"{tmp_path}/file"
    assert open_file(-1) == "a file of the log"
