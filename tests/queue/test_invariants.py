"""Random commands of several clients, and time: after each step all counts, heaps and lists of the
queue agree with its jobs.

The seed is part of the test's name. `QUEUE_SEEDS=1000 pytest tests/queue/test_invariants.py` tries
more.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.lazyheap import ID_BITS
from beanstalkd_py.queue.model import (
    BURIED,
    DELAYED,
    MARGIN,
    NEVER,
    READY,
    RESERVED,
    URGENT,
    Client,
    Tube,
)
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.ready import BUCKETS

SECOND = 1_000_000_000
SEEDS = range(int(os.environ.get("QUEUE_SEEDS", "15")))
STEPS = 500
TUBES = ("default", "a", "b", "c")


def command(rng: Random, queue: Queue, client: Client) -> str:
    id = rng.choice([*queue.jobs, 99999])
    pri = rng.choice([0, 1, 1023, 1024, 5000])
    delay = rng.choice([0, 0, 1, 3, 100])
    tube = rng.choice(TUBES)
    held = [*client.reserved] or [99999]
    return rng.choice(
        [
            f"put {pri} {delay} {rng.choice([1, 2, 5, 60])} 1\r\nx",
            f"put {pri} 0 {rng.choice([1, 2, 5, 60])} 1\r\nx",
            *["reserve"] * 4,
            *[f"reserve-with-timeout {rng.choice([0, 1, 2, 30])}"] * 4,
            f"reserve-job {id}",
            *[f"delete {id}"] * 3,
            *[f"release {rng.choice(held)} {pri} {delay}"] * 2,
            f"bury {rng.choice(held)} {pri}",
            f"touch {rng.choice(held)}",
            f"kick {rng.choice([0, 1, 3, 100])}",
            f"kick-job {id}",
            f"truncate {tube}{rng.choice(['', ' ready', ' delayed', ' buried'])}",
            *[f"move-job {id} {tube}"] * 2,
            f"move-jobs {tube} {rng.choice(['ready', 'delayed', 'buried'])} {rng.choice(TUBES)} "
            f"{rng.choice([0, 1, 2, 100])}",
            f"use {tube}",
            f"watch {tube}",
            f"ignore {tube}",
            f"pause-tube {tube} {rng.choice([0, 1, 3, 100])}",
        ]
    )


class Refusing:
    """A journal that has no headroom at times."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.refused = 0

    def has_headroom(self) -> bool:
        refuses = self.rng.random() < 0.3
        self.refused += refuses
        return not refuses

    def put(self, *arguments: object) -> object:
        return object() if self.has_headroom() else None

    put_with = put

    def change(self, *arguments: object) -> bool:
        return self.has_headroom()

    delete = pause = move = policy = run = change


