"""The binlog against the queue's own memory: whatever is done to jobs, replay gives the same, and
the disk stays in proportion (law 9).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog import records
from beanstalkd_py.binlog.compactor import GROWTH_SHARE, SPREAD, STEP_BYTES, Compactor
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import Unreadable, open_binlog
from beanstalkd_py.binlog.usage import FULL_OVERHEAD
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.model import DELAYED, READY, RESERVED
from beanstalkd_py.queue.queue import Queue

S = 1_000_000_000
WALL = 1_700_000_000 * S  # wall clock minus monotonic clock
SEGMENT = 64 * 1024


class Daemon:
    """A queue with its binlog and some sessions on a fake clock, without threads or sockets."""

    def __init__(
        self,
        directory: Path,
        now: int = 1000 * S,
        wall: int = WALL,
        segment_bytes: int = SEGMENT,
        fs: wal.FileSystem | None = None,
    ) -> None:
        self.now = now
        self.wall = wall
        self.lines: list[str] = []
        self.queue = Queue()
        self.dispatcher = Dispatcher(self.queue)
        self.binlog: Binlog = open_binlog(
            str(directory),
            self.queue,
            segment_bytes=segment_bytes,
            durability=wal.Durability.NEVER,
            now=now,
            wall_now=now + wall,
            notify=lambda: None,
            report=self.lines.append,
            threaded=False,
            fs=fs,
        )
        self.sessions: list[Session] = []

    def session(self) -> Session:
        session = Session(self.dispatcher)
        self.sessions.append(session)
        return session

    def say(self, session: Session, line: bytes, body: bytes | None = None) -> bytes:
        self.now += 1000
        session.receive(line + b"\r\n" + (b"" if body is None else body + b"\r\n"), self.now)
        return self.turn(session)

    def turn(self, session: Session | None = None) -> bytes:
        if self.queue.next_at <= self.now:
            self.queue.tick(self.now)
        Session.settle(self.dispatcher, self.now)
        output = {each: each.take_output() for each in self.sessions}
        self.binlog.end_iteration(self.now, self.now + self.wall)
        return output[session] if session is not None else b""

    def rest(self) -> None:
        """Iterations until compaction has caught up."""
        for _ in range(10_000):
            if not self.binlog.end_iteration(self.now, self.now + self.wall):
                return
        raise AssertionError("compaction never comes to rest")

    def restarted(self, directory: Path, **changes: Any) -> Daemon:
        """What a start finds there now; this one is as good as killed."""
        again = Daemon(directory, **{"now": self.now, "wall": self.wall, **changes})
        again.queue.tick(again.now)
        return again


def survivors(queue: Queue, now: int) -> dict[int, tuple[object, ...]]:
    """What must survive of each job: reserved ones are ready, and a time that has passed is no
    delay.
    """
    kept = {}
    for job in queue.jobs.values():
        ready = job.state == RESERVED or (job.state == DELAYED and job.deadline_at <= now)
        state = READY if ready else job.state
        kept[job.id] = (
            job.tube.name, state, job.pri, job.delay, job.ttr, job.body, job.created_at,
            0 if state == READY else job.deadline_at, job.timeouts, job.releases, job.buries, job.kicks,
        )  # fmt: skip
    return kept


def buried(queue: Queue) -> dict[bytes, list[int]]:
    return {tube.name: list(tube.buried) for tube in queue.tube_list if tube.buried}


def live_bytes(queue: Queue) -> int:
    """Law 9's live bytes, counted from the jobs alone."""
    total = 0
    for job in queue.jobs.values():
        total += 4 + len(
            records.encode(
                records.Full(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, job.tube.name, job.body)
            )
        )
        total += (4 + records.UPDATE_STRUCT.size) * (job.update_segment is not None)
    return total


