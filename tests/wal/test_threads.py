"""The log with its threads, on a real disk; and a writer that is killed."""

import os
import signal
import subprocess
import sys
import threading

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.log import FRAME_MAX
from simulation.disk import MemoryDisk
from testkit.waiting import HANG_S, wait_until

from tests.wal.logs import DIRECTORY, records, replayed

SEGMENT = 1 << 16
PATIENCE = HANG_S


class Owner:
    """A log whose owner waits for its notifications."""

    def __init__(self, directory, durability=wal.Durability.SYNC, fs=None, segment_bytes=SEGMENT):
        replay = wal.Replay(directory, fs=fs)
        for _ in replay:
            pass
        self.called = threading.Event()
        self.log = wal.Log.open(replay, segment_bytes, durability, notify=self.called.set, at=1)

    def until(self, condition) -> None:
        """Collects until the condition holds."""
        self.log.collect()
        while not condition():
            assert self.called.wait(PATIENCE)
            self.called.clear()
            self.log.collect()


def test_promised_records_are_there_under_load(tmp_path):
    owner = Owner(tmp_path)
    log = owner.log
    log.preallocate(4 * SEGMENT)
    given = []
    for n in range(2000):
        record = b"%06d" % n * (n % 50)
        if not log.fits(len(record)):
            assert log.ensure_headroom(len(record))
        log.append(record)
        given.append(record)
        if n % 7 == 0:
            log.commit(at=n)
        if n % 100 == 0:
            log.collect()
            log.preallocate(4 * SEGMENT)
    log.commit(at=1)
    owner.until(lambda: log.promised_lsn == log.lsn)
    assert records(FileSystem(), tmp_path) == given
    log.close(at=9)
    assert records(FileSystem(), tmp_path) == given
    assert replayed(FileSystem(), tmp_path).watermark == 2000


def test_headroom_and_bytes_are_exact_when_idle(tmp_path):
    owner = Owner(tmp_path)
    log = owner.log
    for n in range(30):
        log.preallocate(3 * SEGMENT)
        owner.until(lambda: log.headroom >= 3 * SEGMENT)
        for _ in range(20):
            log.append(bytes(2000))
        log.commit(at=n)
        log.retire(log.segment - 2)
    log.drain(at=1)
    assert log.oldest >= log.segment - 2 > 5
    assert log.total_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert log.segment_sizes == {
        int(path.stem): path.stat().st_size
        for path in sorted(tmp_path.glob("*.wal"))
        if int(path.stem) != log.segment
    }
    log.close(at=9)


def test_waiting_batches_share_a_sync(tmp_path):
    """Group commit: while one sync is under way, all that comes waits for the next."""
    fs = SlowDisk()
    owner = Owner(DIRECTORY, fs=fs)
    log = owner.log
    before = fs.syncs
    fs.gate.clear()
    for n in range(50):
        log.append(b"%d" % n)
        log.commit(at=n)
    assert log.promised_lsn == 0
    fs.gate.set()
    owner.until(lambda: log.promised_lsn == 50)
    assert fs.syncs - before <= 2
    log.close(at=9)


