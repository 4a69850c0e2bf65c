"""Work at a time: now, soon, tomorrow; and again every so often."""

from __future__ import annotations

import pytest
from greenstalk import TimedOutError
from testkit.daemon import Daemon

from .people import PATIENCE, client

TOMORROW = 24 * 3600


def test_work_comes_in_the_order_of_its_times(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        worker.put("tomorrow", priority=0, delay=TOMORROW)
        worker.put("soon", priority=1, delay=1)
        worker.put("now", priority=2)
        for expected in ("now", "soon"):
            job = worker.reserve(timeout=PATIENCE)
            assert job.body == expected
            worker.delete(job)
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)
        assert worker.peek_delayed().body == "tomorrow"


def test_work_is_brought_forward(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        id = worker.put("tomorrow", delay=TOMORROW)
        worker.kick_job(id)
        assert worker.reserve(timeout=PATIENCE).id == id


def test_the_soonest_is_brought_forward(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        worker.put("in two days", delay=2 * TOMORROW)
        worker.put("tomorrow", delay=TOMORROW)
        assert worker.kick(1) == 1
        assert worker.reserve(timeout=PATIENCE).body == "tomorrow"


def test_periodic_work_plans_its_next_run_before_it_ends(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        worker.put("run 1")
        runs = []
        for number in (1, 2):
            job = worker.reserve(timeout=PATIENCE)
            runs.append(job.body)
            worker.put(f"run {number + 1}", delay=1)
            worker.delete(job)
        assert runs == ["run 1", "run 2"]
        assert worker.peek_delayed().body == "run 3"


def test_nothing_runs_while_the_tube_is_paused(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker, client(daemon) as operator:
        worker.put("report")
        operator.pause_tube("reports", TOMORROW)
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)
        operator.pause_tube("reports", 0)
        assert worker.reserve(timeout=PATIENCE).body == "report"
