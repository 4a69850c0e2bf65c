"""dramatiq's own worker on the broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import dramatiq
import pytest
from dramatiq.worker import Worker
from testkit.daemon import Daemon
from testkit.waiting import wait_until

from beanstalkd_py.dramatiq import BeanstalkdBroker
from tests.dramatiq.conftest import Look, message


@pytest.fixture
def may_end() -> Event:
    """Actors wait for it. The end of a failed test sets it too, so that its worker can stop."""
    return Event()


@pytest.fixture
def work(broker: BeanstalkdBroker, may_end: Event) -> Iterator[Callable[..., Worker]]:
    """Starts a worker whose actor `work` calls the function."""
    workers = []

    def start(function: Callable[..., object], threads: int = 1, **options: Any) -> Worker:
        dramatiq.actor(function, actor_name="work", broker=broker, **options)
        worker = Worker(broker, worker_timeout=20, worker_threads=threads)
        workers.append(worker)
        worker.start()
        return worker

    yield start
    may_end.set()
    for worker in workers:
        worker.resume()
        worker.stop()


def test_actors_are_called(broker: BeanstalkdBroker, work: Callable[..., Worker]) -> None:
    got: list[int] = []
    for n in range(50):
        broker.enqueue(message(n))
    work(got.append, threads=3)
    broker.join("default", interval=5)
    assert sorted(got) == list(range(50))


def test_priority_decides_in_one_queue(
    broker: BeanstalkdBroker, work: Callable[..., Worker]
) -> None:
    """Of all messages that wait, not only of those that the worker has received."""
    got: list[str] = []
    urgent = dramatiq.actor(
        lambda: got.append("urgent"), actor_name="urgent", broker=broker, priority=-1
    )
    for _ in range(10):
        broker.enqueue(message("other"))
    urgent.send()
    work(got.append)  # it receives two at a time
    broker.join("default", interval=5)
    assert got.index("urgent") == 0


def test_failed_message_is_retried_and_then_a_dead_letter(
    broker: BeanstalkdBroker, work: Callable[..., Worker], look: Look
) -> None:
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        raise RuntimeError("as it must")

    broker.enqueue(message())
    work(fail, max_retries=1)
    wait_until(lambda: look(dead=True) == (1, 0, 0, 0), "the message is a dead letter")
    assert len(runs) == 2
    assert look() == (0, 0, 0, 0)


def test_delayed_messages_are_independent(
    broker: BeanstalkdBroker, work: Callable[..., Worker]
) -> None:
    got: list[str] = []
    broker.enqueue(message("second"), delay=2000)
    broker.enqueue(message("first"), delay=1000)
    work(got.append)
    broker.join("default", interval=5)
    assert got == ["first", "second"]


def test_old_message_is_a_dead_letter(
    broker: BeanstalkdBroker, work: Callable[..., Worker], look: Look
) -> None:
    got: list[object] = []
    broker.enqueue(message("old", max_age=0.001).copy(message_timestamp=1))
    broker.enqueue(message("new"))
    work(got.append)
    wait_until(lambda: look(dead=True) == (1, 0, 0, 0), "the message is a dead letter")
    broker.join("default", interval=5)
    assert got == ["new"]


def test_message_of_unknown_actor_is_a_dead_letter(
    broker: BeanstalkdBroker, work: Callable[..., Worker], look: Look
) -> None:
    broker.enqueue(message().copy(actor_name="unknown"))
    work(print)
    wait_until(lambda: look(dead=True) == (1, 0, 0, 0), "the message is a dead letter")


def test_stopped_worker_returns_its_messages(
    broker: BeanstalkdBroker, work: Callable[..., Worker], look: Look, may_end: Event
) -> None:
    begun = Event()

    def wait() -> None:
        begun.set()
        may_end.wait()

    for _ in range(4):
        broker.enqueue(message())
    worker = work(wait)
    begun.wait()
    wait_until(lambda: look() == (2, 2, 0, 0), "the worker has two")
    for thread in worker.workers:
        thread.stop()
    may_end.set()
    worker.stop()
    assert look() == (3, 0, 0, 0)


def test_paused_worker_keeps_what_it_processes(
    quick_restarts: None,
    broker: BeanstalkdBroker,
    work: Callable[..., Worker],
    look: Look,
    may_end: Event,
) -> None:
    """A pause closes the consumer."""
    begun, got = Event(), []

    def wait(n: int) -> None:
        got.append(n)
        begun.set()
        may_end.wait()

    broker.enqueue(message(1))
    worker = work(wait)
    begun.wait()
    for consumer in worker.consumers.values():
        consumer.pause()
        consumer.paused_event.wait()
    assert look() == (0, 1, 0, 0)
    may_end.set()
    wait_until(lambda: look() == (0, 0, 0, 0), "the message is finished")
    broker.enqueue(message(2))
    worker.resume()
    broker.join("default", interval=5)
    assert got == [1, 2]


PROGRAM = """
import sys, time
from dramatiq import actor
from dramatiq.worker import Worker
from beanstalkd_py.dramatiq import BeanstalkdBroker

broker = BeanstalkdBroker(sys.argv[1], prefix=sys.argv[2])

@actor(broker=broker)
def work():
    print("begun", flush=True)
    if sys.argv[3] == "hangs":
        time.sleep(3600)

worker = Worker(broker, worker_threads=1)
worker.start()
sys.stdin.read()
worker.stop()
"""


def test_message_of_a_killed_worker_is_run_again(
    server: Daemon, broker: BeanstalkdBroker, look: Look
) -> None:
    broker.enqueue(message())

    def run(how: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.address, broker.prefix, how],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": ":".join(sys.path)},
        )

    with run("hangs") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.kill()
    assert look()[0] + look()[1] == 1
    with run("ends") as process:
        assert process.communicate()[0] == b"begun\n"
    assert process.returncode == 0
    assert look() == (0, 0, 0, 0)
