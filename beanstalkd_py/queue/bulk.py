"""Commands that the C server does not have, on many jobs of a tube. They are done in slices: other
clients are served between two slices, as with a kick.

A command ends with the jobs that its tube had when it began, or earlier if others take them.
"""

from typing import Final

from beanstalkd_py.queue import moved
from beanstalkd_py.queue.model import DELAYED, READY, RESERVED, Job, Tube
from beanstalkd_py.queue.outcome import DONE, NO_HEADROOM, NOT_FOUND, UNFINISHED, Outcome
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.state import SLICE_JOBS

SLICE_MOVES: Final = SLICE_JOBS // 2  # a move with its record takes twice as long as a kick


class Sweep:
    """The jobs of a tube in some states, at most `bound` of each. They come in the order in which
    they would be served.
    """

    __slots__ = ("done", "parts", "tube")

    def __init__(self, tube: Tube, states: tuple[int, ...], bound: int = 1 << 62) -> None:
        self.tube = tube
        self.parts = [(state, min(bound, _count(tube, state))) for state in states]
        self.done = 0

    def next(self) -> Job | None:
        """The next job. The caller must change its state, its tube, or delete it."""
        while self.parts:
            state, left = self.parts[0]
            job = _first(self.tube, state) if left else None
            if job is not None:
                self.parts[0] = state, left - 1
                return job
            del self.parts[0]
        return None

    def end(self, queue: Queue, refused: bool) -> int | Outcome:
        """Returns how many jobs were done; NO_HEADROOM if the journal refused the first one."""
        tube = self.tube
        if queue.tubes.get(tube.name) is tube:
            queue.remove_if_unused(tube)
        return NO_HEADROOM if refused and not self.done else self.done


def _count(tube: Tube, state: int) -> int:
    if state == READY:
        return tube.ready_count
    return tube.delayed_count if state == DELAYED else len(tube.buried)


def _first(tube: Tube, state: int) -> Job | None:
    if state == READY:
        return tube.ready.first()
    return tube.delayed.first() if state == DELAYED else next(iter(tube.buried.values()), None)


def truncate(queue: Queue, sweep: Sweep) -> int | Outcome:
    """Deletes the next slice. Returns what `Sweep.end` does; UNFINISHED if jobs are left."""
    for _ in range(SLICE_JOBS):
        job = sweep.next()
        if job is None:
            return sweep.end(queue, False)
        if queue.journal is not None and not queue.journal.delete(job):
            return sweep.end(queue, True)
        queue.remove(job)
        sweep.done += 1
    return UNFINISHED


def move_jobs(queue: Queue, sweep: Sweep, name: bytes, now: int) -> int | Outcome:
    """Moves the next slice of jobs to the tube of this name, which may be new. Returns the same."""
    if name == sweep.tube.name:
        return 0
    for _ in range(SLICE_MOVES):
        job = sweep.next()
        if job is None:
            return sweep.end(queue, False)
        if not moved.move_as_it_is(queue, job, name, now):
            return sweep.end(queue, True)
        sweep.done += 1
    return UNFINISHED


def move_job(queue: Queue, now: int, id: int, name: bytes) -> Outcome:
    """Moves one job by its id, in any state except reserved."""
    job = queue.jobs.get(id)
    if job is None or job.state == RESERVED:
        return NOT_FOUND
    old = job.tube
    if name != old.name:
        if not moved.move_as_it_is(queue, job, name, now):
            return NO_HEADROOM
        queue.remove_if_unused(old)
    return DONE
