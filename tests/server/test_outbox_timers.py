"""The timers of the outbox: the window of -f, the watermark of an idle log, a full disk.

Each test sets the LSNs of a fake log and the time of a fake clock.
"""

from __future__ import annotations

from typing import Any

import pytest

from beanstalkd_py.queue.model import NEVER
from beanstalkd_py.server.outbox import MS, RETRY_NS, WATERMARK_NS
from tests.server.outbox_world import START, FakeLog, World

pytestmark = pytest.mark.sources  # the log is a fake one

WINDOW_MS = 50


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
