"""Jobs, tubes and clients as the engine keeps them. No decisions here: fields, counts and the heaps
they stand in.

Heaps hold integers, `priority << 64 | id` or `instant << 64 | id`: smaller and quicker to compare than tuples, and a tie goes to the smaller id.
The entry on top leaves with its job. That of another job stays and is stale; it is dropped when it
comes to the top. A heap that is more than half stale is tidied: a small one is made anew, a large
one is gone through a few entries at a time, by those who left the stale ones, so that nobody waits
for it. So no heap costs more than a constant times what stands in it.

Ready jobs of one priority mostly come in the order of their ids. Those stand in a line, one for
each priority: to join it and to leave it at its head costs the same however long it is. Only who
comes out of order (a job that is released), or finds as many lines as there may be beside so few
jobs, stands in the tube's heap. The same holds for stale entries in a line as in a heap.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from itertools import groupby
from typing import Any

READY, RESERVED, BURIED, DELAYED = 1, 2, 3, 4  # the C server's numbers
STATE_NAMES = {READY: "ready", RESERVED: "reserved", DELAYED: "delayed", BURIED: "buried"}
URGENT = 1024  # priorities below count as urgent
NEVER = 1 << 126  # an instant (ns) that does not come
MARGIN = 1_000_000_000  # ns before its deadline at which a job is DEADLINE_SOON
ID_BITS = 64
ID_MASK = (1 << ID_BITS) - 1
SLACK = 64  # stale entries that are not worth a rebuild
AT_ONCE = 4096  # entries: so many are made anew in a millisecond
LINES = 1024  # of a tube: so many priorities at once; the others' jobs stand in the heap
READY_FOR_LINE = (
    8  # ready jobs in the tube for each line: a line takes 760 bytes, however short it is
)
# entries of a larger heap to look at, for each that was left stale: in a heap that is half stale,
# four of them go
STEPS = 8


NO_HISTORY: tuple[int, ...] = (
    0,
    0,
    0,
    0,
    0,
)  # shared (for mypyc, by this type alone) by all jobs to which nothing has happened but reserves


class Job:
    """One job. Instants are monotonic ns; durations ns. `full_segment` and `update_segment` belong to the journal
    and mean nothing here.

    There may be millions: an attribute more is 8 bytes of each. `history` is reserves, timeouts,
    releases, buries, kicks, as they were when it was changed last; of these, reserves alone go on
    counting in between, in `reserves`.
    """

    __slots__ = (
        "id", "tube", "state", "pri", "delay", "ttr", "body", "created_at", "deadline_at", "reserves", "history", "owner", "full_segment", "update_segment",
    )  # fmt: skip

    def __init__(
        self,
        id: int,
        tube: "Tube",
        state: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        created_at: int,
        deadline_at: int,
    ) -> None:
        self.id = id
        self.tube = tube
        self.state = state
        self.pri = pri
        self.delay = delay
        self.ttr = ttr
        self.body: Any = (
            body  # bytes; what only looks into a log may put in its place where they lie
        )
        self.created_at = created_at
        # ready time of a delayed job, TTR's end of a reserved one, order of a buried one
        self.deadline_at = deadline_at
        self.reserves = 0
        self.history: tuple[int, ...] = NO_HISTORY
        self.owner: Client | None = None
        self.full_segment: object = None  # where its latest whole record is
        self.update_segment: object = None  # where its latest update behind that is

    @property
    def timeouts(self) -> int:
        return self.history[1]

    @property
    def releases(self) -> int:
        return self.history[2]

    @property
    def buries(self) -> int:
        return self.history[3]

    @property
    def kicks(self) -> int:
        return self.history[4]


class Tube:
    """A named set of jobs, with its counters and those who wait on it."""

    __slots__ = (
        "name", "lines", "priorities", "in_lines", "ready", "delayed", "buried", "waiting", "ready_count", "urgent_count", "delayed_count",
        "reserved_count", "jobs", "using", "watching", "total_jobs", "delete_count", "pause_count", "pause", "paused_until", "kept", "place",
        "order", "timer_at", "pause_segment", "ttr", "ready_swept", "delayed_swept",
    )  # fmt: skip

    def __init__(self, name: bytes, place: int, order: int) -> None:
        self.name = name
        self.lines: dict[
            int, deque[int]
        ] = {}  # by priority: ids of ready jobs, ascending, as they came
        self.priorities: list[int] = []  # heap of those that have a line
        self.in_lines = 0  # entries in all lines
        self.ready: list[
            int
        ] = []  # heap of priority << 64 | id, of ready jobs that did not come in order, or found no line
        self.delayed: list[int] = []  # heap of deadline << 64 | id
        self.buried: OrderedDict[int, Job] = OrderedDict()
        self.waiting: OrderedDict[Client, None] = OrderedDict()
        self.ready_count = self.urgent_count = self.delayed_count = self.reserved_count = 0
        self.jobs = 0  # in any state, or being uploaded
        self.using = self.watching = 0
        self.total_jobs = self.delete_count = self.pause_count = 0
        self.pause = 0  # ns, the pause as it was asked for; 0 when not paused
        self.paused_until = 0
        # stays without jobs or clients: the default tube, or a pause brought back by replay
        self.kept = False
        self.place = place  # in the list of tubes
        self.order = order  # breaks ties among timers
        self.timer_at = NEVER
        self.pause_segment: object = None  # belongs to the journal
        self.ready_swept = self.delayed_swept = 0  # how far the heaps have been tidied
        self.ttr = 0  # of the job that was put last: jobs of one TTR share the integer


class Kick:
    """A kick that is not done in one piece. Its client is answered when it is done."""

    __slots__ = ("buried", "kicked", "left")

    def __init__(self, buried: bool, left: int) -> None:
        self.buried = buried  # of buried jobs, else of delayed ones
        self.left = left  # jobs
        self.kicked = 0


class Client:
    """One connection as the engine knows it. `session` belongs to whoever delivers replies."""

    __slots__ = (
        "used", "watched", "places", "reserved", "deadlines", "producer", "worker", "waiting", "wait_until", "half_closed",
        "upload_id", "upload_at", "order", "timer_at", "swept", "kick", "session",
    )  # fmt: skip

    def __init__(self, used: Tube, order: int) -> None:
        self.used = used
        self.watched: list[Tube] = [used]
        self.places: dict[Tube, int] = {used: 0}  # in `watched`
        self.reserved: dict[int, Job] = {}
        self.deadlines: list[int] = []  # heap of deadline << 64 | id
        self.producer = self.worker = False
        self.waiting = False
        self.wait_until = NEVER
        self.half_closed = False  # it will send no more
        self.upload_id = 0  # of the put whose body is under way; 0: there is none
        self.upload_at = 0
        self.order = order
        self.timer_at = NEVER
        self.kick: Kick | None = None  # under way
        self.swept = 0  # how far the heap of deadlines has been tidied
        self.session: object = None

    def soonest_job(self) -> Job | None:
        """Of the jobs it holds, the one whose TTR ends first."""
        heap = self.deadlines
        reserved = self.reserved
        while heap:
            key = heap[0]
            job = reserved.get(key & ID_MASK)
            if job is not None and job.deadline_at == key >> ID_BITS:
                return job
            heappop(heap)
        return None

    def soonest_deadline(self) -> int:
        """The earliest TTR end (ns) among the jobs it holds; NEVER without one."""
        job = self.soonest_job()
        return NEVER if job is None else job.deadline_at

    def add_deadline(self, job: Job) -> None:
        heap = self.deadlines
        heappush(heap, job.deadline_at << ID_BITS | job.id)
        if len(heap) > 2 * len(self.reserved) + SLACK:
            if _is_much(len(heap), len(self.reserved)):
                self.swept = sweep(heap, self.swept, self._is_held)
            else:
                heap[:] = [held.deadline_at << ID_BITS | held.id for held in self.reserved.values()]
                heapify(heap)

    def _is_held(self, key: int) -> bool:
        job = self.reserved.get(key & ID_MASK)
        return job is not None and job.deadline_at == key >> ID_BITS


def remove_at(heap: list[int], at: int) -> None:
    """Takes the entry at this place out of a heap."""
    last = heap.pop()
    count = len(heap)
    if at == count:
        return
    while (child := 2 * at + 1) < count:
        if child + 1 < count and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= last:
            break
        heap[at] = heap[child]
        at = child
    while at and heap[parent := (at - 1) >> 1] > last:
        heap[at] = heap[parent]
        at = parent
    heap[at] = last


def sweep(heap: list[int], at: int, is_live: Callable[[int], bool]) -> int:
    """Looks at a few entries from this place on, and takes out what is stale. Returns where to go
    on.

    Whenever an entry leaves, another one may be lifted to before this place: the next round looks
    at it.
    """
    for _ in range(STEPS):
        if at >= len(heap):
            if not heap:
                return 0
            at = 0
        if is_live(heap[at]):
            at += 1
        else:
            remove_at(heap, at)
    return at


def _is_much(entries: int, count: int) -> bool:
    """Whether to go through them in steps. An entry may be there more than once; of a heap that is
    full of such ones, steps do not make less.
    """
    return AT_ONCE < entries <= 4 * count


def enter_ready(tube: Tube, pri: int, id: int) -> None:
    """A ready job's entry: at the end of its priority's line, if it comes in order, else in the
    heap.
    """
    line = tube.lines.get(pri)
    if (
        line is None
        and len(tube.lines) < tube.ready_count // READY_FOR_LINE
        and len(tube.lines) < LINES
    ):
        tube.lines[pri] = deque((id,))
        heappush(tube.priorities, pri)
        tube.in_lines += 1
    elif line is not None and (not line or id > line[-1]):
        line.append(id)
        tube.in_lines += 1
    else:
        heappush(
            tube.ready, pri << ID_BITS | id if pri else id
        )  # priority 0 needs no integer of its own: 32 bytes less


def first_ready(tube: Tube, jobs: dict[int, Job]) -> Job | None:
    """The ready job of `tube` with the smallest (priority, id)."""
    priorities = tube.priorities
    while priorities:
        pri = priorities[0]
        line = tube.lines[pri]
        while line:
            job = jobs.get(line[0])
            if job is not None and job.state == READY and job.pri == pri:
                return _first_of_both(tube, jobs, job) if tube.ready else job
            line.popleft()
            tube.in_lines -= 1
        _drop_first_line(tube)
    return _first_in_heap(tube, jobs)


def _first_of_both(tube: Tube, jobs: dict[int, Job], in_line: Job) -> Job:
    job = _first_in_heap(tube, jobs)
    return in_line if job is None or (in_line.pri, in_line.id) <= (job.pri, job.id) else job


def _first_in_heap(tube: Tube, jobs: dict[int, Job]) -> Job | None:
    heap = tube.ready
    while heap:
        key = heap[0]
        job = jobs.get(key & ID_MASK)
        if job is not None and job.state == READY and job.pri == key >> ID_BITS:
            return job
        heappop(heap)
    return None


def _drop_first_line(tube: Tube) -> None:
    """The line of the first priority is empty."""
    del tube.lines[heappop(tube.priorities)]


def line_up(tube: Tube, jobs: dict[int, Job]) -> None:
    """Makes the lines anew, of all ready entries, whatever their order, without those that are
    stale.
    """
    keys = [
        *tube.ready,
        *(pri << ID_BITS | id if pri else id for pri, line in tube.lines.items() for id in line),
    ]
    if len(keys) != tube.ready_count:
        keys = list({key for key in keys if _is_ready(jobs.get(key & ID_MASK), key)})
    keys.sort()
    forget_ready(tube)
    most = min(LINES, len(keys) // READY_FOR_LINE)
    if keys and keys[-1] <= ID_MASK:  # priority 0 alone: those of half a million jobs within 10 ms
        groups: Iterable[tuple[int, Iterable[int]]] = [(0, keys)]
    else:
        groups = groupby(keys, _priority)
    for pri, group in groups:
        if len(tube.lines) >= most:
            tube.ready.extend(group)
            continue
        line = tube.lines[pri] = (
            deque(jobs[key & ID_MASK].id for key in group) if pri else deque(group)
        )
        tube.priorities.append(pri)
        tube.in_lines += len(line)


def forget_ready(tube: Tube) -> None:
    """No entry of a ready job."""
    tube.lines.clear()
    tube.priorities.clear()
    tube.in_lines = 0
    tube.ready.clear()


def _priority(key: int) -> int:
    return key >> ID_BITS


def first_delayed(tube: Tube, jobs: dict[int, Job]) -> Job | None:
    """The delayed job of `tube` with the smallest (deadline, id)."""
    heap = tube.delayed
    while heap:
        key = heap[0]
        job = jobs.get(key & ID_MASK)
        if job is not None and job.state == DELAYED and job.deadline_at == key >> ID_BITS:
            return job
        heappop(heap)
    return None


def tidy_ready(tube: Tube, jobs: dict[int, Job]) -> None:
    """Does something about ready entries that are mostly stale. Of many, what is live of the first
    line's beginning goes into the heap.
    """
    entries = tube.in_lines + len(tube.ready)
    if entries <= 2 * tube.ready_count + SLACK:
        return
    if not _is_much(entries, tube.ready_count):
        line_up(tube, jobs)
    else:
        if tube.in_lines:
            _shorten_first_line(tube, jobs)
        if tube.ready:
            tube.ready_swept = sweep(
                tube.ready, tube.ready_swept, lambda key: _is_ready(jobs.get(key & ID_MASK), key)
            )


def _shorten_first_line(tube: Tube, jobs: dict[int, Job]) -> None:
    for _ in range(STEPS):
        while tube.priorities and not tube.lines[tube.priorities[0]]:
            _drop_first_line(tube)
        if not tube.priorities:
            return
        pri = tube.priorities[0]
        id = tube.lines[pri].popleft()
        tube.in_lines -= 1
        key = pri << ID_BITS | id if pri else id
        if _is_ready(jobs.get(id), key):
            heappush(tube.ready, key)


def tidy_delayed(tube: Tube, jobs: dict[int, Job]) -> None:
    heap = tube.delayed
    if len(heap) <= 2 * tube.delayed_count + SLACK:
        return
    if _is_much(len(heap), tube.delayed_count):
        tube.delayed_swept = sweep(
            heap, tube.delayed_swept, lambda key: _is_delayed(jobs.get(key & ID_MASK), key)
        )
    else:
        heap[:] = sorted({key for key in heap if _is_delayed(jobs.get(key & ID_MASK), key)})


def _is_ready(job: Job | None, key: int) -> bool:
    return job is not None and job.state == READY and job.pri == key >> ID_BITS


def _is_delayed(job: Job | None, key: int) -> bool:
    return job is not None and job.state == DELAYED and job.deadline_at == key >> ID_BITS


def swap_remove(tubes: list[Tube], place: int) -> Tube | None:
    """Takes the tube at `place` out; the last one moves into the hole and is returned, as the C
    server's sets do it.
    """
    last = tubes.pop()
    if place == len(tubes):
        return None
    tubes[place] = last
    return last
