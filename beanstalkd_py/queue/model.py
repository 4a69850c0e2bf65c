"""Jobs, tubes and clients as the queue keeps them: fields and counts, no decisions."""

from collections import OrderedDict
from typing import Any

from beanstalkd_py.queue.lazyheap import BURIED, DELAYED, READY, RESERVED, LazyHeap, Queued
from beanstalkd_py.queue.ready import ReadyJobs
from beanstalkd_py.queue.timers import NEVER, Owner

STATE_NAMES = {READY: "ready", RESERVED: "reserved", DELAYED: "delayed", BURIED: "buried"}
URGENT = 1024  # priorities below count as urgent
MARGIN = 1_000_000_000  # ns before its deadline at which a job is DEADLINE_SOON

# Shared by all jobs to which nothing has happened except reserves. (mypyc shares it by this type
# only.)
NO_HISTORY: tuple[int, ...] = (0, 0, 0, 0, 0)


class Job(Queued):
    """One job. Instants are monotonic ns, durations ns.

    There may be millions: one attribute more is 8 bytes for each of them. `history` is reserves,
    timeouts, releases, buries, kicks at the job's last change; of these, only reserves are counted
    in between, in `reserves`. `full_segment` and `update_segment` belong to the journal.
    """

    __slots__ = (
        "tube", "delay", "ttr", "body", "created_at", "reserves", "history", "owner",
        "full_segment", "update_segment",
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
        # Bytes. A tool that only reads a log may keep the place of the body instead.
        self.body: Any = body
        self.created_at = created_at
        # Ready time of a delayed job, end of the TTR of a reserved one, order of a buried one.
        self.deadline_at = deadline_at
        self.reserves = 0
        self.history: tuple[int, ...] = NO_HISTORY
        self.owner: Client | None = None  # of a reserved job
        self.full_segment: object = None  # where its latest whole record is
        self.update_segment: object = None  # where its latest update after that is

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


class Tube(Owner):
    """A named set of jobs, with its counters and waiting clients."""

    __slots__ = (
        "name", "ready", "delayed", "buried", "waiting", "ready_count", "urgent_count",
        "delayed_count", "reserved_count", "jobs", "using", "watching", "total_jobs",
        "delete_count", "pause_count", "pause", "paused_until", "kept", "place", "pause_segment",
        "ttr",
    )  # fmt: skip

    def __init__(self, name: bytes, place: int, order: int, jobs: dict[int, Job]) -> None:
        self.name = name
        self.ready: ReadyJobs[Job] = ReadyJobs(jobs)
        self.delayed: LazyHeap[Job] = LazyHeap(jobs, DELAYED)
        self.buried: OrderedDict[int, Job] = OrderedDict()
        self.waiting: OrderedDict[Client, None] = OrderedDict()
        self.ready_count = self.urgent_count = self.delayed_count = self.reserved_count = 0
        self.jobs = 0  # in any state
        self.using = self.watching = 0  # clients
        self.total_jobs = self.delete_count = self.pause_count = 0
        self.pause = 0  # ns, as it was asked for; 0: not paused
        self.paused_until = 0
        # It stays without jobs or clients: the default tube, or a tube whose pause was replayed.
        self.kept = False
        self.place = place  # in the list of tubes
        self.order = order
        self.timer_at = NEVER
        self.pause_segment: object = None  # belongs to the journal
        self.ttr = 0  # of the job that was put last: jobs of one TTR share the integer


class Kick:
    """A kick that is done in slices. Its client gets the reply at the end."""

    __slots__ = ("buried", "kicked", "left")

    def __init__(self, buried: bool, left: int) -> None:
        self.buried = buried  # whether it kicks buried jobs; else delayed ones
        self.left = left  # jobs
        self.kicked = 0


class Client(Owner):
    """One connection as the queue knows it. `session` belongs to the protocol."""

    __slots__ = (
        "used", "watched", "places", "reserved", "deadlines", "producer", "worker", "waiting",
        "wait_until", "half_closed", "upload_id", "upload_at", "kick", "session",
    )  # fmt: skip

    def __init__(self, used: Tube, order: int) -> None:
        self.used = used
        self.watched: list[Tube] = [used]
        self.places: dict[Tube, int] = {used: 0}  # in `watched`
        self.reserved: dict[int, Job] = {}
        self.deadlines: LazyHeap[Job] = LazyHeap(self.reserved, RESERVED)
        self.producer = self.worker = False
        self.waiting = False
        self.wait_until = NEVER
        self.half_closed = False  # it will send no more
        self.upload_id = 0  # of the put whose body is under way; 0: there is none
        self.upload_at = 0
        self.order = order
        self.timer_at = NEVER
        self.kick: Kick | None = None  # under way
        self.session: object = None

    def soonest_deadline(self) -> int:
        """The earliest end of a TTR (ns) among the jobs it holds; NEVER without one."""
        job = self.deadlines.first()
        return NEVER if job is None else job.deadline_at


def swap_remove(tubes: list[Tube], place: int) -> Tube | None:
    """Removes the tube at `place`. The last one moves there and is returned, as in the C server's
    sets; None if it was the last.
    """
    last = tubes.pop()
    if place == len(tubes):
        return None
    tubes[place] = last
    return last


__all__ = [
    "BURIED", "DELAYED", "MARGIN", "NEVER", "NO_HISTORY", "READY", "RESERVED", "STATE_NAMES",
    "URGENT", "Client", "Job", "Kick", "Tube", "swap_remove",
]  # fmt: skip
