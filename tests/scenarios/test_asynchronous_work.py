"""Asynchronous work: producers put jobs, and several workers do each job once."""

from __future__ import annotations

import queue

from testkit.daemon import Daemon

from .workers import TIMEOUT_S, Workers, client

PRODUCERS = 3
WORKERS = 4
JOBS = 60  # of each producer


def test_every_job_is_done_once(daemon: Daemon) -> None:
    done: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    put: queue.SimpleQueue[int] = queue.SimpleQueue()

    def produce(name: int) -> None:
        with client(daemon, use="thumbnails") as producer:
            for number in range(JOBS):
                put.put(producer.put(f"{name}/{number}", priority=number))

    def work() -> None:
        with client(daemon, watch="thumbnails") as worker:
            while (job := worker.reserve(timeout=TIMEOUT_S)).body != "stop":
                done.put((job.id, job.body))
                worker.delete(job)
            worker.delete(job)

    with Workers() as workers, client(daemon, use="thumbnails") as boss:
        for _ in range(WORKERS):
            workers.start(work)
        with Workers() as producers:
            for name in range(PRODUCERS):
                producers.start(produce, name)
        for _ in range(WORKERS):
            boss.put("stop", priority=2**32 - 1)
        workers.join()
        stats = boss.stats_tube("thumbnails")
        assert stats["current-jobs-ready"] == stats["current-jobs-reserved"] == 0
        assert stats["total-jobs"] == stats["cmd-delete"] == PRODUCERS * JOBS + WORKERS
    results = [done.get() for _ in range(done.qsize())]
    assert sorted(body for _, body in results) == sorted(
        f"{name}/{number}" for name in range(PRODUCERS) for number in range(JOBS)
    )
    assert sorted(id for id, _ in results) == sorted(put.get() for _ in range(put.qsize()))


def test_urgent_jobs_are_reserved_first(daemon: Daemon) -> None:
    with client(daemon, use="thumbnails", watch="thumbnails") as worker:
        for priority, body in ((500, "later"), (10, "soon"), (10, "soon after"), (0, "at once")):
            worker.put(body, priority=priority)
        order = [worker.reserve(timeout=TIMEOUT_S).body for _ in range(4)]
        assert order == ["at once", "soon", "soon after", "later"]


def test_worker_watches_several_tubes(daemon: Daemon) -> None:
    with client(daemon, use="mails") as mails, client(daemon, use="thumbnails") as thumbnails:
        mails.put("mail", priority=2)
        thumbnails.put("thumbnail", priority=1)
        with client(daemon, watch=["mails", "thumbnails"]) as worker:
            assert [worker.reserve(timeout=TIMEOUT_S).body for _ in range(2)] == [
                "thumbnail",
                "mail",
            ]


def test_bodies_are_unchanged(daemon: Daemon) -> None:
    with client(daemon) as worker:
        for body in ("", "line\r\nline\r\n", "grüße ☃", "\0", "x" * 60_000):
            worker.put(body)
            job = worker.reserve(timeout=TIMEOUT_S)
            assert job.body == body
            worker.delete(job)
