"""The outbox alone: when replies are sent, which commits run inline, and when its timers are due.

Each test sets the LSNs of a fake log and the time of a fake clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from beanstalkd_py.queue.model import NEVER
from beanstalkd_py.server.outbox import (
    INLINE_COMMIT_BACKOFF_NS,
    INLINE_COMMIT_LIMIT_NS,
    MS,
    RETRY_NS,
    WATERMARK_NS,
    Outbox,
)

pytestmark = pytest.mark.sources  # the log is a fake one

START = 1000 * MS
WINDOW_MS = 50


@dataclass
class FakeLog:
    promise_durable: bool = True
    lsn: int = 10
    promised_lsn: int = 10
    durable_lsn: int = 10
    watermark: int = 10
    syncs: list[int] = field(default_factory=list)  # the LSN at each
    watermarks: list[int] = field(default_factory=list)  # the same

    def sync(self, at: int) -> None:
        self.syncs.append(self.lsn)

    def write_watermark(self, at: int) -> None:
        self.watermarks.append(self.lsn)
        self.watermark = self.durable_lsn

    @property
    def watermark_behind(self) -> bool:
        return self.watermark < self.lsn


class FakeBinlog:
    """A commit takes `commit_ns` and makes nothing durable. `World.reach` makes records durable."""

    def __init__(self, world: World, log: FakeLog) -> None:
        self.world = world
        self.log = log
        self.busy = False
        self.more = False
        self.is_full = False
        self.commits: list[bool] = []  # whether each was inline
        self.retries = 0
        self.commit_ns = 0

    def end_iteration(self, now: int, wall: int, inline: bool) -> bool:
        self.commits.append(inline)
        self.busy = self.more
        self.world.now += self.commit_ns
        return self.more

    def collect(self) -> None:
        pass

    @property
    def needs_retry(self) -> bool:
        return self.is_full

    def retry(self) -> None:
        self.retries += 1


class Client:
    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.says_more: list[bytes] = []

    def deliver(self, data: bytes) -> None:
        self.world.delivered.append((self.name, data))
        while self.says_more:
            self.world.outbox.add(self, self.says_more.pop(0))


class World:
    def __init__(self, sync_ms: int = 0, log: FakeLog | None = None, full: bool = False) -> None:
        self.now = START
        self.log = log or FakeLog()
        self.binlog: Any = FakeBinlog(self, self.log)
        self.binlog.is_full = full
        self.delivered: list[tuple[str, bytes]] = []
        self.outbox = Outbox(self.binlog, sync_ms, lambda: self.now, lambda: self.now + 7)
        self.a, self.b = Client(self, "a"), Client(self, "b")

    def change(self, client: Client, data: bytes = b"x") -> None:
        """A command that appends a record, and its reply."""
        self.log.lsn += 1
        self.binlog.busy = True
        self.outbox.add(client, data)

    def batch(self, events: int = 2, changes: int = 1) -> bool:
        """Returns whether another batch is asked for."""
        self.outbox.begin_batch(events)
        for _ in range(changes):
            self.change(self.a)
        return self.outbox.end_of_batch()

    def reach(self, lsn: int) -> bool:
        """Runs the batch of the event that tells that the log has reached this LSN."""
        self.log.promised_lsn = lsn
        self.outbox.begin_batch(1)
        self.outbox.log_event()
        return self.outbox.end_of_batch()

    def until(self, at: int) -> None:
        """Runs all timers up to that time."""
        while self.outbox.next_at <= at:
            self.now = max(self.now, self.outbox.next_at)
            self.outbox.on_timers()
            self.outbox.end_of_batch()
        self.now = at


# Replies


def test_reply_waits_for_its_lsn() -> None:
    world = World()
    world.change(world.a)
    world.outbox.end_of_batch()
    assert world.delivered == [] and not world.outbox.empty
    world.reach(11)
    assert world.delivered == [("a", b"x")] and world.outbox.empty


def test_reply_without_a_change_waits_for_earlier_changes() -> None:
    """The reply to a peek may show a job that is not durable yet."""
    world = World()
    world.change(world.a, b"INSERTED")
    world.outbox.end_of_batch()
    world.outbox.add(world.b, b"FOUND")
    world.outbox.end_of_batch()
    assert world.delivered == []
    world.reach(11)
    assert world.delivered == [("a", b"INSERTED"), ("b", b"FOUND")]


def test_reply_with_nothing_pending_leaves_at_the_end_of_the_batch() -> None:
    world = World()
    world.outbox.add(world.a, b"USING")
    assert world.delivered == []
    world.outbox.end_of_batch()
    assert world.delivered == [("a", b"USING")] and world.binlog.commits == []


def test_reply_never_overtakes_an_older_one() -> None:
    world = World()
    world.outbox.add(world.a, b"1")
    world.change(world.a, b"2")
    world.outbox.add(world.a, b"3")
    world.outbox.end_of_batch()
    assert world.delivered == [("a", b"1")]
    world.change(world.b, b"4")
    world.reach(11)
    assert world.delivered == [("a", b"1"), ("a", b"2"), ("a", b"3")]
    world.reach(12)
    assert world.delivered[3:] == [("b", b"4")]


def test_reply_added_during_delivery_leaves_last() -> None:
    world = World()
    world.a.says_more = [b"again"]
    world.outbox.add(world.a, b"1")
    world.outbox.add(world.b, b"2")
    world.outbox.end_of_batch()
    assert world.delivered == [("a", b"1"), ("b", b"2"), ("a", b"again")]


def test_changes_made_during_delivery_ask_for_a_batch() -> None:
    """A delivery finds a broken connection: its jobs go to waiting clients."""
    world = World()

    class Lost(Client):
        def deliver(self, data: bytes) -> None:
            self.world.change(self.world.b, b"RESERVED")

    world.outbox.add(Lost(world, "lost"), b"x")
    assert world.outbox.end_of_batch() is True
    assert world.outbox.end_of_batch() is False
    assert world.binlog.commits == [False] and world.delivered == []


def test_discarded_replies_never_leave() -> None:
    world = World()
    world.batch()
    world.outbox.discard()
    world.reach(11)
    assert world.delivered == [] and world.outbox.empty


def test_memory_only_replies_leave_at_the_end_of_the_batch() -> None:
    world = World()
    world.outbox = Outbox(None, 0, lambda: world.now, lambda: world.now)
    world.outbox.begin_batch(1)
    world.outbox.add(world.a, b"1")
    assert world.outbox.end_of_batch() is False
    assert world.delivered == [("a", b"1")]
    world.outbox.log_event()
    world.outbox.on_timers()
    assert world.outbox.next_at == NEVER


# Commits


def test_single_event_with_nothing_pending_commits_inline() -> None:
    world = World()
    world.batch(events=1)
    assert world.binlog.commits == [True]


def test_single_event_commits_inline_however_many_it_wakes() -> None:
    world = World()
    world.batch(events=1, changes=3)
    assert world.binlog.commits == [True]


def test_several_events_commit_on_the_thread() -> None:
    world = World()
    world.batch(events=2)
    assert world.binlog.commits == [False]


def test_single_event_behind_a_pending_reply_commits_on_the_thread() -> None:
    world = World()
    world.batch(events=2)
    world.batch(events=1)
    assert world.binlog.commits == [False, False]


def test_batch_without_events_commits_on_the_thread() -> None:
    """It comes from timers or held sessions, so any number of clients may wait."""
    world = World()
    world.outbox.begin_batch(1)
    world.outbox.end_of_batch()
    world.change(world.a)
    world.outbox.end_of_batch()
    assert world.binlog.commits == [False]


def test_commits_that_only_write_are_inline() -> None:
    world = World(sync_ms=WINDOW_MS, log=FakeLog(promise_durable=False))
    world.batch(events=5)
    assert world.binlog.commits == [True]


@pytest.mark.parametrize("slow", [False, True])
def test_slow_inline_commit_is_followed_by_a_back_off(slow: bool) -> None:
    world = World()
    world.binlog.commit_ns = INLINE_COMMIT_LIMIT_NS + slow
    world.batch(events=1)
    began = world.now - world.binlog.commit_ns
    world.binlog.commit_ns = 0
    world.reach(11)
    world.batch(events=1)
    assert world.binlog.commits == [True, not slow]
    world.reach(12)
    world.now = began + INLINE_COMMIT_BACKOFF_NS
    world.batch(events=1)
    assert world.binlog.commits[2] is True


def test_slow_commit_of_the_thread_causes_no_back_off() -> None:
    world = World()
    world.binlog.commit_ns = 10 * INLINE_COMMIT_LIMIT_NS
    world.batch(events=2)
    world.reach(11)
    world.binlog.commit_ns = 0
    world.batch(events=1)
    assert world.binlog.commits == [False, True]


def test_compaction_asks_for_batches_until_it_is_done() -> None:
    world = World()
    world.binlog.more = True
    assert world.batch() is True
    assert world.outbox.end_of_batch() is True
    world.binlog.more = False
    assert world.outbox.end_of_batch() is False
    assert len(world.binlog.commits) == 3


# The window of -f MS


def windowed(**changes: Any) -> World:
    log = FakeLog(promise_durable=False, **changes)
    return World(sync_ms=WINDOW_MS, log=log)


def test_window_begins_with_the_first_commit_and_ends_with_a_sync() -> None:
    world = windowed()
    world.batch()
    world.until(START + 49 * MS)
    world.batch()
    assert world.log.syncs == []
    world.until(START + 50 * MS)
    assert world.log.syncs == [12]


def test_next_window_begins_with_the_commit_after_a_sync() -> None:
    world = windowed()
    world.batch()
    world.until(START + 60 * MS)
    world.batch()
    world.until(START + 109 * MS)
    assert world.log.syncs == [11]
    world.until(START + 110 * MS)
    assert world.log.syncs == [11, 12]


def test_window_covers_what_the_start_compacted() -> None:
    world = windowed(lsn=20, promised_lsn=20)
    world.until(START + 50 * MS)
    assert world.log.syncs == [20]


def test_window_needs_something_to_sync() -> None:
    world = windowed()
    world.outbox.add(world.a, b"USING")
    world.outbox.end_of_batch()
    world.until(START + 60_000 * MS)
    assert world.log.syncs == []


def test_shorter_window_also_ends_the_one_that_has_begun() -> None:
    world = windowed()
    world.batch()
    world.until(START + 10 * MS)
    world.outbox.set_window(5)
    assert world.outbox.next_at == START + 15 * MS
    world.until(START + 15 * MS)
    assert world.log.syncs == [11]


def test_longer_window_begins_with_the_next_commit() -> None:
    world = windowed()
    world.batch()
    world.outbox.set_window(2 * WINDOW_MS)
    world.until(START + 50 * MS)
    assert world.log.syncs == [11]
    world.batch()
    world.until(START + 149 * MS)
    assert world.log.syncs == [11]
    world.until(START + 150 * MS)
    assert world.log.syncs == [11, 12]


def test_window_is_not_used_if_replies_wait_for_syncs() -> None:
    world = World()
    world.batch()
    world.until(START + 400 * MS)
    assert world.log.syncs == []


# The durable watermark of an idle log


def test_idle_log_writes_its_watermark_once() -> None:
    world = World()
    world.batch()
    world.log.durable_lsn = 11
    world.until(START + 2 * WATERMARK_NS)  # the first timer was set at the start: not idle then
    assert world.log.watermarks == [11]
    world.until(START + 100 * WATERMARK_NS)
    assert world.log.watermarks == [11] and world.outbox.next_at == NEVER


def test_busy_log_writes_no_watermark() -> None:
    world = World()
    for n in range(10):
        world.until(START + n * WATERMARK_NS // 2)
        world.batch()
    assert world.log.watermarks == []


def test_watermark_is_written_again_until_it_has_caught_up() -> None:
    """A sync may take longer than the log was idle, and so may the window of -f MS."""
    world = World()
    world.batch()
    world.until(START + 5 * WATERMARK_NS)
    assert len(world.log.watermarks) == 4 and world.log.watermark == 10
    world.log.durable_lsn = 11
    world.until(START + 6 * WATERMARK_NS)
    assert world.log.watermark == 11 and world.outbox.next_at == NEVER


# A full disk


def test_full_disk_is_tried_again_at_intervals() -> None:
    world = World()
    world.binlog.is_full = True
    world.batch()
    world.until(START + 3 * RETRY_NS)
    assert world.binlog.retries == 3
    world.binlog.is_full = False
    world.until(START + 10 * RETRY_NS)
    assert world.binlog.retries == 4


def test_full_disk_that_only_the_log_noticed_is_tried_again() -> None:
    """Preallocation runs on the log's thread."""
    world = World()
    world.until(START + 10_000 * MS)
    world.binlog.is_full = True
    world.outbox.log_event()
    assert world.outbox.next_at == world.now + RETRY_NS


def test_full_disk_at_the_start_is_tried_again() -> None:
    world = World(full=True)
    world.until(START + RETRY_NS)
    assert world.binlog.retries == 1
