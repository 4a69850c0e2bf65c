"""The log's threads as greenlets, which get on only when they are told to, up to their next pause:
one thread, and nothing left to chance.

`simulated_threads` puts them, and locks, events and queues of the same kind, where the log's
modules look for Python's own. The simulation lets its disk pause in every call, so what the log's
owner does falls between any two calls of its committer and its preparer.

May know: greenlets, which names the log's modules use. Promises: nobody gets on by himself, but for
those whom the owner waits for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import greenlet
from beanstalkd_wal import committer, directory, preparer, threads

FOR_EVER = 1_000_000  # steps: whoever is waited for will not come any more


class Scheduler:
    """All that run beside the owner."""

    def __init__(self) -> None:
        self.main: Any = greenlet.getcurrent()
        self.all: list[SimulatedThread] = []

    def pause(self) -> None:
        """For whoever runs beside the owner: lets him get on. For the owner himself: nothing."""
        if greenlet.getcurrent() is not self.main:
            self.main.switch()

    def await_that(self, ready: Callable[[], bool]) -> None:
        """The owner lets the others get on meanwhile."""
        thread = next(
            (thread for thread in self.all if thread.greenlet is greenlet.getcurrent()), None
        )
        for _ in range(FOR_EVER):
            if ready():
                return
            if thread is None:
                for other in self.all:
                    other.get_on()
            else:
                thread.ready = ready
                self.main.switch()
                thread.ready = _yes
        raise RuntimeError("a wait without end")

    def busy(self) -> list[SimulatedThread]:
        """Those who can get on."""
        return [thread for thread in self.all if thread.can_get_on()]

    def end(self, last_words: BaseException) -> None:
        """The process ends: whoever is in the middle of a call is interrupted there."""
        for thread in self.all:
            thread.end(last_words)
        self.all.clear()


class SimulatedThread:
    """In the place of threading.Thread."""

    def __init__(self, scheduler: Scheduler, target: Callable[[], None]) -> None:
        self.greenlet: Any = greenlet.greenlet(target, parent=scheduler.main)
        self.ready: Callable[[], bool] = _yes  # what it waits for
        self.scheduler = scheduler
        self.started = False

    def start(self) -> None:
        self.started = True
        self.scheduler.all.append(self)

    def join(self) -> None:
        self.scheduler.await_that(lambda: bool(self.greenlet.dead))

    def can_get_on(self) -> bool:
        return self.started and not self.greenlet.dead and self.ready()

    def get_on(self) -> None:
        """Up to its next pause; whatever nobody there catches is raised here."""
        if self.can_get_on():
            self.greenlet.switch()

    def end(self, last_words: BaseException) -> None:
        if self.greenlet and not self.greenlet.dead:
            try:
                self.greenlet.throw(last_words)
            except type(last_words):
                pass


class Lock:
    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.held = False

    def __enter__(self) -> None:
        self.scheduler.await_that(lambda: not self.held)
        self.held = True

    def __exit__(self, *failure: object) -> None:
        self.held = False


class Event:
    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.passed = False

    def set(self) -> None:
        self.passed = True

    def wait(self) -> None:
        self.scheduler.await_that(lambda: self.passed)


class Queue:
    """In the place of SimpleQueue."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.things: deque[Any] = deque()

    def put(self, thing: Any) -> None:
        self.things.append(thing)

    def get(self) -> Any:
        self.scheduler.await_that(lambda: bool(self.things))
        return self.things.popleft()

    def empty(self) -> bool:
        return not self.things


@contextmanager
def simulated_threads(scheduler: Scheduler) -> Iterator[None]:
    """As long as a log that is open with `threaded` is in use."""

    class Passed(Event):  # the log asks isinstance()
        def __init__(self) -> None:
            super().__init__(scheduler)

    def thread(target: Callable[[], None], **about: object) -> SimulatedThread:
        return SimulatedThread(scheduler, target)

    threading = SimpleNamespace(Thread=thread, Event=Passed, Lock=lambda: Lock(scheduler))

    def queue() -> Queue:
        return Queue(scheduler)

    with (
        patch.object(threads, "threading", threading),
        patch.object(directory, "threading", threading),
        patch.object(preparer, "threading", threading),
        patch.object(preparer, "SimpleQueue", queue),
        patch.object(committer, "SimpleQueue", queue),
    ):
        yield


def _yes() -> bool:
    return True
