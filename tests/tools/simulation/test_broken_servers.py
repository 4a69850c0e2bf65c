"""The simulation can fail: servers that break one law each are caught, each within a few scenarios,
and by the check that is meant for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import beanstalkd_wal
import pytest
from simulation.disk import MemoryDisk
from simulation.scenario import run
from simulation.violation import Violation

import beanstalkd_py.binlog.journal
import beanstalkd_py.binlog.opening
import beanstalkd_py.queue.state
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.records import encode_meta
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.model import NEVER, Tube
from beanstalkd_py.queue.outcome import Outcome
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.outbox import Outbox, Recipient

SEEDS = range(1000, 1100)
Break = Callable[[pytest.MonkeyPatch], None]


def caught() -> str:
    """What the first scenario says that notices."""
    for seed in SEEDS:
        try:
            run(seed)
        except Violation as fault:
            assert f"make simulate SEED={seed}" in str(fault)
            return str(fault)
    return "nobody noticed"


def replies_leave_at_once(patch: pytest.MonkeyPatch) -> None:
    """A reply is a promise."""
    patch.setattr(Outbox, "add", lambda self, recipient, data: recipient.deliver(data))


def replies_leave_newest_first(patch: pytest.MonkeyPatch) -> None:
    def add(self: Outbox, recipient: Recipient, data: bytes) -> None:
        self._pending.appendleft((0, recipient, data))

    patch.setattr(Outbox, "add", add)


def window_never_ends(patch: pytest.MonkeyPatch) -> None:
    """Durable by default: within MS milliseconds, with -f MS."""
    patch.setattr(beanstalkd_wal.Log, "sync", lambda self, at: None)


def syncs_do_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryDisk, "sync", lambda self, handle: None)


def deletes_are_not_written(patch: pytest.MonkeyPatch) -> None:
    """Law 1."""

    def delete(self: Binlog, job: object) -> bool:
        self.usage.forget(job, beanstalkd_py.binlog.journal.full_bytes(job))
        return True

    patch.setattr(Binlog, "delete", delete)


def releases_without_delay_are_not_written(patch: pytest.MonkeyPatch) -> None:
    """As in the C server."""
    change = Binlog.change
    patch.setattr(
        Binlog,
        "change",
        lambda self, job, state, *rest: (
            state == beanstalkd_py.queue.state.READY or change(self, job, state, *rest)
        ),
    )


def compaction_forgets(patch: pytest.MonkeyPatch) -> None:
    def rewrite(self: Binlog, job: object, nbytes: int) -> bool:
        self.usage.add(job.full_segment, -nbytes)
        return True

    patch.setattr(Binlog, "_rewrite", rewrite)


def nothing_is_compacted(patch: pytest.MonkeyPatch) -> None:
    """Law 9."""
    patch.setattr(Binlog, "behind", lambda self: False)


def ids_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    """Law 7."""
    patch.setattr(beanstalkd_py.binlog.opening, "encode_meta", lambda next_id: encode_meta(1))


def whoever_came_last_is_served_first(patch: pytest.MonkeyPatch) -> None:
    def offer(self: Queue, tube: Tube, now: int) -> None:
        while tube.waiting and tube.ready_count and not tube.paused_until:
            client = next(reversed(tube.waiting))
            self._stop_waiting(client)
            job = beanstalkd_py.queue.state.first_ready(tube, self.jobs)
            self._reserve(client, job, now)
            self.woken.append((client, job))

    patch.setattr(Queue, "_offer", offer)


def pauses_are_overlooked(patch: pytest.MonkeyPatch) -> None:
    def best_ready(self: Queue, client: object) -> object:
        jobs = [
            beanstalkd_py.queue.state.first_ready(tube, self.jobs)
            for tube in client.watched
            if tube.ready_count
        ]
        return min(jobs, key=lambda job: (job.pri, job.id), default=None)

    patch.setattr(Queue, "_best_ready", best_ready)


def a_touch_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Queue,
        "touch",
        lambda self, client, now, id: Outcome.DONE if id in client.reserved else Outcome.NOT_FOUND,
    )


def nobody_plans_ahead(patch: pytest.MonkeyPatch) -> None:
    """The timer of a client that waits."""
    patch.setattr(Queue, "_plan_client", lambda self, client: self._plan(client, NEVER))


def updates_are_counted_twice(patch: pytest.MonkeyPatch) -> None:
    """In the books that compaction goes by."""
    forget = Usage.forget

    def forget_less(self: Usage, job: object, full_bytes: int) -> None:
        job.update_segment = None
        forget(self, job, full_bytes)

    patch.setattr(Usage, "forget", forget_less)


@pytest.mark.sources
@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (replies_leave_at_once, "is promised"),
        (replies_leave_newest_first, "gets its reply|is promised"),
        (window_never_ends, "is not durable yet"),
        (syncs_do_nothing, "came back|does not start"),
        (deletes_are_not_written, "came back"),
        (releases_without_delay_are_not_written, "came back"),
        (compaction_forgets, "no job knows of"),
        (nothing_is_compacted, "bytes on disk"),
        (ids_are_not_kept, "next id"),
        (whoever_came_last_is_served_first, "was told"),
        (pauses_are_overlooked, "was told"),
        (a_touch_is_forgotten, "was told"),
        (nobody_plans_ahead, "is due"),
        (updates_are_counted_twice, "live bytes that no job knows of"),
    ],
)
def test_a_server_that_breaks_a_law_is_caught(
    monkeypatch: pytest.MonkeyPatch, break_it: Break, said: str
) -> None:
    break_it(monkeypatch)
    assert re.search(said, caught())
