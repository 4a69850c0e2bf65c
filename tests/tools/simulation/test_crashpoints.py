"""The short form of simulation.crashpoints, and tests that its workloads make every call that can
be crashed.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from simulation.crashpoints import PLANS
from simulation.sweep.log_workload import LogWorkload
from simulation.sweep.process import MODES, NotingJournal
from simulation.sweep.queue_workload import QueueWorkload
from simulation.sweep.views import JobView, PolicyView
from simulation.violation import Violation

from beanstalkd_py.queue.model import RESERVED

PLAN = pytest.mark.parametrize(
    "plan", PLANS, ids=lambda plan: " ".join(mode.flags for mode in plan)
)


@PLAN
def test_log_keeps_promises_at_every_crash_point(plan):
    counts: Counter[str] = Counter()
    for seed in (1, 2):
        print(f"seed {seed}")
        LogWorkload(seed, plan, counts, tries=1).run(runs=8, steps=40)
    assert counts["recoveries"] > counts["crash points"] > 250


@PLAN
def test_queue_keeps_promises_at_every_crash_point(plan):
    counts: Counter[str] = Counter()
    for seed in (1, 2):
        print(f"seed {seed}")
        QueueWorkload(seed, plan, counts, tries=1).run(runs=2, steps=25)
    assert counts["recoveries"] > counts["crash points"] > 100


@pytest.mark.parametrize("subject", [LogWorkload, QueueWorkload])
def test_sweep_covers_every_changing_call(subject, monkeypatch):
    calls: Counter[str] = Counter()
    workload = subject(1, MODES[:1], Counter(), tries=0)
    monkeypatch.setattr(
        workload.sweep,
        "watch",
        lambda: setattr(workload.disk, "underway", lambda call, path: calls.update([call])),
    )
    workload.run(runs=3, steps=120)
    assert calls.keys() == {
        "create",
        "write",
        "sync",
        "truncate",
        "allocate",
        "rename",
        "unlink",
        "sync_directory",
    }


def test_queue_workload_rotates_compacts_and_retires():
    workload = QueueWorkload(1, MODES[:1], Counter(), tries=0)
    workload.begin(MODES[0])
    workload.start()
    workload.work(300)
    assert workload.process.log.oldest > 1
    assert workload.process.binlog.compactor.migrated > 10
    assert {reply.split()[0] for _, reply in workload.process.delivered} >= {
        *(
            b"INSERTED",
            b"DELETED",
            b"RELEASED",
            b"BURIED",
            b"KICKED",
            b"PAUSED",
            b"RESERVED",
            b"TOUCHED",
        ),
    }


def test_queue_workload_has_policies_and_jobs_with_attributes():
    workload = QueueWorkload(1, MODES[:1], Counter(), tries=0)
    workload.begin(MODES[0])
    workload.start()
    workload.work(300)
    views = [each.view for all in workload.history.versions.values() for each in all]
    given = [view.attributes for view in views if isinstance(view, JobView)]
    assert any(each.key and not each.until_reserve for each in given)
    for name in ("until_reserve", "expires_at", "attempts", "origin"):
        assert any(getattr(each, name) for each in given), name
    ended = [view.body for view in views if isinstance(view, JobView) and view.buries]
    assert ended and any(isinstance(view, PolicyView) for view in views)


def test_end_of_a_key_that_is_not_logged_is_caught(monkeypatch):
    """A waiting client gets the job at once: then one step has the put and the end of the key."""

    def without_reserves(self, job, state, *change):
        return state == RESERVED or self._binlog.change(job, state, *change)

    monkeypatch.setattr(NotingJournal, "change", without_reserves, raising=False)
    with pytest.raises(Violation):
        for seed in range(1, 9):
            QueueWorkload(seed, MODES[:1], Counter(), tries=1).run(runs=2, steps=25)


@pytest.mark.parametrize("seed", [55, 102])
def test_compaction_ends_on_a_full_disk(seed, monkeypatch):
    """Padding in small spares was once counted as space that compaction can reclaim."""
    workload = QueueWorkload(seed, MODES[:1], Counter(), tries=0)
    monkeypatch.setattr(workload.sweep, "watch", lambda: None)
    workload.run(runs=4, steps=100)


def test_retired_segment_is_not_reused_before_its_rename_is_durable():
    """A start on a full disk once turned a spare into its new segment too early: after a power cut
    the file still had the name of the old segment.
    """
    LogWorkload(1197879342, MODES[:1], Counter(), tries=2).run(
        runs=5, steps=Random(1197879342).choice((10, 40, 120))
    )
