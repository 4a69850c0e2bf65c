"""Jobs of a tube in one state that match a filter, by ascending id, in slices.

Each job has its fixed place in the job table, so a change between two slices hides no job and shows
none twice. A long body is searched in pieces, and the loop has turns in between.
"""

from collections.abc import Callable, Iterator

from beanstalkd_py.http.api.source import Filter
from beanstalkd_py.queue.jobtable import BLOCK_BITS
from beanstalkd_py.queue.model import NEVER, Job, Tube
from beanstalkd_py.queue.state import State

PIECE = 8 << 10  # bytes of a body that are searched at once
_NS = 1_000_000_000


class Search:
    """The jobs above the id `after`, up to the highest id at the beginning. seen: all jobs up to
    this id were looked at. complete: nothing is left to look at. now: returns boot time, ns. check:
    gives the loop a turn if it is time. until: boot time at which the search stops.
    """

    def __init__(
        self,
        state: State,
        tube: Tube,
        wanted: int,
        filter: Filter,
        now: Callable[[], int],
        check: Callable[[], None],
        after: int = 0,
        until: int = NEVER,
    ) -> None:
        self.seen = after
        self.complete = False
        self._until = until
        self._state = state
        self._tube = tube
        self._wanted = wanted
        self._filter = filter
        self._now = now
        self._check = check

    def matches(self) -> Iterator[Job]:
        """The job is as it matches until the caller lets the loop turn."""
        blocks = self._state.jobs.numbers()
        highest = self._state.next_id
        for number in blocks:
            if (number + 1) << BLOCK_BITS <= self.seen:
                continue
            for job in self._state.jobs.block(number):
                if job.id <= self.seen:
                    continue
                if job.id >= highest:
                    break
                if self._is_wanted(job):
                    self._check()
                    if self._now() > self._until:
                        return
                    if self._matches(job):
                        self.seen = job.id
                        yield job
                self.seen = job.id
            self._check()
            if self._now() > self._until:
                return
        self.complete = True

    def _is_wanted(self, job: Job) -> bool:
        return job.state == self._wanted and job.tube is self._tube

    def _matches(self, job: Job) -> bool:
        """Also after turns of the loop, in which the job may have changed."""
        filter = self._filter
        if filter.needles:
            body = job.body
            if not all(contains(body, needle, self._check) for needle in filter.needles):
                return False
        if not self._is_wanted(job) or self._state.jobs.get(job.id) is not job:
            return False
        if filter.min_attempts is not None and job.reserves < filter.min_attempts:
            return False
        if filter.max_attempts is not None and job.reserves > filter.max_attempts:
            return False
        age = self._now() - job.created_at
        if filter.min_age is not None and age < filter.min_age * _NS:
            return False
        return filter.max_age is None or age // _NS <= filter.max_age


def contains(body: bytes, needle: bytes, check: Callable[[], None]) -> bool:
    """Whether the body has these bytes somewhere."""
    end = len(body)
    overlap = len(needle) - 1
    for begin in range(0, max(end - overlap, 0), PIECE):
        if body.find(needle, begin, begin + PIECE + overlap) >= 0:
            return True
        if begin + PIECE < end:
            check()
    return False
