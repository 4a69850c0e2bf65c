"""The server is ended by SIGTERM or SIGKILL and started again: nothing with a reply is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from functools import partial

import greenstalk
import pytest
from greenstalk import NotFoundError, TimedOutError
from testkit.daemon import Daemon
from testkit.waiting import POLL_S

from .workers import TIMEOUT_S, Workers, client

SIGNALS = [signal.SIGTERM, signal.SIGKILL]
both_signals = pytest.mark.parametrize("end", SIGNALS, ids=lambda end: end.name)


def restart(daemon: Daemon, end: signal.Signals) -> None:
    status = daemon.stop(end)
    assert status == (0 if end == signal.SIGTERM else -end), daemon.said()
    daemon.start()
    assert daemon.said() == "", "the restart writes an unexpected message"


@both_signals
def test_jobs_of_every_state_survive_a_restart(durable: Daemon, end: signal.Signals) -> None:
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
        assert [after.reserve(timeout=TIMEOUT_S).id for _ in range(2)] == [ready, reserved]
        assert after.kick(1) == 1
        assert after.reserve(timeout=TIMEOUT_S).id == buried[1]
        assert after.put("next") == delayed + 1


@both_signals
def test_delayed_job_is_ready_in_time_after_a_restart(durable: Daemon, end: signal.Signals) -> None:
    with client(durable, use="orders") as shop:
        id = shop.put("order 1", delay=1)
        restart(durable, end)
    with client(durable, watch="orders") as closer:
        assert closer.reserve(timeout=TIMEOUT_S).id == id


@both_signals
def test_counts_continue_after_a_restart(durable: Daemon, end: signal.Signals) -> None:
    with client(durable, use="mails", watch="mails") as worker:
        worker.put("to ann", priority=5)
        worker.release(worker.reserve(timeout=TIMEOUT_S), priority=6)
        worker.release(worker.reserve(timeout=TIMEOUT_S), priority=7, delay=0)
        restart(durable, end)
    with client(durable, use="mails", watch="mails") as worker:
        job = worker.reserve(timeout=TIMEOUT_S)
        stats = worker.stats_job(job)
        assert (stats["releases"], stats["pri"], stats["reserves"]) == (2, 7, 3)


@both_signals
def test_cycling_job_survives_restarts(durable: Daemon, end: signal.Signals) -> None:
    with client(durable) as owner:
        owner.put("mailbox")
    for number in range(3):
        with client(durable) as worker:
            for step in range(5):
                job = worker.reserve(timeout=TIMEOUT_S)
                assert worker.stats_job(job)["releases"] == number * 6 + step
                worker.release(job, priority=step)
            job = worker.reserve(timeout=TIMEOUT_S)
            worker.release(job, priority=0)
            restart(durable, end)
    with client(durable) as worker:
        assert worker.stats_job(worker.reserve(timeout=TIMEOUT_S))["releases"] == 18


@both_signals
def test_restart_under_load_loses_nothing(durable: Daemon, end: signal.Signals) -> None:
    """Producers and workers reconnect. Every acknowledged put is done, and no job is done after its
    delete was acknowledged.
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
    assert flow.acknowledged - flow.done == set(), "lost"
    assert flow.done_again == [], "reserved again after an acknowledged delete"


class Flow:
    """Producers and workers that continue while the server restarts."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.acknowledged: set[str] = set()  # bodies whose put has a reply
        self.done: set[str] = set()
        self.deleted: set[str] = set()  # bodies whose delete has a reply
        self.done_again: list[str] = []
        self.producing = self.working = True
        self._changed = threading.Condition()

    def wait_until_done(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.deleted) >= count, TIMEOUT_S), (
                f"only {len(self.deleted)} of {count}"
            )

    def produce(self, name: int) -> None:
        number = 0
        while self.producing:
            number += 1
            body = f"{name}/{number}"
            if self.attempt(partial(greenstalk.Client.put, body=body)):
                with self._changed:
                    self.acknowledged.add(body)

    def work(self) -> None:
        """Works until there is no job left and no producer."""
        while True:
            last = not self.working
            try:
                self.attempt(self.do_one)
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

    def attempt(self, call: Callable[[greenstalk.Client[str]], object]) -> bool:
        """Calls once, on a new connection. Returns False if the server ended before the reply."""
        try:
            with client(self.daemon) as own:
                call(own)
            return True
        except (OSError, AssertionError):  # the client asserts that replies are complete
            time.sleep(POLL_S)  # the server starts again
            return False
