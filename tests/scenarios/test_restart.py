"""The daemon ends in the middle of things, by SIGTERM or by SIGKILL, and starts again: nothing that
was answered is lost.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial

import greenstalk
import pytest
from greenstalk import NotFoundError, TimedOutError
from testkit.daemon import Daemon

from .people import PATIENCE, Workers, client

ENDS = [signal.SIGTERM, signal.SIGKILL]
by_either_end = pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)


def restart(daemon: Daemon, end: signal.Signals) -> None:
    status = daemon.stop(end)
    assert status == (0 if end == signal.SIGTERM else -end), daemon.said()
    daemon.start()
    assert daemon.said() == "", "a restart after an end like this is nothing to talk about"


@by_either_end
def test_jobs_of_every_state_are_there_again(durable: Daemon, end: signal.Signals) -> None:
    with client(durable, use="mails", watch="mails") as before:
        deleted = before.put("deleted")
        reserved = before.put("reserved", priority=3, ttr=3600)
        buried = [before.put(f"buried {number}", priority=1) for number in range(2)]
        ready = before.put("ready", priority=2)
        delayed = before.put("delayed", delay=3600)
        before.delete(deleted)
        held = [before.reserve_job(id) for id in buried]
        before.bury(held[1], priority=9)
        before.bury(held[0], priority=8)
        before.reserve_job(reserved)
        restart(durable, end)
    with client(durable, use="mails", watch="mails") as after:
        with pytest.raises(NotFoundError):
            after.peek(deleted)
        assert after.stats_job(delayed)["state"] == "delayed"
        assert after.stats_job(delayed)["time-left"] in range(3500, 3601)
        assert after.peek_delayed().body == "delayed"
        assert (after.peek_buried().id, after.stats_job(buried[1])["pri"]) == (buried[1], 9)
        assert [after.reserve(timeout=PATIENCE).id for _ in range(2)] == [ready, reserved]
        assert after.kick(1) == 1
        assert after.reserve(timeout=PATIENCE).id == buried[1]
        assert after.put("next") == delayed + 1


@by_either_end
def test_a_delayed_job_comes_at_its_time(durable: Daemon, end: signal.Signals) -> None:
    with client(durable, use="orders") as shop:
        id = shop.put("order 1", delay=1)
        restart(durable, end)
    with client(durable, watch="orders") as closer:
        assert closer.reserve(timeout=PATIENCE).id == id


@by_either_end
def test_retries_go_on_counting(durable: Daemon, end: signal.Signals) -> None:
    with client(durable, use="mails", watch="mails") as worker:
        worker.put("to ann", priority=5)
        worker.release(worker.reserve(timeout=PATIENCE), priority=6)
        worker.release(worker.reserve(timeout=PATIENCE), priority=7, delay=0)
        restart(durable, end)
    with client(durable, use="mails", watch="mails") as worker:
        job = worker.reserve(timeout=PATIENCE)
        stats = worker.stats_job(job)
        assert (stats["releases"], stats["pri"], stats["reserves"]) == (2, 7, 3)


@by_either_end
def test_ids_are_not_used_again_when_all_was_deleted(durable: Daemon, end: signal.Signals) -> None:
    with client(durable) as before:
        last = [before.put("x") for _ in range(3)][-1]
        for id in range(1, last + 1):
            before.delete(id)
        restart(durable, end)
    restart(durable, end)
    with client(durable) as after:
        assert after.put("y") == last + 1


@by_either_end
def test_a_cycling_job_goes_on(durable: Daemon, end: signal.Signals) -> None:
    with client(durable) as owner:
        owner.put("mailbox")
    for number in range(3):
        with client(durable) as worker:
            for step in range(5):
                job = worker.reserve(timeout=PATIENCE)
                assert worker.stats_job(job)["releases"] == number * 6 + step
                worker.release(job, priority=step)
            job = worker.reserve(timeout=PATIENCE)
            worker.release(job, priority=0)
            restart(durable, end)
    with client(durable) as worker:
        assert worker.stats_job(worker.reserve(timeout=PATIENCE))["releases"] == 18


@by_either_end
def test_work_under_way_loses_nothing(durable: Daemon, end: signal.Signals) -> None:
    """Producers and workers reconnect and go on. Every put that was answered is done, and nothing
    is done after its delete was answered.
    """
    flow = Flow(durable)
    with Workers() as workers, Workers() as producers:
        for name in range(2):
            producers.start(flow.produce, name)
            workers.start(flow.work)
        try:
            for enough in (40, 80):
                flow.wait_until_done(enough)
                restart(durable, end)
            flow.wait_until_done(120)
        finally:
            flow.producing = False
            try:
                producers.join()
            finally:
                flow.working = False
    assert flow.answered - flow.done == set(), "lost"
    assert flow.done_again == [], "came back after their delete was answered"


class Flow:
    """Puts and deletes that go on while the daemon comes and goes."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.answered: set[str] = set()  # bodies whose put was answered
        self.done: set[str] = set()
        self.deleted: set[str] = set()  # bodies whose delete was answered
        self.done_again: list[str] = []
        self.producing = self.working = True
        self._changed = threading.Condition()

    def wait_until_done(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.deleted) >= count, PATIENCE), (
                f"only {len(self.deleted)} of {count}"
            )

    def produce(self, name: int) -> None:
        number = 0
        while self.producing:
            number += 1
            body = f"{name}/{number}"
            if self.tried(partial(greenstalk.Client.put, body=body)):
                with self._changed:
                    self.answered.add(body)

    def work(self) -> None:
        """Until there is nothing left and nobody puts any more."""
        while True:
            last = not self.working
            try:
                self.tried(self.do_one)
            except TimedOutError:
                if last:
                    return

    def do_one(self, worker: greenstalk.Client[str]) -> None:
        job = worker.reserve(timeout=0)
        with self._changed:
            if job.body in self.deleted:
                self.done_again.append(job.body)
            self.done.add(job.body)
        worker.delete(job)
        with self._changed:
            self.deleted.add(job.body)
            self._changed.notify_all()

    def tried(self, call: Callable[[greenstalk.Client[str]], object]) -> bool:
        """Once, on a connection of its own. False: the daemon was away, before it answered or
        before it was asked.
        """
        try:
            with client(self.daemon) as own:
                call(own)
            return True
        except (OSError, AssertionError):  # the client asserts that lines and bodies are whole
            return False
