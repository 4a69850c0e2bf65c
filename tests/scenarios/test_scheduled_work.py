"""Scheduled and periodic work."""

from __future__ import annotations

import pytest
from greenstalk import TimedOutError
from testkit.daemon import Daemon

from .workers import TIMEOUT_S, client

TOMORROW = 24 * 3600


def test_jobs_are_ready_in_the_order_of_their_times(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        worker.put("tomorrow", priority=0, delay=TOMORROW)
        worker.put("soon", priority=1, delay=1)
        worker.put("now", priority=2)
        for expected in ("now", "soon"):
            job = worker.reserve(timeout=TIMEOUT_S)
            assert job.body == expected
            worker.delete(job)
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)
        assert worker.peek_delayed().body == "tomorrow"


def test_kick_job_makes_a_delayed_job_ready(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        id = worker.put("tomorrow", delay=TOMORROW)
        worker.kick_job(id)
        assert worker.reserve(timeout=TIMEOUT_S).id == id


def test_kick_takes_the_delayed_job_that_is_due_first(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        worker.put("in two days", delay=2 * TOMORROW)
        worker.put("tomorrow", delay=TOMORROW)
        assert worker.kick(1) == 1
        assert worker.reserve(timeout=TIMEOUT_S).body == "tomorrow"


def test_periodic_job_schedules_its_next_run(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker:
        worker.put("run 1")
        runs = []
        for number in (1, 2):
            job = worker.reserve(timeout=TIMEOUT_S)
            runs.append(job.body)
            worker.put(f"run {number + 1}", delay=1)
            worker.delete(job)
        assert runs == ["run 1", "run 2"]
        assert worker.peek_delayed().body == "run 3"


def test_paused_tube_gives_out_no_jobs(daemon: Daemon) -> None:
    with client(daemon, use="reports", watch="reports") as worker, client(daemon) as operator:
        worker.put("report")
        operator.pause_tube("reports", TOMORROW)
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)
        operator.pause_tube("reports", 0)
        assert worker.reserve(timeout=TIMEOUT_S).body == "report"
