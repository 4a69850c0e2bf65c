"""Jobs that move to another tube.

The heap and the buckets of the old tube may keep entries of such a job. In the job's new state such
an entry can look live. So from its first move on, a tube has collections that also look at the
job's tube. Tubes without moves have the plain ones, and no command of theirs costs more.
"""

from heapq import heappop

from beanstalkd_py.queue.attributes import Attributes, id_of_key
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.lazyheap import BURIED, DELAYED, ID_MASK, READY, RESERVED, LazyHeap
from beanstalkd_py.queue.model import Job, Tube
from beanstalkd_py.queue.ready import ReadyJobs
from beanstalkd_py.queue.state import State
from beanstalkd_py.queue.tubebytes import TubeBytes


class GuardedHeap(LazyHeap[Job]):
    """A heap that drops entries of jobs that are in another tube."""

    __slots__ = ("_tube",)

    def __init__(self, tube: Tube, state: int, heap: LazyHeap[Job]) -> None:
        """Takes over the entries of `heap`."""
        super().__init__(tube.table, state)
        self.keys = heap.keys
        self._tube = tube

    def first(self) -> Job | None:
        while (job := super().first()) is not None and job.tube is not self._tube:
            heappop(self.keys)
        return job

    def is_live(self, key: int) -> bool:
        return super().is_live(key) and self._jobs[key & ID_MASK].tube is self._tube


class GuardedReadyJobs(ReadyJobs[Job]):
    """The same for ready jobs."""

    __slots__ = ("_tube",)

    def __init__(self, tube: Tube) -> None:
        super().__init__(tube.table)
        old = tube.ready
        self.buckets = old.buckets
        self.priorities = old.priorities
        self.in_buckets = old.in_buckets
        self.heap = GuardedHeap(tube, READY, old.heap)
        self.keys = self.heap.keys
        self._tube = tube

    def first(self) -> Job | None:
        # The heap returns no job of another tube, so such a job is from the bucket.
        while (job := super().first()) is not None and job.tube is not self._tube:
            self.buckets[job.pri].popleft()
            self.in_buckets -= 1
        return job


def apply_move(
    state: State, job: Job, name: bytes, deadline_at: int, attributes: Attributes | None = None
) -> None:
    """Moves the job to the tube of this name. The old tube stays, even without jobs. deadline_at: a
    buried job gets a new sequence number. attributes: those from now on; None: as before.
    """
    old = job.tube
    attributes = attributes or state.attributes.get(job.id)
    if old.guarded:
        state.set_attributes(job, None)
        if isinstance(old.counted, TubeBytes):
            old.counted.discard(job)
    new = state.tube(name)
    state.leave(job)
    if not isinstance(old.ready, GuardedReadyJobs):
        old.ready = GuardedReadyJobs(old)
        old.delayed = GuardedHeap(old, DELAYED, old.delayed)
    old.jobs -= 1
    new.jobs += 1
    job.tube = new
    job.deadline_at = deadline_at
    state.enter(job)
    if isinstance(new.counted, TubeBytes):
        new.counted.add(job)
    if attributes is not None:
        state.set_attributes(job, attributes)


def move_as_it_is(state: State, job: Job, name: bytes, now: int) -> bool:
    """`move` of a job in any state except reserved."""
    assert job.state != RESERVED
    _, timeouts, releases, buries, kicks = job.history
    counters = (job.reserves, timeouts, releases, buries, kicks)
    deadline_at = state.next_bury if job.state == BURIED else job.deadline_at
    attributes = state.attributes.get(job.id)
    if attributes is not None and (
        (attributes.until_reserve and job.reserves)
        or id_of_key(state.tubes.get(name), attributes.key)
    ):
        attributes = attributes._replace(key=b"", until_reserve=False)
    return move(
        state, job, name, now, job.state, job.pri, job.delay, deadline_at, counters, attributes
    )


def move(
    state: State,
    job: Job,
    name: bytes,
    now: int,
    to: int,
    pri: int,
    delay: int,
    deadline_at: int,
    counters: Counters,
    attributes: Attributes | None,
) -> bool:
    """Journal, then memory. False when the journal has no headroom: nothing has changed. to: the
    state in the tube of this name. attributes: None if the job has none before and after the move.
    """
    if state.journal is not None and not state.journal.move(
        job, name, to, pri, delay, deadline_at, counters, attributes
    ):
        return False
    old = job.tube
    state.apply_change(job, to, pri, delay, deadline_at, counters)
    apply_move(state, job, name, deadline_at, attributes)
    _offer_both(state, job, old, now)
    return True


def _offer_both(state: State, job: Job, old: Tube, now: int) -> None:
    """The job may be ready in its new tube. If it was reserved, its old tube may have one more
    reserved job now. The better of the two comes first.
    """
    new = job.tube
    turn = state.reservable(old, now) if old.waiting and old.ready_count and old.guarded else None
    if turn is not None and (turn.pri, turn.id) < (job.pri, job.id):
        state.offer(old, now)
        state.offer(new, now)
    else:
        state.offer(new, now)
        state.offer(old, now)
