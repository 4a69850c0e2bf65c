"""One job per mailbox goes round and round: any worker takes it, does a step, and releases it for
the next.
"""

from __future__ import annotations

import threading
from collections import Counter

from testkit.daemon import Daemon

from .people import PATIENCE, Workers, client

MAILBOXES = [f"mailbox {number}" for number in range(4)]
ROUNDS = 10
WORKERS = 3


def test_each_job_goes_round_among_the_workers(daemon: Daemon) -> None:
    """The priority of a release is the round: who is behind comes first."""
    rounds: Counter[str] = Counter()
    at_work: Counter[str] = Counter()
    lock = threading.Lock()

    def work() -> None:
        with client(daemon, watch="mailboxes") as worker:
            while (job := worker.reserve(timeout=PATIENCE)).body != "stop":
                with lock:
                    at_work[job.body] += 1
                    assert at_work[job.body] == 1, "a job is with one worker only"
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


def test_the_work_is_spread(daemon: Daemon) -> None:
    """Nobody gets a job again while another waits for one."""
    with (
        client(daemon, use="mailboxes") as owner,
        client(daemon, watch="mailboxes") as a,
        client(daemon, watch="mailboxes") as b,
    ):
        for mailbox in MAILBOXES[:2]:
            owner.put(mailbox, priority=0)
        for number in range(ROUNDS):
            jobs = [a.reserve(timeout=PATIENCE), b.reserve(timeout=PATIENCE)]
            assert [job.body for job in jobs] == MAILBOXES[:2]
            for job, worker in zip(jobs, (a, b), strict=True):
                worker.release(job, priority=number + 1)


def test_a_job_that_comes_back_after_a_while(daemon: Daemon) -> None:
    with client(daemon, use="mailboxes", watch="mailboxes") as worker:
        worker.put("mailbox 0")
        job = worker.reserve(timeout=PATIENCE)
        worker.release(job, delay=1)
        assert worker.stats_job(job)["state"] == "delayed"
        assert worker.reserve(timeout=PATIENCE).id == job.id