def one_command(random: random.Random, daemon: Daemon, ids: int) -> tuple[bytes, bytes | None]:
    id = b"%d" % random.randint(1, ids)
    pri = b"%d" % random.choice((0, 5, 1024, 4294967295))
    delay = b"%d" % random.choice((0, 0, 1, 100))
    kind = random.randrange(12)
    if kind < 3:
        body = random.randbytes(random.choice((0, 1, 50, 3000)))
        return b"put %b %b %d %d" % (pri, delay, random.choice((1, 60)), len(body)), body
    line = {
        3: b"reserve-with-timeout 0",
        4: b"delete " + id,
        5: b"release %b %b %b" % (id, pri, delay),
        6: b"bury %b %b" % (id, pri),
        7: b"kick %d" % random.randint(0, 3),
        8: b"kick-job " + id,
        9: b"reserve-job " + id,
        10: b"pause-tube %b %d"
        % (random.choice((b"default", b"a", b"b")), random.choice((0, 5, 1000))),
        11: b"use " + random.choice((b"default", b"a", b"b")),
    }[kind]
    return line, None


@pytest.mark.parametrize("seed", range(6))
def test_replay_gives_what_was_in_memory(tmp_path: Path, seed: int) -> None:
    """Random commands by three clients; again and again the log so far is replayed into a new
    queue, and later gone on with.
    """
    random_ = random.Random(seed)
    daemon = Daemon(tmp_path)
    for _ in range(6):
        sessions = [daemon.session() for _ in range(3)]
        for session in sessions:
            daemon.say(session, b"watch a")
        for _ in range(300):
            daemon.now += random_.choice((0, 0, S // 10, 2 * S))
            line, body = one_command(random_, daemon, daemon.queue.next_id)
            daemon.say(random_.choice(sessions), line, body)
        expected = survivors(daemon.queue, daemon.now)
        order = buried(daemon.queue)
        pauses = {t.name: t.paused_until for t in daemon.queue.tube_list if t.paused_until}
        next_id = daemon.queue.next_id
        daemon = daemon.restarted(tmp_path)
        assert survivors(daemon.queue, daemon.now) == expected, f"seed {seed}"
        assert buried(daemon.queue) == order, f"seed {seed}"
        assert {
            t.name: t.paused_until for t in daemon.queue.tube_list if t.paused_until
        } == pauses, f"seed {seed}"
        assert daemon.queue.next_id == next_id, f"seed {seed}"
        assert daemon.lines == []


@pytest.mark.parametrize("seed", range(4))
def test_disk_stays_in_proportion(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for round_ in range(3000):
        line, body = one_command(random_, daemon, daemon.queue.next_id)
        daemon.say(session, line, body)
        if round_ % 100 == 0:
            daemon.rest()
            on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
            assert daemon.binlog.usage.live - live_bytes(daemon.queue) in range(200), (
                f"seed {seed}"
            )  # pauses are live too
            assert on_disk <= 2 * live_bytes(daemon.queue) + 2 * SEGMENT, (
                f"seed {seed}, round {round_}"
            )


def _churn(daemon: Daemon) -> Iterator[None]:
    """Beside many small jobs large ones come and go, ten with each step: compaction has work. A
    turn is the caller's.
    """
    session = daemon.session()
    session.receive(b"put 0 0 60 1\r\nx\r\n" * 40_000, daemon.now)
    while True:
        session.receive(b"put 0 0 60 10000\r\n%b\r\n" % bytes(10_000) * 10, daemon.now)
        yield
        session.take_output()
        last = daemon.queue.next_id
        session.receive(
            b"".join(b"delete %d\r\n" % id for id in range(last - 10, last)), daemon.now
        )


def test_compaction_takes_small_steps_also_when_a_segment_begins(tmp_path: Path) -> None:
    """Everybody waits meanwhile."""
    daemon = Daemon(tmp_path, segment_bytes=64 * SEGMENT)
    steps = []
    for _ in _churn(daemon):
        before = daemon.binlog.compactor.migrated
        daemon.turn()
        steps.append((daemon.binlog.compactor.migrated - before) * FULL_OVERHEAD)
        if daemon.binlog.compactor.migrated >= 120_000:
            break
    assert max(steps) <= STEP_BYTES + GROWTH_SHARE * 110_000
    # To that it comes by and by; for large jobs that come now and then nobody waits so long.
    assert 0 < next(step for step in steps if step) <= STEP_BYTES + GROWTH_SHARE * 110_000 // SPREAD


def test_what_clients_wait_for_is_committed_before_compaction(tmp_path: Path) -> None:
    """What that writes goes with the next commit, if there will be a turn; it is never left behind."""
    daemon = Daemon(tmp_path, segment_bytes=64 * SEGMENT)
    binlog = daemon.binlog
    waited = 0
    for _ in _churn(daemon):
        lsn, migrated = binlog.log.lsn, binlog.compactor.migrated
        more = binlog.end_iteration(daemon.now, daemon.now + daemon.wall)
        assert binlog.log.promised_lsn >= lsn
        assert binlog.log.pending == (more and binlog.compactor.migrated > migrated)
        waited += binlog.log.pending
        if binlog.compactor.migrated >= 120_000:
            break
    assert waited > 10
    daemon.rest()
    assert not binlog.log.pending and binlog.log.promised_lsn == binlog.log.lsn


def test_turn_in_which_a_segment_begins_looks_at_everything(tmp_path: Path) -> None:
    """Law 9 allows for what is sealed. Short records do not make a turn look."""
    daemon = Daemon(tmp_path)
    client = daemon.session()
    log = daemon.binlog.log
    looked = []
    for _ in range(2 * SEGMENT // 100):
        segment, appended = log.segment, log.appended_bytes
        daemon.say(client, b"put 0 0 60 1", b"x")
        looked.append(daemon.binlog._appended == log.appended_bytes)
        assert looked[-1] or log.segment == segment, appended
    assert log.segment > 1 and looked.count(True) < len(looked) // 4


def test_room_set_aside_falls_with_the_live_bytes(tmp_path: Path) -> None:
    """To the byte, not by whole files: the spares for 40 segments of jobs are too much for none."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(2500):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    session.receive(b"".join(b"delete %d\r\n" % id for id in range(1, 2501)), daemon.now)
    daemon.turn()
    daemon.rest()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * SEGMENT


def test_no_room_is_set_aside_for_a_large_job_that_is_gone(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.dispatcher.max_job_size = 20 * SEGMENT
    session = daemon.session()
    daemon.say(session, b"put 0 0 60 %d" % (20 * SEGMENT), bytes(20 * SEGMENT))
    assert daemon.say(session, b"delete 1") == b"DELETED\r\n"
    daemon.rest()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * SEGMENT


def test_no_room_is_set_aside_for_large_segments_that_are_gone(tmp_path: Path) -> None:
    """They are of a run with another -s."""
    daemon = Daemon(tmp_path, segment_bytes=16 * SEGMENT)
    session = daemon.session()
    for _ in range(200):
        daemon.say(session, b"put 0 0 60 5000", bytes(5000))
    daemon = daemon.restarted(tmp_path)
    session = daemon.session()
    session.receive(b"".join(b"delete %d\r\n" % id for id in range(1, 201)), daemon.now)
    assert daemon.turn(session) == b"DELETED\r\n" * 200
    daemon.rest()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * SEGMENT


@pytest.mark.sources
def test_full_disk_leaves_compaction_at_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is something to compact, and no room to do it: another turn at once would spin."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(300):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    monkeypatch.setattr(daemon.binlog.compactor, "behind", lambda: True)
    monkeypatch.setattr(daemon.binlog.headroom, "append", lambda record: None)
    assert daemon.binlog.end_iteration(daemon.now, daemon.now + daemon.wall) is False
    assert not daemon.binlog.busy


def test_compaction_rests_when_only_headers_are_not_live() -> None:
    """Three jobs to a segment: a seventh of each is its header, which no pass gives back."""
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), segment_bytes=8192, fs=disk)
    session = daemon.session()
    disk.capacity = 120_000
    while not daemon.say(session, b"put 0 0 60 1800", b"x" * 1800).startswith(b"OUT"):
        pass
    # Compaction writes the pause again. No client has changed anything then.
    assert daemon.say(session, b"pause-tube default 1000") == b"PAUSED\r\n"
    daemon.rest()
    usage, headroom = daemon.binlog.usage, daemon.binlog.headroom
    assert headroom.is_full and daemon.binlog.log.headroom < headroom.low + 8192 // 2
    assert usage.sealed_bytes - usage.kept > (8192 + usage.kept) // 16
    migrated = daemon.binlog.compactor.migrated
    for _ in range(4):
        daemon.binlog.retry()
        daemon.rest()
    assert daemon.binlog.compactor.migrated == migrated


def test_compaction_on_a_full_disk_ends_after_one_pass() -> None:
    """Updates make dead bytes; a pass gives them back."""
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), segment_bytes=8192, fs=disk)
    session = daemon.session()
    disk.capacity = 120_000
    while not daemon.say(session, b"put 0 0 60 1800", b"x" * 1800).startswith(b"OUT"):
        pass
    jobs = len(daemon.queue.jobs)
    for _ in range(300):
        assert daemon.say(session, b"reserve-job 1").startswith(b"RESERVED")
        assert daemon.say(session, b"release 1 0 0") == b"RELEASED\r\n"
    assert daemon.binlog.compactor.migrated > 10
    for _ in range(4):
        daemon.binlog.retry()
        migrated = daemon.binlog.compactor.migrated
        daemon.rest()
        assert daemon.binlog.compactor.migrated - migrated <= jobs
    assert daemon.binlog.compactor.migrated == migrated
    assert daemon.binlog.usage.dead <= (8192 + daemon.binlog.usage.kept) // 16


def test_start_on_a_full_disk_keeps_what_a_crash_left() -> None:
    """Much of the log is dead, and no room yet: until it is, the spares of the last run are what
    there is.
    """
    disk = MemoryDisk()
    daemon = Daemon(Path("/log"), fs=disk)
    session = daemon.session()
    for _ in range(1000):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    for id in random.Random(2).sample(range(1, 1001), 400):
        daemon.say(session, b"delete %d" % id)
    left = disk.after_kill()
    left.capacity = disk.used()
    binlog = daemon.restarted(Path("/log"), fs=left).binlog
    binlog.log.collect()
    assert binlog.log.headroom >= binlog.headroom.minimum


def test_disk_falls_when_everything_is_deleted(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(1000):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    for id in range(1, 1001):
        assert daemon.say(session, b"delete %d" % id) == b"DELETED\r\n"
    daemon.rest()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * SEGMENT


def test_released_job_keeps_new_priority_after_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 10 0 60 1", b"x")
    daemon.say(session, b"reserve")
    daemon.say(session, b"release 1 77 0")
    job = daemon.restarted(tmp_path).queue.jobs[1]
    assert (job.pri, job.releases, job.reserves) == (77, 1, 1)


def test_buried_jobs_keep_their_order_through_compaction_and_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(4):
        daemon.say(session, b"put 0 0 60 1", b"x")
    for id in (3, 1, 4, 2):
        daemon.say(session, b"reserve-job %d" % id)
        daemon.say(session, b"bury %d 0" % id)
    for _ in range(3000):
        daemon.say(session, b"put 0 0 60 100", b"y" * 100)
        daemon.say(session, b"delete %d" % (daemon.queue.next_id - 1))
    assert daemon.binlog.compactor.migrated > 0
    again = daemon.restarted(tmp_path)
    assert list(again.queue.default.buried) == [3, 1, 4, 2]
    assert [job.buries for job in again.queue.jobs.values()] == [1] * 4


def test_ids_are_never_reused(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for id in range(1, 2001):
        daemon.say(session, b"put 0 0 60 100", b"y" * 100)
        daemon.say(session, b"delete %d" % id)
    for _ in range(3):
        daemon = daemon.restarted(tmp_path)
        assert daemon.queue.next_id == 2001


def test_timeouts_are_counted_across_a_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 0 0 1 1", b"x")
    daemon.say(session, b"reserve")
    daemon.now += 2 * S
    daemon.turn()
    again = daemon.restarted(tmp_path)
    assert again.queue.jobs[1].timeouts == 1


def test_pause_ends_at_the_same_wall_clock_time(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.say(daemon.session(), b"pause-tube default 100")
    again = daemon.restarted(
        tmp_path, now=5 * S, wall=daemon.wall + daemon.now + 40 * S - 5 * S
    )  # 40 s later, after a boot
    assert again.queue.default.paused_until == pytest.approx(65 * S, abs=1000)


def test_paused_tube_without_jobs_stays_until_its_pause_ends(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    again = daemon.restarted(tmp_path)
    assert b"mail" in again.queue.tubes
    again.now += 101 * S
    again.turn()
    assert b"mail" not in again.queue.tubes


def test_paused_tube_that_came_back_goes_when_somebody_ends_its_pause(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    again = daemon.restarted(tmp_path)
    session = again.session()
    assert again.say(session, b"pause-tube mail 0") == b"PAUSED\r\n"
    assert again.say(session, b"pause-tube mail 0") == b"NOT_FOUND\r\n"


def test_start_is_done_whatever_was_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that fill their segments badly, and much room from when there were large ones: all of it
    was written again, without end.
    """
    daemon = Daemon(tmp_path, segment_bytes=8192)
    session = daemon.session()
    for _ in range(30):
        daemon.say(session, b"put 0 0 60 4500", bytes(4500))
    for id in range(31, 33):
        daemon.say(session, b"put 0 0 60 65000", bytes(65000))
        daemon.say(session, b"delete %d" % id)
    steps = 0
    step = Compactor.step

    def counted(compactor: Compactor, limit: int) -> bool:
        nonlocal steps
        steps += 1
        assert steps < 200
        return step(compactor, limit)

    monkeypatch.setattr(Compactor, "step", counted)
    assert len(daemon.restarted(tmp_path, segment_bytes=8192).queue.jobs) == 30


def test_pause_that_ended_when_the_clock_was_zero_is_over(tmp_path: Path) -> None:
    """In memory, an end at 0 would mean that there is no pause."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    zero = daemon.wall + daemon.queue.tubes[b"mail"].paused_until
    again = daemon.restarted(tmp_path, now=9 * S, wall=zero)
    assert b"mail" not in again.queue.tubes


def test_latest_record_says_when_a_job_was_made(tmp_path: Path) -> None:
    """The wall's clock was set between two of them: the age must not depend on whether the older
    one is still there.
    """
    before, after = (
        records.Full(READY, 0, 1, 0, 60 * S, WALL + at, 0, 0, 0, 0, 0, 0, b"default", b"x")
        for at in (5 * S, 55 * S)
    )
    _append(tmp_path, records.encode(before), records.encode(after))
    assert Daemon(tmp_path).queue.jobs[1].created_at == 55 * S


def test_tube_that_goes_takes_its_pause_along(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    daemon.say(session, b"use other")
    assert b"mail" not in daemon.restarted(tmp_path).queue.tubes


def test_job_reserved_by_id_out_of_a_delay_comes_back_ready(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 0 1000 60 1", b"x")
    daemon.say(session, b"reserve-job 1")
    assert daemon.restarted(tmp_path).queue.jobs[1].state == READY


def test_restarts_leave_no_trail(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(300):
        daemon.say(session, b"put 0 0 60 1", b"x")
    daemon = daemon.restarted(tmp_path)
    names = None
    for _ in range(5):
        daemon = daemon.restarted(tmp_path)
        daemon.rest()
        found = sum(path.suffix == ".wal" for path in tmp_path.iterdir())
        assert names in (None, found)
        names = found


def _append(directory: Path, *data: bytes, meta: bytes = records.encode_meta(1)) -> None:
    """Records that no server of this version would write."""
    replay = wal.Replay(directory)
    for _ in replay:
        pass
    log = wal.Log.open(replay, segment_bytes=SEGMENT, meta=lambda: meta, threaded=False)
    for record in data:
        log.append(record)
    log.commit(0)
    log.close(0)


def _refusal(directory: Path) -> str:
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(Unreadable) as refused:
        Daemon(directory)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
    return str(refused.value)


def test_update_of_a_job_that_never_was_refuses_the_start(tmp_path: Path) -> None:
    _append(tmp_path, records.encode(records.Update(1, 0, 42, 0, 0, 0, 0, 0, 0, 0)))
    assert "job 42" in _refusal(tmp_path)


def _synced(directory: Path) -> Binlog:
    return open_binlog(
        str(directory),
        Queue(),
        segment_bytes=SEGMENT,
        durability=wal.Durability.SYNC,
        now=0,
        wall_now=0,
        notify=lambda: None,
        threaded=False,
    )


@pytest.mark.parametrize("turns", [0, 1])
def test_update_that_was_forgotten_once_is_forgotten_for_good(tmp_path: Path, turns: int) -> None:
    """With -F, a power failure may leave it without the job. Nothing promised it, and nothing that
    is promised later changes that.
    """
    replay = wal.Replay(tmp_path)
    assert list(replay) == []
    log = wal.Log.open(
        replay, SEGMENT, wal.Durability.NEVER, meta=lambda: records.encode_meta(50), threaded=False
    )
    log.append(
        records.encode(records.Full(READY, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, b"default", b""))
    )  # so the segment stays
    log.append(records.encode(records.Update(1, 0, 42, 0, 0, 0, 0, 0, 0, 0)))
    log.commit(0)
    for _ in range(3):
        binlog = _synced(tmp_path)
        for _ in range(turns):
            binlog.end_iteration(0, 0)
    assert binlog.compactor.state.jobs.keys() == {1} and binlog.compactor.state.next_id == 50


def test_record_that_says_nothing_refuses_the_start(tmp_path: Path) -> None:
    _append(tmp_path, b"\x09abc")
    assert "kind 9" in _refusal(tmp_path)


def test_newer_records_are_named_and_left_alone(tmp_path: Path) -> None:
    _append(tmp_path, b"\x09abc", meta=records.META_STRUCT.pack(records.VERSION + 1, 0, 0, 1))
    assert "records of version 2 are newer than 1" in _refusal(tmp_path)


def test_what_a_start_compacts_carries_the_time_of_the_start(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    for _ in range(2000):
        daemon.say(session, b"put 0 0 60 100", bytes(100))
    session.receive(b"".join(b"delete %d\r\n" % id for id in range(20, 2001)), daemon.now)
    daemon.binlog.log.commit(daemon.now + daemon.wall)  # and killed before a turn could compact
    again = daemon.restarted(tmp_path, now=daemon.now + S)
    again.binlog.log.close(again.now + again.wall)
    at = [frame.at for frame in wal.Replay(tmp_path)]
    assert at[-1] == again.now + again.wall and at == sorted(at)


def test_counts_beyond_32_bits_stay_at_the_largest_on_disk(tmp_path: Path) -> None:
    """A job that a bad client releases a day long gets there."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 0 0 60 1", b"x")
    (job,) = daemon.queue.jobs.values()
    job.reserves = (1 << 32) - 1
    job.history = (0, 0, (1 << 32) - 1, 0, 0)
    daemon.say(session, b"reserve")
    assert daemon.say(session, b"release 1 0 0") == b"RELEASED\r\n"
    again = daemon.restarted(tmp_path)
    assert [(job.reserves, job.releases) for job in again.queue.jobs.values()] == [
        ((1 << 32) - 1, (1 << 32) - 1)
    ]


def test_a_next_id_that_no_server_comes_to_is_refused(tmp_path: Path) -> None:
    replay = wal.Replay(tmp_path)
    list(replay)
    wal.Log.open(
        replay,
        segment_bytes=SEGMENT,
        meta=lambda: records.encode_meta((1 << 64) - 1),
        threaded=False,
    ).close(0)
    with pytest.raises(Unreadable, match="18446744073709551615 as the next id"):
        Daemon(tmp_path)


class _Ends(Exception):
    """The process ends here."""


class _ReadOnly(wal.FileSystem):
    """The first call that changes something is the last thing that happens."""

    def create(self, path: str) -> int:
        raise _Ends

    def truncate(self, handle: int, nbytes: int) -> None:
        raise _Ends


def test_a_torn_tail_is_spoken_of_before_it_is_cut(tmp_path: Path) -> None:
    """A kill between the two must not leave bytes aside of which nobody has heard."""
    daemon = Daemon(tmp_path)
    daemon.say(daemon.session(), b"put 0 0 60 1", b"x")
    (segment,) = tmp_path.glob("*.wal")
    segment.write_bytes(segment.read_bytes().rstrip(b"\0") + b"torn")
    lines: list[str] = []
    with pytest.raises(_Ends):
        open_binlog(
            str(tmp_path), Queue(), segment_bytes=SEGMENT, durability=wal.Durability.SYNC, now=daemon.now,
            wall_now=daemon.now + daemon.wall, notify=lambda: None, report=lines.append, threaded=False, fs=_ReadOnly(),
        )  # fmt: skip
    assert len(lines) == 1 and ": torn at offset" in lines[0]
