"""Frees cycles of garbage without ever walking the jobs.

Our own objects leave no cycles; libraries do (ssl, HTTP). Python's collector would find them, but
it walks every object that it tracks: with a million jobs one full collection takes a second. So it
does not run by itself, and `Collector` makes each collection a small one:

1. It lists the tracked objects that are new since the last collection, or that survived it.
2. `gc.freeze` hides all objects from the collector, in constant time.
3. All listed objects except jobs are tracked again: PyObject_GC_UnTrack and PyObject_GC_Track, two
   functions of Python's public C API, move an object to the youngest generation.
4. The collector runs. It visits only those objects.

So a job is listed once and never walked. Objects that existed before the server began to serve stay
frozen, including jobs from the log. If more than KEPT_MAX objects survive, the oldest ones stay
frozen, and a cycle among them is never found. So `Connection.abandon` breaks its own cycles.

Measured (Python 3.11; tools/bench/collector.py): 60 ns for each job that is listed, 1.1 us for each
object that is kept. With LIMIT and KEPT_MAX as below, a collection takes at most 4 ms, whatever the
number of jobs. If 50 clients only put, collections cost 0.08 us per put on average. If jobs are
deleted as fast as they are put, collections cost less than 0.01 us per put.
"""

import ctypes
import gc
from collections.abc import Callable
from contextlib import suppress
from sys import getsizeof

from beanstalkd_py.queue.model import Job

# So many new objects, less freed ones, cause the next collection. So many objects of new jobs and
# connections cause it too: while as many older ones are freed, the first number stays small.
LIMIT = 20_000
CONNECTION_OBJECTS = 8  # tracked objects of one connection
KEPT_MAX = 2_500  # objects that a collection visits
# A container of this size (bytes) stays frozen, because the collector visits every item of a
# container. Most likely its items are jobs or their ids: a block of jobs is larger.
LARGE_BYTES = 4096


class Collector:
    """Takes over from Python's automatic collector."""

    def __init__(self) -> None:
        self._renew = _renewer()
        self._made = 0  # objects of jobs and connections, before the latest collection

    def begin(self) -> None:
        """To be called once, when replay has ended: no object that exists now is ever walked."""
        gc.disable()
        gc.freeze()

    def collect_if_due(self, jobs: int, connections: int) -> None:
        """Collects if more than LIMIT objects are new. To be called often. jobs, connections: how
        many there ever were.
        """
        made = jobs + CONNECTION_OBJECTS * connections
        if gc.get_count()[0] > LIMIT or made - self._made > LIMIT:
            self._made = made
            with suppress(MemoryError):  # a later collection frees what this one does not
                self.collect()

    def collect(self) -> int:
        """Returns how many objects the collector visited."""
        new = _not_jobs(gc.get_objects(0))
        new.reverse()  # the youngest first
        kept = new + _not_jobs(gc.get_objects(1)) + _not_jobs(gc.get_objects(2))
        kept = [each for each in kept[:KEPT_MAX] if getsizeof(each, 0) < LARGE_BYTES]
        gc.freeze()
        visited = len(kept)
        for each in kept:
            self._renew(each)
        each = None
        del new, kept  # these lists would keep their items alive
        gc.collect()
        return visited


def _not_jobs(objects: list[object]) -> list[object]:
    return [each for each in objects if type(each) is not Job]


def _renewer() -> Callable[[object], None]:
    """Returns a function that moves a tracked object, frozen or not, to the youngest generation."""
    untrack = ctypes.pythonapi.PyObject_GC_UnTrack
    track = ctypes.pythonapi.PyObject_GC_Track
    for function in (untrack, track):
        function.argtypes = (ctypes.py_object,)
        function.restype = None

    def renew(each: object) -> None:
        untrack(each)
        track(each)

    return renew