class Play:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.queue = Queue()
        self.dispatcher = Dispatcher(self.queue)
        self.now = 1000 * SECOND
        self.sessions: list[Session] = []

    def step(self) -> str:
        rng = self.rng
        self.now += rng.choice([0, 1, 1000, SECOND // 3])
        if rng.random() < 0.1:
            self.now += rng.choice([1, 2, 5, 200]) * SECOND
        if self.queue.next_at <= self.now:
            self.queue.tick(self.now)
        if len(self.sessions) < 5:
            self.sessions.append(Session(self.dispatcher))
        session = rng.choice(self.sessions)
        what = rng.random()
        if what < 0.94:
            done = command(rng, self.queue, session.client)
            before = self.state()
            session.receive(done.encode() + b"\r\n", self.now)
            if session.take_output() == b"OUT_OF_MEMORY\r\n":
                assert self.state() == before, done
        elif what < 0.95:
            done = "half-close"
            session.hang_up(self.now)
        else:
            done = "close"
            self.sessions.remove(session)
            session.lost(self.now)
        Session.settle(self.dispatcher, self.now)
        for each in self.sessions:
            each.take_output()
        return done

    def state(self) -> object:
        """Everything that a refused command must not change."""
        jobs = {
            job.id: (
                job.state,
                job.pri,
                job.delay,
                job.deadline_at,
                job.reserves,
                job.releases,
                job.owner,
            )
            for job in self.queue.jobs.values()
        }
        return jobs, {tube.name: (tube.pause, tube.paused_until) for tube in self.queue.tube_list}

    def check(self) -> None:
        queue = self.queue
        clients = [session.client for session in self.sessions]
        assert not queue.woken
        assert queue.next_at > self.now or queue.next_at == min(entry[0] for entry in queue.timers)
        assert queue.connections == len(clients)
        assert queue.waiting == sum(client.waiting for client in clients)
        assert (queue.producers, queue.workers) == (
            sum(client.producer for client in clients),
            sum(client.worker for client in clients),
        )
        for client in clients:
            self.check_client(client)
        for place, tube in enumerate(queue.tube_list):
            assert (queue.tubes[tube.name], tube.place) == (tube, place)
            self.check_tube(tube, clients)
        assert len(queue.tubes) == len(queue.tube_list)
        states = Counter(job.state for job in queue.jobs.values())
        assert [states[state] for state in (READY, RESERVED, DELAYED, BURIED)] == [
            queue.ready_count, queue.reserved_count, queue.delayed_count, queue.buried_count,
        ]  # fmt: skip
        assert queue.urgent_count == sum(tube.urgent_count for tube in queue.tube_list)

    def check_client(self, client: Client) -> None:
        held = [job for job in self.queue.jobs.values() if job.owner is client]
        assert sorted(client.reserved) == sorted(job.id for job in held)
        assert all(
            job.state == RESERVED and job.deadline_at << ID_BITS | job.id in client.deadlines.keys
            for job in held
        )
        assert client.places == {tube: place for place, tube in enumerate(client.watched)}
        assert client.used in self.queue.tube_list and all(
            tube in self.queue.tube_list for tube in client.watched
        )
        ends = [job.deadline_at for job in held]
        if client.waiting:
            assert not client.half_closed
            assert not any(tube.ready_count and not tube.paused_until for tube in client.watched), (
                "it waits, and there is a job for it"
            )
            ends = [at - MARGIN for at in ends] + (
                [client.wait_until] if client.wait_until != NEVER else []
            )
        self.check_timer(client, ends)

    def check_tube(self, tube: Tube, clients: list[Client]) -> None:
        jobs = [job for job in self.queue.jobs.values() if job.tube is tube]
        by_state = {
            state: [job for job in jobs if job.state == state]
            for state in (READY, RESERVED, DELAYED, BURIED)
        }
        assert len(jobs) == tube.jobs
        assert [len(by_state[state]) for state in (READY, RESERVED, DELAYED)] == [
            tube.ready_count,
            tube.reserved_count,
            tube.delayed_count,
        ]
        assert tube.urgent_count == sum(job.pri < URGENT for job in by_state[READY])
        ready = tube.ready
        in_buckets = {pri << ID_BITS | id for pri, ids in ready.buckets.items() for id in ids}
        assert all(
            job.pri << ID_BITS | job.id in {*in_buckets, *ready.keys} for job in by_state[READY]
        )
        assert len(in_buckets) == ready.in_buckets
        assert sorted(ready.priorities) == sorted(ready.buckets)
        assert len(ready.buckets) <= BUCKETS
        assert all(
            job.deadline_at << ID_BITS | job.id in tube.delayed.keys for job in by_state[DELAYED]
        )
        assert ready.first() is min(
            by_state[READY], key=lambda job: (job.pri, job.id), default=None
        )
        assert tube.delayed.first() is min(
            by_state[DELAYED], key=lambda job: (job.deadline_at, job.id), default=None
        )
        assert list(tube.buried.values()) == sorted(
            by_state[BURIED], key=lambda job: job.deadline_at
        )
        assert tube.using == sum(client.used is tube for client in clients)
        assert tube.watching == sum(tube in client.watched for client in clients)
        assert set(tube.waiting) == {
            client for client in clients if client.waiting and tube in client.watched
        }
        assert tube is self.queue.default or jobs or tube.using or tube.watching, (
            "the tube is unused"
        )
        self.check_timer(
            tube,
            [job.deadline_at for job in by_state[DELAYED]]
            + ([tube.paused_until] if tube.paused_until else []),
        )

    def check_timer(self, owner: Tube | Client, ends: list[int]) -> None:
        """The next tick is not too late."""
        if ends:
            assert owner.timer_at <= min(ends)
            assert min(ends) > self.now or owner.timer_at == self.now
        if owner.timer_at != NEVER:
            assert (owner.timer_at, owner.order, owner) in self.queue.timers


def run(play: Play) -> None:
    steps: list[str] = []
    for _ in range(STEPS):
        steps.append(play.step())
        try:
            play.check()
        except AssertionError as error:
            raise AssertionError(f"after {steps[-5:]}") from error


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_agree_after_each_step(seed: int) -> None:
    run(Play(Random(f"books {seed}")))


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_agree_when_the_journal_refuses_at_times(seed: int) -> None:
    """A refused command changes nothing."""
    play = Play(Random(f"full {seed}"))
    play.queue.journal = journal = Refusing(play.rng)
    run(play)
    assert journal.refused > 10
