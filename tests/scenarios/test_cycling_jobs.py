"""One job per mailbox is used again and again: a worker reserves it, works and releases it."""

from __future__ import annotations

import threading
from collections import Counter

from testkit.daemon import Daemon

from .workers import TIMEOUT_S, Workers, client

MAILBOXES = [f"mailbox {number}" for number in range(4)]
ROUNDS = 10
WORKERS = 3


def test_cycling_jobs_are_shared_by_the_workers(daemon: Daemon) -> None:
    """The priority of a release is the round, so jobs that are behind come first."""
    rounds: Counter[str] = Counter()
    at_work: Counter[str] = Counter()
    lock = threading.Lock()

    def work() -> None:
        with client(daemon, watch="mailboxes") as worker:
            while (job := worker.reserve(timeout=TIMEOUT_S)).body != "stop":
                with lock:
                    at_work[job.body] += 1
                    assert at_work[job.body] == 1, "two workers have the same job"
                    rounds[job.body] += 1
                    done = rounds[job.body]
                    at_work[job.body] -= 1
                if done < ROUNDS:
                    worker.release(job, priority=done)
                else:
                    assert worker.stats_job(job)["releases"] == ROUNDS - 1
                    assert worker.stats_job(job)["reserves"] == ROUNDS
                    worker.delete(job)
            worker.delete(job)

    with client(daemon, use="mailboxes") as owner, Workers() as workers:
        for mailbox in MAILBOXES:
            owner.put(mailbox, priority=0)
        for _ in range(WORKERS):
            owner.put("stop", priority=ROUNDS + 1)
            workers.start(work)
        workers.join()
        assert rounds == dict.fromkeys(MAILBOXES, ROUNDS)
        assert owner.stats_tube("mailboxes")["current-jobs-ready"] == 0


def test_work_is_shared_fairly(daemon: Daemon) -> None:
    """A worker gets no second job while another worker waits."""
    with (
        client(daemon, use="mailboxes") as owner,
        client(daemon, watch="mailboxes") as a,
        client(daemon, watch="mailboxes") as b,
    ):
        for mailbox in MAILBOXES[:2]:
            owner.put(mailbox, priority=0)
        for number in range(ROUNDS):
            jobs = [a.reserve(timeout=TIMEOUT_S), b.reserve(timeout=TIMEOUT_S)]
            assert [job.body for job in jobs] == MAILBOXES[:2]
            for job, worker in zip(jobs, (a, b), strict=True):
                worker.release(job, priority=number + 1)


def test_job_released_with_a_delay_becomes_ready(daemon: Daemon) -> None:
    with client(daemon, use="mailboxes", watch="mailboxes") as worker:
        worker.put("mailbox 0")
        job = worker.reserve(timeout=TIMEOUT_S)
        worker.release(job, delay=1)
        assert worker.stats_job(job)["state"] == "delayed"
        assert worker.reserve(timeout=TIMEOUT_S).id == job.id
