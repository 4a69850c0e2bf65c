"""Frees cycles of garbage without ever walking the jobs.

Our own objects leave no cycles; libraries do (ssl, HTTP). Python's collector would find them, but
it walks every object that it tracks: with a million jobs one full collection takes a second. So it
does not run by itself, and `Collector` makes each collection a small one:

1. It lists the tracked objects that are new since the last collection, or were kept by it.
2. `gc.freeze` takes them all out of the collector's sight, in constant time.
3. All but the jobs are tracked again: PyObject_GC_UnTrack and PyObject_GC_Track, two calls of
   Python's public C API, put an object among the young ones.
4. The collector runs. It visits only those objects.

A job is thus listed once and never walked. What existed when the server began to serve is frozen
before, jobs from the log included. Of more than KEPT_MAX objects the oldest ones stay frozen: a
cycle of objects that old is not found. So a transport breaks its own cycles in `close`.

Measured (Python 3.11; tools/bench/collector.py): 60 ns for each job that is listed, 1.1 us for each
object that is kept. With LIMIT and KEPT_MAX as below a collection takes 4 ms at most, whatever the
number of jobs; on average 0.08 us a put if 50 clients only put, and nothing if jobs come and go.
"""

import ctypes
import gc
from collections.abc import Callable
from sys import getsizeof

from beanstalkd_py.queue.model import Job

LIMIT = 20_000  # new objects, net of those that are gone, before the next collection
KEPT_MAX = 2_500  # objects that a collection visits; a connection has 8
# A container of this size stays frozen: of job ids, most likely. The collector looks at each thing
# that a container holds.
LARGE_BYTES = 64 * 1024


class Collector:
    """Takes over from Python's automatic collector."""

    def __init__(self) -> None:
        self._renew = _renewer()

    def begin(self) -> None:
        """To be called once, when the log is read: nothing that exists now is ever walked."""
        gc.disable()
        gc.freeze()

    def look(self) -> None:
        """To be called often: collects if many objects are new."""
        if gc.get_count()[0] > LIMIT:
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
        del new, kept  # else what they hold would not be garbage
        gc.collect()
        return visited


def _not_jobs(objects: list[object]) -> list[object]:
    return [each for each in objects if type(each) is not Job]


def _renewer() -> Callable[[object], None]:
    """Makes an object that the collector tracks a young one; of a frozen one, too."""
    untrack = ctypes.pythonapi.PyObject_GC_UnTrack
    track = ctypes.pythonapi.PyObject_GC_Track
    for function in (untrack, track):
        function.argtypes = (ctypes.py_object,)
        function.restype = None

    def renew(each: object) -> None:
        untrack(each)
        track(each)

    return renew
