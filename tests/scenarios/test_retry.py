"""Retries: failed jobs are released, taken from hanging workers, and buried in the end."""

from __future__ import annotations

import pytest
from greenstalk import Client, Job, NotFoundError, TimedOutError
from testkit.daemon import Daemon

from .workers import TIMEOUT_S, client


def test_failed_job_is_retried_after_a_delay(daemon: Daemon) -> None:
    with client(daemon, use="mails", watch="mails") as worker:
        worker.put("to ann")
        tries = []
        while True:
            job = worker.reserve(timeout=TIMEOUT_S)
            failed_before = worker.stats_job(job)["releases"]
            tries.append(failed_before)
            if failed_before == 2:
                worker.delete(job)
                break
            worker.release(job, delay=failed_before)  # first without a delay, then after a second
        assert tries == [0, 1, 2]
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)


def test_hanging_worker_loses_its_job_after_the_ttr(daemon: Daemon) -> None:
    with (
        client(daemon, use="mails", watch="mails") as hangs,
        client(daemon, watch="mails") as other,
    ):
        id = hangs.put("to ann", ttr=1)
        job = hangs.reserve(timeout=TIMEOUT_S)
        hangs.stats_job(job)
        again = reserve_after_ttr(other, hangs)
        assert (again.id, again.body) == (id, "to ann")
        assert other.stats_job(again)["timeouts"] == 1
        for late in (hangs.touch, hangs.release, hangs.bury, hangs.delete):
            with pytest.raises(NotFoundError):
                late(job)
        other.delete(again)


def reserve_after_ttr(worker: Client[str], owner: Client[str]) -> Job[str]:
    """Waits for a job until its TTR ends.

    The C server sometimes loses the timer of an idle owner, so the owner sends a command.
    """
    for _ in range(TIMEOUT_S):
        try:
            return worker.reserve(timeout=1)
        except TimedOutError:
            owner.using()
    raise AssertionError("the TTR did not end")


def test_disconnected_worker_loses_its_job_at_once(daemon: Daemon) -> None:
    with client(daemon, use="mails", watch="mails") as other:
        with client(daemon, watch="mails") as dies:
            other.put("to ann", ttr=3600)
            job = dies.reserve(timeout=TIMEOUT_S)
        again = other.reserve(timeout=TIMEOUT_S)
        assert again.id == job.id
        assert other.stats_job(again)["timeouts"] == 0


def test_slow_worker_extends_the_ttr_with_touch(daemon: Daemon) -> None:
    with client(daemon, use="mails", watch="mails") as slow:
        job = slow.put("to ann", ttr=100)
        held = slow.reserve(timeout=TIMEOUT_S)
        slow.touch(held)
        assert slow.stats_job(job)["time-left"] in (99, 98)
        slow.delete(held)


def test_failed_job_is_buried_and_kicked_by_an_operator(daemon: Daemon) -> None:
    with (
        client(daemon, use="mails", watch="mails") as worker,
        client(daemon, use="mails") as operator,
    ):
        id = worker.put("to nobody")
        while True:
            job = worker.reserve(timeout=TIMEOUT_S)
            if worker.stats_job(job)["releases"] == 3:
                worker.bury(job)
                break
            worker.release(job)
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)
        assert operator.peek_buried().id == id
        assert operator.kick(10) == 1
        worker.delete(worker.reserve(timeout=TIMEOUT_S))
