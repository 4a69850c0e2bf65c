"""The outbox alone: when replies are sent, and which commits run inline.

Each test sets the LSNs of a fake log and the time of a fake clock.
"""

from __future__ import annotations

import pytest

from beanstalkd_py.queue.model import NEVER
from beanstalkd_py.server.outbox import INLINE_COMMIT_BACKOFF_NS, INLINE_COMMIT_LIMIT_NS, Outbox
from tests.server.outbox_world import Client, FakeLog, World

pytestmark = pytest.mark.sources  # the log is a fake one


# Replies


def test_reply_is_sent_before_compaction() -> None:
    world = World()
    world.binlog.is_quick = True
    world.batch(events=1)
    assert world.delivered == [("a", b"x")]
    assert world.steps == ["send", "compaction"]


def test_nothing_is_sent_without_a_delivery() -> None:
    world = World()
    world.batch()
    assert world.steps == ["compaction"]


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
    world = World(sync_ms=50, log=FakeLog(promise_durable=False))
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
