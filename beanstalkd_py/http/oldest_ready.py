"""The oldest ready job of each tube, for /metrics. A scrape does a bounded amount of work for it.

A tube with few entries of ready jobs is searched in each scrape. All other tubes share passes over
the job table. A pass continues in each scrape, for SHARE of the time since the last one, or for
LEAST_S if that is longer. So for a tube with many priorities, the figure is that of the last pass.
The job that was the oldest then may be gone, and its age is shown all the same.
"""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

from beanstalkd_py.queue.listing import BLOCK_COST
from beanstalkd_py.queue.model import READY, Tube
from beanstalkd_py.queue.oldest import of_few
from beanstalkd_py.queue.state import State

FEW = 64  # entries of one tube
SLICE_JOBS = 4096  # between two turns of the loop: 1 ms
TUBE_COST = 16  # a tube costs as much as so many jobs of the table
SHARE = 0.01
LEAST_S = 0.005


class OldestReady:
    """created_at: the instant of its oldest ready job (boot time, ns) by tube, after `search`.

    A tube whose oldest job is not known yet, or that has no ready job, is not there.
    """

    def __init__(self, state: State, clock: Callable[[], float] = perf_counter) -> None:
        self.created_at: dict[Tube, int] = {}
        self._state = state
        self._clock = clock
        self._scraped_at = clock()
        self._pass: _Pass | None = None
        self._found: dict[Tube, int] = {}  # by the last pass

    def search(self, tubes: Sequence[Tube]) -> Iterator[None]:
        """Each yield is the place for a turn of the loop."""
        now = self._clock()
        left_s = max(SHARE * (now - self._scraped_at), LEAST_S)
        self._scraped_at = now
        found = {}
        others = set()
        seen = 0
        for tube in tubes:
            if not tube.ready_count:
                continue
            entries = len(tube.ready.keys) + len(tube.ready.buckets)
            job = of_few(tube, FEW) if entries <= FEW else None
            seen += TUBE_COST + 2 * min(entries, FEW)
            if job is None:
                others.add(tube)
            else:
                found[tube] = job.created_at
            if seen >= SLICE_JOBS:
                yield
                seen = 0
        yield from self._go_on(others, left_s)
        found.update((tube, at) for tube, at in self._found.items() if tube in others)
        self.created_at = found

    def _go_on(self, wanted: set[Tube], left_s: float) -> Iterator[None]:
        """Continues the pass for this time. If there is none, begins one for these tubes."""
        if self._pass is None:
            self._pass = _Pass(self._state, wanted)
        while left_s > 0:
            begin = self._clock()
            if self._pass.step():
                self._found = self._pass.found
                self._pass = None
                return
            left_s -= self._clock() - begin
            yield


class _Pass:
    """Over the job table, from the oldest job on, until each wanted tube has its first ready job.

    found: see `OldestReady.created_at`.
    """

    def __init__(self, state: State, wanted: set[Tube]) -> None:
        self.found: dict[Tube, int] = {}
        self._jobs = state.jobs
        self._wanted = set(wanted)
        self._blocks = iter(state.jobs.numbers() if wanted else ())

    def step(self) -> bool:
        """Looks at the next slice. True at the end."""
        wanted = self._wanted
        seen = 0
        while wanted and seen < SLICE_JOBS:
            number = next(self._blocks, None)
            if number is None:
                return True
            jobs = self._jobs.block(number)
            seen += len(jobs) + BLOCK_COST
            for job in jobs:
                if job.state == READY and job.tube in wanted:
                    self.found[job.tube] = job.created_at
                    wanted.discard(job.tube)
        return not wanted