class SlowDisk(MemoryDisk):
    """Whose syncs wait for a gate. begun: syncs so far, those that wait included."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        self.begun = 0

    def sync(self, handle):
        self._wait()
        super().sync(handle)

    def sync_directory(self, handle):
        self._wait()
        return super().sync_directory(handle)

    def _wait(self):
        self.begun += 1
        self.waiting.set()
        assert self.gate.wait(PATIENCE)


def test_commit_does_not_wait_for_the_disk():
    fs = SlowDisk()
    log = Owner(DIRECTORY, fs=fs).log
    fs.gate.clear()
    log.append(b"a")
    log.commit(at=1)
    log.sync(at=1)
    log.preallocate(3 * SEGMENT)
    log.retire(99)
    log.collect()
    assert log.promised_lsn == 0
    fs.gate.set()
    log.close(at=9)
    assert log.promised_lsn == 1


def test_inline_commit_is_for_short_frames_only(tmp_path):
    owner = Owner(tmp_path, segment_bytes=3 * FRAME_MAX)
    log = owner.log
    for nbytes, here in ((1, True), (FRAME_MAX, True), (FRAME_MAX + 1, False)):
        log.append(bytes(nbytes))
        assert log.commit(at=1, inline=True) is here, nbytes
        if here:
            log.collect()
            assert log.durable_lsn == log.lsn
        else:
            owner.until(lambda: log.durable_lsn == log.lsn)
    log.close(at=1)
    assert [len(record) for record in records(FileSystem(), tmp_path)] == [
        1,
        FRAME_MAX,
        FRAME_MAX + 1,
    ]


def test_spare_can_be_taken_while_it_is_lengthened():
    fs = SlowDisk()
    owner = Owner(DIRECTORY, fs=fs)
    log = owner.log
    log.preallocate(log.headroom + 2 * SEGMENT // 16)
    owner.until(lambda: log.spare_bytes >= 2 * SEGMENT // 16)
    log.append(bytes(log.left - 52))
    log.commit(at=1)
    owner.until(lambda: log.promised_lsn == 1)
    fs.waiting.clear()
    fs.gate.clear()
    log.preallocate(SEGMENT)
    assert fs.waiting.wait(PATIENCE)  # the preparer is about to sync the next step of it
    log.append(b"x" * 3000)
    log.commit(at=2)
    assert log.segment == 2
    fs.gate.set()
    owner.until(lambda: log.promised_lsn == 2 and log.headroom >= SEGMENT)
    log.append(b"y" * (log.left - 52))
    log.commit(at=3)
    owner.until(lambda: log.promised_lsn == 3)
    log.drain(at=4)
    assert log.total_bytes == fs.used()
    log.close(at=9)
    assert [len(record) for record in records(fs)][1:2] == [3000]


def test_drain_waits_for_retirements(tmp_path):
    for durability in wal.Durability:
        directory = tmp_path / durability.name
        directory.mkdir()
        log = Owner(directory, durability).log
        for n in range(40):
            assert log.ensure_headroom(10_000)
            log.append(bytes(10_000))
            log.commit(at=n)
        log.retire(3)
        log.drain(at=1)
        assert log.oldest == 3
        assert not (directory / "00000002.wal").exists()
        log.close(at=2)


def test_failure_in_a_thread_is_reported():
    threads = threading.active_count()
    fs = MemoryDisk()
    owner = Owner(DIRECTORY, fs=fs)
    log = owner.log

    def before(call, path):
        raise OSError(5, "broken", path)

    fs.before = before
    log.append(b"a")
    log.commit(at=1)
    with pytest.raises(wal.LogFailed):
        owner.until(lambda: False)
    with pytest.raises(wal.LogFailed):
        log.append(b"b")
    with pytest.raises(wal.LogFailed):
        log.drain(at=1)
    with pytest.raises(wal.LogFailed):
        log.close(at=2)
    assert threading.active_count() == threads


def test_notify_that_raises_does_not_hang_the_log():
    threads = threading.active_count()
    replay = replayed(MemoryDisk())

    def notify():
        raise RuntimeError("the loop is gone")

    log = wal.Log.open(replay, SEGMENT, notify=notify)
    log.append(b"a")
    log.commit(at=1)
    with pytest.raises(wal.LogFailed):
        log.close(at=2)
    assert threading.active_count() == threads
    assert records(replay.fs) == [b"a"]


def test_close_ends_the_threads(tmp_path):
    before = threading.active_count()
    log = Owner(tmp_path).log
    assert threading.active_count() == before + 2
    log.preallocate(5 * SEGMENT)
    log.close(at=1)
    assert threading.active_count() == before


def closed_while_the_preparer_syncs(fs, log):
    """Closes the log while a sync of the preparer is under way. Returns how many syncs follow."""
    assert fs.waiting.wait(PATIENCE)
    before = fs.begun
    closing = threading.Thread(target=log.close, args=(9,))
    closing.start()
    wait_until(lambda: fs.begun > before, "the committer waits for its sync")
    fs.gate.set()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    return fs.begun - before


def test_close_abandons_preallocation():
    """Only the sync that seals the segment follows; each step of preallocation would sync once."""
    fs = SlowDisk()
    log = Owner(DIRECTORY, fs=fs).log
    fs.waiting.clear()
    fs.gate.clear()
    log.preallocate(10 * SEGMENT)
    assert closed_while_the_preparer_syncs(fs, log) == 1
    log = Owner(DIRECTORY, fs=fs).log  # goes on after it
    log.preallocate(2 * SEGMENT)
    log.drain(at=1)
    assert log.headroom >= 2 * SEGMENT
    log.close(at=9)


def test_close_abandons_deletions():
    """The deletion of each segment is synced before the next one."""
    fs = SlowDisk()
    owner = Owner(DIRECTORY, fs=fs)
    log = owner.log
    for n in range(60):
        assert log.ensure_headroom(10_000)
        log.append(b"%d " % n * 2500)
        log.commit(at=n)
    owner.until(lambda: log.durable_lsn == log.lsn)
    log.write_watermark(at=60)
    log.drain(at=61)
    fs.waiting.clear()
    fs.gate.clear()
    log.retire(log.segment)
    assert closed_while_the_preparer_syncs(fs, log) == 1
    assert records(fs)[-1].startswith(b"59 ")
    log = Owner(DIRECTORY, fs=fs).log
    log.retire(log.segment)
    log.drain(at=1)
    assert log.oldest == log.segment
    log.close(at=9)


def test_close_syncs_once_if_all_records_are_durable():
    """The same sync makes the watermark durable and seals the segment."""
    fs = SlowDisk()
    owner = Owner(DIRECTORY, fs=fs)
    log = owner.log
    log.append(b"a")
    log.commit(at=1)
    owner.until(lambda: log.durable_lsn == 1)
    log.drain(at=2)
    before = fs.begun
    log.close(at=9)
    assert fs.begun - before == 1
    assert replayed(fs).watermark == 1


def test_process_can_end_without_closing_its_log(tmp_path):
    script = (
        "import sys, beanstalkd_wal as wal; replay = wal.Replay(sys.argv[1]); list(replay); "
        "log = wal.Log.open(replay); log.append(b'a'); log.commit(1)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True, timeout=PATIENCE)


KILLED = """
import sys, threading
import beanstalkd_wal as wal
replay = wal.Replay(sys.argv[1])
for _ in replay: pass
called = threading.Event()
log = wal.Log.open(replay, 1 << 16, wal.Durability[sys.argv[2]], notify=called.set)
while True:
    record = b"%d " % (log.lsn + 1) * 30
    log.collect()
    if log.headroom < 1 << 16:
        log.preallocate(1 << 17)
    if not log.fits(len(record)):
        log.ensure_headroom(len(record))
    log.append(record)
    log.commit(1)
    if log.lsn % 64 == 0:
        log.retire(log.segment - 5)
        if log.promised_lsn > 0:
            print(log.promised_lsn, flush=True)
        called.wait(1)
        called.clear()
"""


@pytest.mark.parametrize("durability", ["SYNC", "WINDOW", "NEVER"])
def test_promised_records_survive_a_kill(tmp_path, durability):
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, tmp_path, durability], stdout=subprocess.PIPE, text=True
        )
        promised = 0
        for _ in range(20):
            promised = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest, _ = process.communicate()
        promised = max([promised, *(int(line) for line in rest.split("\n")[:-1])])
        replay = wal.Replay(tmp_path)
        found = {
            lsn: record
            for frame in replay
            for lsn, record in enumerate(frame.records, frame.first_lsn)
        }
        assert replay.next_lsn > promised
        assert list(found) == list(range(min(found), replay.next_lsn))
        assert all(record == b"%d " % lsn * 30 for lsn, record in found.items())
