"""The simulation can fail. Each broken server below violates one invariant. It must be caught
within a few scenarios, by the check that is meant for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import beanstalkd_wal
import pytest
from simulation.disk import MemoryDisk
from simulation.scenario import run
from simulation.violation import Violation

import beanstalkd_py.binlog.ids
import beanstalkd_py.queue.state
from beanstalkd_py.binlog.compactor import Compactor
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.binlog.usage import Place, Usage
from beanstalkd_py.queue.model import NEVER, Tube
from beanstalkd_py.queue.outcome import Outcome
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.outbox import Outbox, Recipient

TRIES = 100  # scenarios
Break = Callable[[pytest.MonkeyPatch], None]


def first_violation(first_seed: int) -> str:
    """The message of the first scenario that fails."""
    for seed in range(first_seed, first_seed + TRIES):
        try:
            run(seed)
        except Violation as fault:
            assert f"make simulate SEED={seed}" in str(fault)
            return str(fault)
    return "no scenario failed"


def replies_are_sent_at_once(patch: pytest.MonkeyPatch) -> None:
    """A reply is a promise."""
    patch.setattr(Outbox, "add", lambda self, recipient, data: recipient.deliver(data))


def newest_replies_are_sent_first(patch: pytest.MonkeyPatch) -> None:
    def add(self: Outbox, recipient: Recipient, data: bytes) -> None:
        self._pending.appendleft((0, recipient, data))

    patch.setattr(Outbox, "add", add)


def window_never_ends(patch: pytest.MonkeyPatch) -> None:
    """Durable by default: within MS milliseconds, with -f MS."""
    patch.setattr(beanstalkd_wal.Log, "sync", lambda self, at: None)


def syncs_do_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryDisk, "sync", lambda self, handle: None)


def deletes_are_not_written(patch: pytest.MonkeyPatch) -> None:
    """Violates "log before state"."""

    def delete(self: Binlog, job: object) -> bool:
        self.usage.forget(job)
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


def compaction_loses_jobs(patch: pytest.MonkeyPatch) -> None:
    def rewrite(self: Compactor, job: object, place: Place) -> bool:
        self.usage.add(place.segment, -place.kept(job))
        return True

    patch.setattr(Compactor, "_rewrite", rewrite)


def compaction_never_runs(patch: pytest.MonkeyPatch) -> None:
    """Violates "the disk stays in proportion"."""
    patch.setattr(Compactor, "has_work", lambda self: False)


def next_id_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    """Violates "ids are never reused"."""
    patch.setattr(beanstalkd_py.binlog.ids, "encode_meta", lambda next_id, bound: encode_meta(1))


def newest_client_is_served_first(patch: pytest.MonkeyPatch) -> None:
    def offer(self: Queue, tube: Tube, now: int) -> None:
        while tube.waiting and tube.ready_count and not tube.paused_until:
            client = next(reversed(tube.waiting))
            self._stop_waiting(client)
            job = tube.ready.first()
            self._reserve(client, job, now)
            self.woken.append((client, job))

    patch.setattr(Queue, "offer", offer)


def pauses_are_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Queue, "reservable", lambda self, tube, now: tube.ready.first())


def timers_of_clients_are_not_set(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Queue, "_plan_client", lambda self, client: self._plan(client, NEVER))


def updates_stay_counted_as_live(patch: pytest.MonkeyPatch) -> None:
    """In the usage that compaction is based on."""
    forget = Usage.forget

    def forget_less(self: Usage, job: object) -> None:
        job.update_segment = None
        forget(self, job)

    patch.setattr(Usage, "forget", forget_less)


def put_without_memory_stays_in_the_log(patch: pytest.MonkeyPatch) -> None:
    def take_back(self: Queue, id: int, *put: object) -> Outcome:
        self.memory.release()
        if id in self.jobs:
            self.jobs.remove(id)
        return Outcome.NO_MEMORY

    patch.setattr(Queue, "_take_back", take_back)


def runs_of_schedules_are_not_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Binlog, "run", lambda self, schedule, at: True)


@pytest.mark.sources
@pytest.mark.parametrize(
    ("break_it", "first_seed", "message"),
    [
        (replies_are_sent_at_once, 1000, "is promised"),
        (newest_replies_are_sent_first, 1000, "gets its reply|is promised"),
        (window_never_ends, 1007, "is not durable yet|the watermark is"),
        (syncs_do_nothing, 1000, "came back|does not start|next id|expected a header"),
        (deletes_are_not_written, 1000, "came back"),
        (releases_without_delay_are_not_written, 1003, "came back"),
        (compaction_loses_jobs, 1003, "belong to no job|came back"),
        (compaction_never_runs, 1006, "bytes on disk"),
        (next_id_is_not_kept, 1003, "next id"),
        (newest_client_is_served_first, 1005, "was told"),
        (pauses_are_ignored, 1011, "was told"),
        (timers_of_clients_are_not_set, 1000, "is due"),
        (updates_stay_counted_as_live, 1003, "live bytes that belong to no job"),
        (put_without_memory_stays_in_the_log, 1005, "came back|belong to no job"),
        (runs_of_schedules_are_not_written, 1008, "came back"),
    ],
)
def test_broken_server_is_caught(
    monkeypatch: pytest.MonkeyPatch, break_it: Break, first_seed: int, message: str
) -> None:
    """The first seed is one whose scenario failed when this was written."""
    break_it(monkeypatch)
    assert re.search(message, first_violation(first_seed))
