"""Work is tried until it succeeds: released after an error, taken from who does not answer, buried
when it is hopeless.
"""

from __future__ import annotations

import pytest
from greenstalk import Client, Job, NotFoundError, TimedOutError
from testkit.daemon import Daemon

from .people import PATIENCE, client


def test_a_failed_try_is_released_with_a_delay_and_tried_again(daemon: Daemon) -> None:
    with client(daemon, use="mails", watch="mails") as worker:
        worker.put("to ann")
        tries = []
        while True:
            job = worker.reserve(timeout=PATIENCE)
            failed_before = worker.stats_job(job)["releases"]
            tries.append(failed_before)
            if failed_before == 2:
                worker.delete(job)
                break
            worker.release(job, delay=failed_before)  # at once, then after a second
        assert tries == [0, 1, 2]
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)


def test_a_worker_that_hangs_loses_its_job(daemon: Daemon) -> None:
    with (
        client(daemon, use="mails", watch="mails") as hangs,
        client(daemon, watch="mails") as other,
    ):
        id = hangs.put("to ann", ttr=1)
        job = hangs.reserve(timeout=PATIENCE)
        hangs.stats_job(job)
        again = reserve_after_ttr(other, hangs)
        assert (again.id, again.body) == (id, "to ann")
        assert other.stats_job(again)["timeouts"] == 1
        for late in (hangs.touch, hangs.release, hangs.bury, hangs.delete):
            with pytest.raises(NotFoundError):
                late(job)
        other.delete(again)


def reserve_after_ttr(worker: Client[str], owner: Client[str]) -> Job[str]:
    """Waits for a job whose TTR is running. The C server now and then forgets the timer of an idle
    owner, so it is poked.
    """
    for _ in range(PATIENCE):
        try:
            return worker.reserve(timeout=1)
        except TimedOutError:
            owner.using()
    raise AssertionError("the TTR did not end")


def test_a_worker_that_dies_loses_its_job_at_once(daemon: Daemon) -> None:
    with client(daemon, use="mails", watch="mails") as other:
        with client(daemon, watch="mails") as dies:
            other.put("to ann", ttr=3600)
            job = dies.reserve(timeout=PATIENCE)
        again = other.reserve(timeout=PATIENCE)
        assert again.id == job.id
        assert other.stats_job(again)["timeouts"] == 0


def test_a_slow_worker_touches(daemon: Daemon) -> None:
    with client(daemon, use="mails", watch="mails") as slow:
        job = slow.put("to ann", ttr=100)
        held = slow.reserve(timeout=PATIENCE)
        slow.touch(held)
        assert slow.stats_job(job)["time-left"] in (99, 98)
        slow.delete(held)


def test_a_hopeless_job_is_buried_and_kicked_by_somebody(daemon: Daemon) -> None:
    with (
        client(daemon, use="mails", watch="mails") as worker,
        client(daemon, use="mails") as somebody,
    ):
        id = worker.put("to nobody")
        while True:
            job = worker.reserve(timeout=PATIENCE)
            if worker.stats_job(job)["releases"] == 3:
                worker.bury(job)
                break
            worker.release(job)
        with pytest.raises(TimedOutError):
            worker.reserve(timeout=0)
        assert somebody.peek_buried().id == id
        assert somebody.kick(10) == 1
        worker.delete(worker.reserve(timeout=PATIENCE))
