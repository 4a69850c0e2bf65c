"""Jobs, tubes and clients as the engine keeps them. No decisions here: fields, counts and the heaps they stand in.

Heaps hold integers, `priority << 64 | id` or `instant << 64 | id`: smaller and quicker to compare than tuples, and a tie goes to the smaller
id. An entry whose job has moved on is stale; it is dropped when it comes to the top, and a heap that is more than half stale is made anew, so no heap
costs more than a constant times what stands in it.
"""

from collections import OrderedDict
from heapq import heapify, heappop, heappush

READY, RESERVED, BURIED, DELAYED = 1, 2, 3, 4  # the C server's numbers
STATE_NAMES = {READY: "ready", RESERVED: "reserved", DELAYED: "delayed", BURIED: "buried"}
URGENT = 1024  # priorities below count as urgent
NEVER = 1 << 126  # an instant (ns) that does not come
MARGIN = 1_000_000_000  # ns before its deadline at which a job is DEADLINE_SOON
ID_BITS = 64
ID_MASK = (1 << ID_BITS) - 1
SLACK = 64  # stale entries that are not worth a rebuild


NO_HISTORY = (0, 0, 0, 0, 0)  # shared by all jobs to which nothing has happened but reserves


class Job:
    """One job. Instants are monotonic ns; durations ns. `home` and `update` belong to the journal and mean nothing here.

    There may be millions: an attribute more is 8 bytes of each. `history` is reserves, timeouts, releases, buries, kicks, as they were when it was
    changed last; of these, reserves alone go on counting in between, in `reserves`.
    """

    __slots__ = (
        "id", "tube", "state", "pri", "delay", "ttr", "body", "created_at", "deadline_at", "reserves", "history", "owner", "home", "update",
    )  # fmt: skip

    def __init__(
        self, id: int, tube: "Tube", state: int, pri: int, delay: int, ttr: int, body: bytes, created_at: int, deadline_at: int
    ) -> None:
        self.id = id
        self.tube = tube
        self.state = state
        self.pri = pri
        self.delay = delay
        self.ttr = ttr
        self.body = body
        self.created_at = created_at
        self.deadline_at = deadline_at  # ready time of a delayed job, TTR's end of a reserved one, order of a buried one
        self.reserves = 0
        self.history: tuple[int, ...] = NO_HISTORY
        self.owner: Client | None = None
        self.home: object = None  # where its latest whole record is
        self.update: object = None  # where its latest update behind that is

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
        "name", "ready", "delayed", "buried", "waiting", "ready_count", "urgent_count", "delayed_count", "reserved_count",
        "jobs", "using", "watching", "total_jobs", "delete_count", "pause_count", "pause", "paused_until", "kept",
        "place", "order", "timer_at", "pause_home", "ttr",
    )  # fmt: skip

    def __init__(self, name: bytes, place: int, order: int) -> None:
        self.name = name
        self.ready: list[int] = []  # heap of priority << 64 | id
        self.delayed: list[int] = []  # heap of deadline << 64 | id
        self.buried: OrderedDict[int, Job] = OrderedDict()
        self.waiting: OrderedDict[Client, None] = OrderedDict()
        self.ready_count = self.urgent_count = self.delayed_count = self.reserved_count = 0
        self.jobs = 0  # in any state, or being uploaded
        self.using = self.watching = 0
        self.total_jobs = self.delete_count = self.pause_count = 0
        self.pause = 0  # ns, the pause as it was asked for; 0 when not paused
        self.paused_until = 0
        self.kept = False  # stays without jobs or clients: the default tube, or a pause brought back by replay
        self.place = place  # in the list of tubes
        self.order = order  # breaks ties among timers
        self.timer_at = NEVER
        self.pause_home: object = None  # belongs to the journal
        self.ttr = 0  # of the job that was put last: jobs of one TTR share the integer


class Client:
    """One connection as the engine knows it. `session` belongs to whoever delivers replies."""

    __slots__ = (
        "used", "watched", "places", "reserved", "deadlines", "producer", "worker", "waiting", "wait_until", "half_closed",
        "quit", "upload_id", "upload_at", "order", "timer_at", "session",
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
        self.quit = False
        self.upload_id = 0  # the id of the put whose body is under way
        self.upload_at = 0
        self.order = order
        self.timer_at = NEVER
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
            heap[:] = [held.deadline_at << ID_BITS | held.id for held in self.reserved.values()]
            heapify(heap)


def first_ready(tube: Tube, jobs: dict[int, Job]) -> Job | None:
    """The ready job of `tube` with the smallest (priority, id)."""
    heap = tube.ready
    while heap:
        key = heap[0]
        job = jobs.get(key & ID_MASK)
        if job is not None and job.state == READY and job.pri == key >> ID_BITS:
            return job
        heappop(heap)
    return None


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
    """Makes the ready heap anew when most of it is stale."""
    heap = tube.ready
    if len(heap) > 2 * tube.ready_count + SLACK:
        heap[:] = sorted({key for key in heap if _is_ready(jobs.get(key & ID_MASK), key)})


def tidy_delayed(tube: Tube, jobs: dict[int, Job]) -> None:
    heap = tube.delayed
    if len(heap) > 2 * tube.delayed_count + SLACK:
        heap[:] = sorted({key for key in heap if _is_delayed(jobs.get(key & ID_MASK), key)})


def _is_ready(job: Job | None, key: int) -> bool:
    return job is not None and job.state == READY and job.pri == key >> ID_BITS


def _is_delayed(job: Job | None, key: int) -> bool:
    return job is not None and job.state == DELAYED and job.deadline_at == key >> ID_BITS


def swap_remove(tubes: list[Tube], place: int) -> Tube | None:
    """Takes the tube at `place` out; the last one moves into the hole and is returned, as the C server's sets do it."""
    last = tubes.pop()
    if place == len(tubes):
        return None
    tubes[place] = last
    return last
