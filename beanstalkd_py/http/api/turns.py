"""Work that may take long, in slices: the loop has a turn after each, so commands do not wait.

One request works at a time: if each of sixty requests had a slice in the same turn, commands would
wait for all of them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic_ns
from typing import TypeVar

import gevent
from gevent.lock import Semaphore

from beanstalkd_py.http.gate import TURN_S

T = TypeVar("T")

SLICE_NS = 1_000_000


class Turns:
    """now: returns ns. turn: lets the loop handle what has happened."""

    def __init__(
        self,
        now: Callable[[], int] = monotonic_ns,
        turn: Callable[[], object] = lambda: gevent.sleep(TURN_S),
    ) -> None:
        self._now = now
        self._turn = turn
        self._lock = Semaphore(1)
        self._ends = 0

    @contextmanager
    def work(self) -> Iterator[None]:
        """Around work that calls `check`. Not to be nested."""
        self._begin()
        try:
            yield
        finally:
            self._lock.release()

    def check(self) -> None:
        """To be called often. Returns at once while the slice is not over."""
        if self._now() >= self._ends:
            self._turn()
            self._lock.release()
            gevent.sleep(0)  # others may work now
            self._begin()

    def each(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            yield item
            self.check()

    def _begin(self) -> None:
        self._lock.acquire()
        self._ends = self._now() + SLICE_NS
