"""The short form of simulation.crashpoints, and that what it sweeps does all there is to be
crashed.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from simulation.crashpoints import PLANS
from simulation.sweep.log_workload import LogWorkload
from simulation.sweep.process import MODES
from simulation.sweep.queue_workload import QueueWorkload

PLAN = pytest.mark.parametrize(
    "plan", PLANS, ids=lambda plan: " ".join(mode.flags for mode in plan)
)


@PLAN
def test_a_log_keeps_what_it_promised_wherever_the_power_fails(plan):
    counts: Counter[str] = Counter()
    for seed in range(1, 8):
        print(f"seed {seed}")
        LogWorkload(seed, plan, counts, tries=1).run(lives=8, acts=40)
    assert counts["recoveries"] > counts["crash points"] > 500


@PLAN
def test_a_queue_keeps_what_it_promised_wherever_the_power_fails(plan):
    counts: Counter[str] = Counter()
    for seed in (1, 2):
        print(f"seed {seed}")
        QueueWorkload(seed, plan, counts, tries=1).run(lives=2, acts=25)
    assert counts["recoveries"] > counts["crash points"] > 100


@pytest.mark.parametrize("subject", [LogWorkload, QueueWorkload])
def test_all_calls_of_the_log_are_swept(subject, monkeypatch):
    calls: Counter[str] = Counter()
    run = subject(1, MODES[:1], Counter(), tries=0)
    monkeypatch.setattr(
        run.sweep,
        "watch",
        lambda: setattr(run.disk, "underway", lambda call, path: calls.update([call])),
    )
    run.run(lives=3, acts=120)
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


def test_a_queue_that_is_swept_rotates_compacts_and_drops():
    run = QueueWorkload(1, MODES[:1], Counter(), tries=0)
    run.begin(MODES[0])
    run.start()
    run.work(300)
    assert run.process.log.oldest > 1
    assert run.process.binlog.migrated > 10
    assert {reply.split()[0] for _, reply in run.process.told} >= {
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


@pytest.mark.parametrize("seed", [55, 102])
def test_compaction_on_a_full_disk_comes_to_an_end(seed, monkeypatch):
    """What spares cannot hold records in was once taken for something that compaction gives back."""
    run = QueueWorkload(seed, MODES[:1], Counter(), tries=0)
    monkeypatch.setattr(run.sweep, "watch", lambda: None)
    run.run(lives=4, acts=100)


def test_what_was_dropped_is_a_segment_until_its_new_name_is_durable():
    """A start on a full disk once made a new segment of a spare that was an old one still, for who
    had lost the power.
    """
    LogWorkload(1197879342, MODES[:1], Counter(), tries=2).run(
        lives=5, acts=Random(1197879342).choice((10, 40, 120))
    )
