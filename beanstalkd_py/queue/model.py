"""Jobs, tubes and clients as the queue keeps them: fields and counts, no decisions."""

from collections import OrderedDict
from typing import Any, Final

from beanstalkd_py.queue.jobtable import JobTable
from beanstalkd_py.queue.lazyheap import BURIED, DELAYED, READY, RESERVED, LazyHeap, Queued
from beanstalkd_py.queue.ready import ReadyJobs
from beanstalkd_py.queue.timers import NEVER, TimerOwner
from beanstalkd_py.queue.waits import Waits

STATE_NAMES: Final = {READY: "ready", RESERVED: "reserved", DELAYED: "delayed", BURIED: "buried"}
URGENT: Final = 1024  # priorities below count as urgent
MARGIN: Final = 1_000_000_000  # ns; a reserve gets DEADLINE_SOON this long before a deadline

# One object for all jobs that had no change except reserves. (With another type, mypyc would copy
# it.)
NO_HISTORY: tuple[int, ...] = (0, 0, 0, 0, 0)


class Job(Queued):
    """One job. Instants are boot time, ns, durations ns.

    There may be millions of jobs, and each attribute takes 8 bytes in each job. `history` has five
    counters as of the latest journalled change: reserves, timeouts, releases, buries, kicks.
    `reserves` has the current number of reserves. Only the journal uses `full_segment` and
    `update_segment`.
    """

    __slots__ = (
        "tube", "delay", "ttr", "body", "created_at", "reserves", "history", "owner",
        "full_segment", "update_segment",
    )  # fmt: skip

    tube: "Tube"
    delay: int
    ttr: int
    body: Any  # bytes; a tool that only reads a log may store their position in the log instead
    created_at: int
    reserves: int
    history: tuple[int, ...]
    owner: "Client | None"  # the client that has reserved it
    # The place of its latest record with a body, and the segment of the UPDATE record after it.
    full_segment: object
    update_segment: object

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


def new_job(
    id: int,
    tube: "Tube",
    state: int,
    pri: int,
    delay: int,
    ttr: int,
    body: bytes,
    created_at: int,
    deadline_at: int,
) -> Job:
    """A job that is in no collection yet. A constructor with so many arguments takes 0.1 us more,
    if it is not compiled.
    """
    job = Job()
    job.id = id
    job.tube = tube
    job.state = state
    job.pri = pri
    job.delay = delay
    job.ttr = ttr
    job.body = body
    job.created_at = created_at
    job.deadline_at = deadline_at
    job.reserves = 0
    job.history = NO_HISTORY
    job.owner = None
    job.full_segment = None
    job.update_segment = None
    return job


class Tube(TimerOwner):
    """A named set of jobs, with its counters and waiting clients."""

    __slots__ = (
        "name", "ready", "delayed", "buried", "waiting", "ready_count", "urgent_count",
        "delayed_count", "reserved_count", "jobs", "using", "watching", "total_jobs",
        "delete_count", "pause_count", "pause", "paused_until", "kept", "place", "pause_segment",
        "policy", "table", "ttr", "guarded", "marked", "counted", "waits", "hooked",
    )  # fmt: skip

    def __init__(self, name: bytes, place: int, order: int, jobs: JobTable[Job]) -> None:
        self.name = name
        self.table = jobs  # all jobs of the server
        self.policy: object = None  # a `Policy`
        self.marked: object = None  # `attributes.Marked`, if a job of the tube has attributes
        self.counted: object = None  # `tubebytes.TubeBytes`, if its policy has max-bytes
        self.guarded = False  # it has a pause, a policy, or jobs with attributes
        self.waits: Waits | None = None  # if the waits of its jobs are measured
        self.hooked = False  # a reserve calls `State.taken`: it is guarded, or waits are measured
        self.ready: ReadyJobs[Job] = ReadyJobs(jobs)
        self.delayed: LazyHeap[Job] = LazyHeap(jobs, DELAYED)
        self.buried: OrderedDict[int, Job] = OrderedDict()
        self.waiting: OrderedDict[Client, None] = OrderedDict()
        self.ready_count = self.urgent_count = self.delayed_count = self.reserved_count = 0
        self.jobs = 0  # in any state
        self.using = self.watching = 0  # clients
        self.total_jobs = self.delete_count = self.pause_count = 0
        self.pause = 0  # length in ns, as in the command; 0: not paused
        self.paused_until = 0
        # The tube stays even without jobs and clients: the default tube, and a tube whose pause was
        # replayed.
        self.kept = False
        self.place = place  # index in `State.tube_list`
        self.order = order
        self.timer_at = NEVER
        self.pause_segment: object = None  # belongs to the journal
        self.ttr = 0  # of the latest put: jobs with the same TTR share one integer object

    def update_guard(self) -> None:
        self.guarded = self.paused_until != 0 or self.policy is not None or self.marked is not None
        self.hooked = self.guarded or self.waits is not None

    def measure_waits(self) -> None:
        self.waits = Waits()
        self.update_guard()


class Kick:
    """A kick of many jobs, which is done in slices. The client gets one reply, after the last."""

    __slots__ = ("buried", "kicked", "left", "tube")

    def __init__(self, tube: Tube, buried: bool, left: int) -> None:
        self.tube = tube
        self.buried = buried  # whether it kicks buried jobs; else delayed ones
        self.left = left  # jobs
        self.kicked = 0


class Client(TimerOwner):
    """One connection as the queue knows it. The last five fields belong to the protocol."""

    __slots__ = (
        "used", "watched", "places", "reserved", "deadlines", "producer", "worker", "waiting",
        "wait_until", "waits_since", "half_closed", "upload_id", "upload_at", "session",
        "unfinished", "has_capabilities", "batch", "id",
    )  # fmt: skip

    def __init__(self, used: Tube, order: int) -> None:
        self.used = used
        self.watched: list[Tube] = [used]
        self.places: dict[Tube, int] = {used: 0}  # indexes in `watched`
        self.reserved: dict[int, Job] = {}
        self.deadlines: LazyHeap[Job] = LazyHeap(self.reserved, RESERVED)
        self.producer = self.worker = False
        self.waiting = False
        self.wait_until = NEVER
        self.waits_since = 0
        self.half_closed = False  # it has shut down its writing side
        self.upload_id = 0  # id of the put whose body is incomplete; 0 if there is none
        self.upload_at = 0
        self.order = order
        self.timer_at = NEVER
        self.session: object = None
        self.unfinished: Any = None  # continues a command that is done in slices
        self.has_capabilities = False  # it has said `capabilities`
        self.id = 0  # the number of its connection
        self.batch = 0  # at most so many jobs, if it waits in reserve-batch

    def soonest_deadline(self) -> int:
        """The earliest end of a TTR (ns) among the jobs it holds; NEVER without one."""
        job = self.deadlines.first()
        return NEVER if job is None else job.deadline_at


def swap_remove(tubes: list[Tube], place: int) -> Tube | None:
    """Removes the tube at index `place`. The last tube moves there and is returned; the C server's
    sets do the same. Returns None if the removed tube was the last.
    """
    last = tubes.pop()
    if place == len(tubes):
        return None
    tubes[place] = last
    return last


__all__ = [
    "BURIED", "DELAYED", "MARGIN", "NEVER", "NO_HISTORY", "READY", "RESERVED", "STATE_NAMES",
    "URGENT", "Client", "Job", "Kick", "Tube", "new_job", "swap_remove",
]  # fmt: skip
