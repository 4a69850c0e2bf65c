"""A deterministic scheduler for the log's threads: each is a greenlet that runs only when it is
told to, up to its next file-system call.

`simulated_threads` replaces threading and queue objects in the log's modules by the classes below.
The simulated disk calls `Scheduler.pause` in every call. So anything the main greenlet does can
fall between any two file-system calls of the committer and the preparer.

May know: greenlets; which names the log's modules import. Promises: everything runs in one OS
thread; a simulated thread runs only when `step` is called or while main waits for a condition.
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

MAX_STEPS = 1_000_000  # a longer wait counts as a deadlock


class Scheduler:
    """Holds the simulated threads. `main` is the greenlet of the server's loop."""

    def __init__(self) -> None:
        self.main: Any = greenlet.getcurrent()
        self.all: list[SimulatedThread] = []

    def pause(self) -> None:
        """A simulated thread gives control back to main. For main itself: does nothing."""
        if greenlet.getcurrent() is not self.main:
            self.main.switch()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Blocks the caller. While main waits, the other threads run in turn."""
        current = greenlet.getcurrent()
        thread = next((thread for thread in self.all if thread.greenlet is current), None)
        for _ in range(MAX_STEPS):
            if ready():
                return
            if thread is None:
                for other in self.all:
                    other.step()
            else:
                thread.ready = ready
                self.main.switch()
                thread.ready = _always
        raise RuntimeError("deadlock: a wait did not end")

    def runnable(self) -> list[SimulatedThread]:
        return [thread for thread in self.all if thread.is_runnable()]

    def kill(self, error: BaseException) -> None:
        """The process ends: `error` is raised in each thread, at the point where it paused."""
        for thread in self.all:
            thread.kill(error)
        self.all.clear()


class SimulatedThread:
    """Replaces threading.Thread."""

    def __init__(self, scheduler: Scheduler, target: Callable[[], None]) -> None:
        self.greenlet: Any = greenlet.greenlet(target, parent=scheduler.main)
        self.ready: Callable[[], bool] = _always  # the condition that the thread waits for
        self.scheduler = scheduler
        self.started = False

    def start(self) -> None:
        self.started = True
        self.scheduler.all.append(self)

    def join(self) -> None:
        self.scheduler.wait_until(lambda: bool(self.greenlet.dead))

    def is_runnable(self) -> bool:
        return self.started and not self.greenlet.dead and self.ready()

    def step(self) -> None:
        """Runs up to the next pause. An exception that the thread does not catch is raised here."""
        if self.is_runnable():
            self.greenlet.switch()

    def kill(self, error: BaseException) -> None:
        if self.greenlet and not self.greenlet.dead:
            try:
                self.greenlet.throw(error)
            except type(error):
                pass


class Lock:
    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.held = False

    def __enter__(self) -> None:
        self.scheduler.wait_until(lambda: not self.held)
        self.held = True

    def __exit__(self, *failure: object) -> None:
        self.held = False


class Event:
    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.is_set = False

    def set(self) -> None:
        self.is_set = True

    def wait(self) -> None:
        self.scheduler.wait_until(lambda: self.is_set)


class Queue:
    """Replaces SimpleQueue."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.items: deque[Any] = deque()

    def put(self, item: Any) -> None:
        self.items.append(item)

    def get(self) -> Any:
        self.scheduler.wait_until(lambda: bool(self.items))
        return self.items.popleft()

    def empty(self) -> bool:
        return not self.items


@contextmanager
def simulated_threads(scheduler: Scheduler) -> Iterator[None]:
    """Must be active as long as a log opened with `threaded` is in use."""

    class BoundEvent(Event):  # a class, because the log uses isinstance()
        def __init__(self) -> None:
            super().__init__(scheduler)

    def thread(target: Callable[[], None], **options: object) -> SimulatedThread:
        return SimulatedThread(scheduler, target)

    threading = SimpleNamespace(Thread=thread, Event=BoundEvent, Lock=lambda: Lock(scheduler))

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


def _always() -> bool:
    return True
