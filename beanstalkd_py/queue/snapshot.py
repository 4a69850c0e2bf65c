"""Figures of queue, tubes, jobs and connections at one instant, for display.

Plain numbers and names. A field's name ends in its unit. Renderers (YAML for `stats`) read
these classes and nothing else. Source of the figures: beanstalkd 1.13, doc/protocol.txt.
"""

from typing import NamedTuple, Protocol

from beanstalkd_py.queue.model import DELAYED, RESERVED, STATE_NAMES, Client, Job, Tube
from beanstalkd_py.queue.state import State


class QueueSnapshot(NamedTuple):
    """All jobs, tubes and clients, counted."""

    urgent_jobs: int
    ready_jobs: int
    reserved_jobs: int
    delayed_jobs: int
    buried_jobs: int
    total_jobs: int  # ever put
    timeouts: int
    tubes: int
    connections: int
    producers: int
    workers: int
    waiting: int
    total_connections: int  # ever made
    draining: bool
    expired: int = 0  # jobs, since the start


class TubeSnapshot(NamedTuple):
    name: bytes
    urgent_jobs: int
    ready_jobs: int
    reserved_jobs: int
    delayed_jobs: int
    buried_jobs: int
    total_jobs: int  # ever put
    using: int  # clients
    watching: int  # clients
    waiting: int  # clients
    deletes: int
    pauses: int
    pause_ns: int  # as it was asked for; 0: not paused
    pause_left_ns: int


class JobSnapshot(NamedTuple):
    id: int
    tube: bytes
    state: str
    pri: int
    age_ns: int
    delay_ns: int
    ttr_ns: int
    left_ns: int  # until a delayed job is ready or a reserved one times out; else 0
    segment: int  # number of the segment with its latest FULL record; 0: none
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int


class ConnectionSnapshot(NamedTuple):
    id: int
    used: bytes
    watched: int  # tubes
    reserved_jobs: int
    is_producer: bool
    is_worker: bool
    is_waiting: bool
    waited_ns: int  # 0 if it is not waiting


class PeerSnapshot(NamedTuple):
    """The client at the other end of a connection."""

    address: str = ""  # with its port; "" for a unix socket
    user: str = ""  # the number of the user, for a unix socket only
    age_ns: int = 0
    pending_bytes: int = 0  # of replies that the client's kernel has not taken


class LogSnapshot(NamedTuple):
    """Figures of the binlog. Segments are numbered from 1 on."""

    oldest_segment: int = 0
    current_segment: int = 0
    records_migrated: int = 0  # rewritten by compaction
    records_written: int = 0


class ProcessSnapshot(NamedTuple):
    """The process and the machine. `started_at`: boot time, ns."""

    pid: int = 0
    version: str = ""
    id: str = "0" * 16  # random, of this run
    hostname: str = ""
    os: str = ""
    platform: str = ""
    started_at: int = 0
    user_cpu_s: float = 0.0
    system_cpu_s: float = 0.0


class LimitsSnapshot(NamedTuple):
    """The server's limits, 0 where there is none, and how often clients reached them."""

    max_memory_bytes: int = 0
    max_memory_reached: int = 0
    max_connections: int = 0
    max_connections_per_address: int = 0
    max_connections_reached: int = 0  # also those of one address
    idle_timeout_s: int = 0
    idle_timeout_reached: int = 0
    input_timeout_s: int = 0
    input_timeout_reached: int = 0
    max_pending_bytes: int = 0
    max_pending_reached: int = 0


class _Numbered(Protocol):
    """The type of `Job.full_segment`, as far as this module needs it."""

    number: int


def of_queue(state: State) -> QueueSnapshot:
    return QueueSnapshot(
        urgent_jobs=state.urgent_count,
        ready_jobs=state.ready_count,
        reserved_jobs=state.reserved_count,
        delayed_jobs=state.delayed_count,
        buried_jobs=state.buried_count,
        total_jobs=state.total_jobs,
        timeouts=state.timeouts,
        tubes=len(state.tubes),
        connections=state.connections,
        producers=state.producers,
        workers=state.workers,
        waiting=state.waiting,
        total_connections=state.total_connections,
        draining=state.draining,
        expired=state.expired,
    )


def of_tube(tube: Tube, now: int) -> TubeSnapshot:
    """`now`: boot time, ns."""
    return TubeSnapshot(
        name=tube.name,
        urgent_jobs=tube.urgent_count,
        ready_jobs=tube.ready_count,
        reserved_jobs=tube.reserved_count,
        delayed_jobs=tube.delayed_count,
        buried_jobs=len(tube.buried),
        total_jobs=tube.total_jobs,
        using=tube.using,
        watching=tube.watching,
        waiting=len(tube.waiting),
        deletes=tube.delete_count,
        pauses=tube.pause_count,
        pause_ns=tube.pause,
        pause_left_ns=max(tube.paused_until - now, 0) if tube.paused_until else 0,
    )


def of_job(job: Job, now: int) -> JobSnapshot:
    """`now`: boot time, ns."""
    segment: _Numbered | None = job.full_segment  # type: ignore[assignment]
    has_deadline = job.state in (RESERVED, DELAYED)
    return JobSnapshot(
        id=job.id,
        tube=job.tube.name,
        state=STATE_NAMES[job.state],
        pri=job.pri,
        age_ns=max(now - job.created_at, 0),
        delay_ns=job.delay,
        ttr_ns=job.ttr,
        left_ns=max(job.deadline_at - now, 0) if has_deadline else 0,
        segment=0 if segment is None else segment.number,
        reserves=job.reserves,
        timeouts=job.timeouts,
        releases=job.releases,
        buries=job.buries,
        kicks=job.kicks,
    )


def of_connection(client: Client, now: int) -> ConnectionSnapshot:
    """`now`: boot time, ns."""
    return ConnectionSnapshot(
        id=client.id,
        used=client.used.name,
        watched=len(client.watched),
        reserved_jobs=len(client.reserved),
        is_producer=client.producer,
        is_worker=client.worker,
        is_waiting=client.waiting,
        waited_ns=max(now - client.waits_since, 0) if client.waiting else 0,
    )
