"""The commands of the reference model: `(state, client, now, arguments) -> reply`. None: the client
waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import stats
from .entities import Client, Job, Tube, Upload, swap_remove
from .state import DEADLINE_SOON, SECOND, TIMED_OUT, State

NOT_FOUND = b"NOT_FOUND\r\n"
OUT_OF_MEMORY = b"OUT_OF_MEMORY\r\n"


# --- put


def put_line(
    state: State, client: Client, now: int, pri: int, delay: int, ttr: int, nbytes: int
) -> bytes:
    """The line of a put. The job gets its id now, unless the body is too big."""
    client.upload = Upload(state.next_id, pri, delay, ttr, nbytes, now)
    if nbytes > state.max_job_size:
        client.upload.refusal = b"JOB_TOO_BIG\r\n"
    else:
        client.producer = True
        state.next_id += 1
    return b""


def put_body(state: State, client: Client, now: int, upload: Upload, body: bytes) -> bytes:
    if state.draining:
        return b"DRAINING\r\n"
    settings = upload.settings or {}
    name = upload.tube or client.used.name
    taken = [job for job in state.jobs.values() if job.key and job.tube.name == name]
    for other in taken:
        if other.key == settings.get("key"):
            return b"EXISTS %d\r\n" % other.id
    if is_full(state, name, len(body)):
        return b"TUBE_FULL\r\n"
    if state.refuses_put(upload):
        return OUT_OF_MEMORY
    tube = state.tube_or_new(name)
    job = Job(upload.id, tube, upload.pri, upload.delay, upload.ttr, body, upload.begun_at)
    give(state, job, settings, now)
    state.jobs[job.id] = job
    state.highest_put = max(state.highest_put, job.id)
    state.total_jobs += 1
    job.tube.total_jobs += 1
    ready_or_delayed(state, job, now)
    return b"INSERTED %d\r\n" % job.id


def is_full(state: State, name: bytes, nbytes: int) -> bool:
    """Whether the policy of the tube allows no more jobs, or no body of nbytes more."""
    sizes = [len(job.body) for job in state.jobs.values() if job.tube.name == name]
    most_jobs, most = state.setting(name, "max-jobs"), state.setting(name, "max-bytes")
    return 0 < most_jobs <= len(sizes) or 0 < most < sum(sizes) + nbytes


def give(state: State, job: Job, settings: dict[str, object], now: int) -> None:
    """The attributes that a put-with asks for, or the job's tube for each of its jobs."""
    settings = {"expire": state.setting(job.tube.name, "expire") * SECOND, **settings}
    key, expire, attempts = (settings.get(name) for name in ("key", "expire", "attempts"))
    job.key = key if isinstance(key, bytes) else b""
    job.until_reserve = "until" in settings
    job.expires_at = now + expire if isinstance(expire, int) and expire else 0
    job.attempts = attempts if isinstance(attempts, int) else 0


def ready_or_delayed(state: State, job: Job, now: int) -> None:
    if job.delay:
        state.move(job, "delayed", now + job.delay)
    else:
        state.move(job, "ready")
    job.save()
    state.serve(now)


# --- reserve


def reserve(state: State, client: Client, now: int) -> bytes | None:
    return reserve_until(state, client, now, None)


def reserve_with_timeout(state: State, client: Client, now: int, timeout: int) -> bytes | None:
    return reserve_until(state, client, now, now + timeout)


def reserve_until(state: State, client: Client, now: int, until: int | None) -> bytes | None:
    client.worker = True
    jobs = state.on_offer(client)
    if jobs:
        return state.take(client, jobs[0], now)
    if state.is_soon(client, now):
        return DEADLINE_SOON
    if client.half_closed or (until is not None and until <= now):
        return TIMED_OUT
    client.wait_until = until
    client.waits_since = now
    state.waiting.append(client)
    return None


def reserve_job(state: State, client: Client, now: int, id: int) -> bytes:
    job = state.jobs.get(id)
    if job is None or job.state == "reserved":
        return NOT_FOUND
    logged = job.state != "ready"  # the end of a delay, or of being buried, must be durable
    if logged and state.refused():
        return OUT_OF_MEMORY
    client.worker = True
    return state.take(client, job, now, logged)


# --- commands on one job


def _reserved_by(state: State, client: Client, id: int) -> Job | None:
    job = state.jobs.get(id)
    return job if job is not None and job.holder is client else None


def delete(state: State, client: Client, now: int, id: int) -> bytes:
    job = state.jobs.get(id)
    if job is None or (job.state == "reserved" and job.holder is not client):
        return NOT_FOUND
    if state.refused():
        return OUT_OF_MEMORY
    state.move(job, "gone")
    del state.jobs[id]
    job.tube.deletes += 1
    state.serve(now)
    state.remove_if_unused(job.tube)
    return b"DELETED\r\n"


def release(state: State, client: Client, now: int, id: int, pri: int, delay: int) -> bytes:
    job = _reserved_by(state, client, id)
    if job is None:
        return NOT_FOUND
    if state.is_used_up(job):
        if state.give_up(job, pri, asked=True):
            state.serve(now)
            return b"RELEASED\r\n"
        return OUT_OF_MEMORY
    if state.refused():
        return OUT_OF_MEMORY
    job.pri, job.delay = pri, delay
    job.releases += 1
    ready_or_delayed(state, job, now)
    return b"RELEASED\r\n"


def bury(state: State, client: Client, now: int, id: int, pri: int) -> bytes:
    job = _reserved_by(state, client, id)
    if job is None:
        return NOT_FOUND
    if state.refused():
        return OUT_OF_MEMORY
    job.pri = pri
    job.buries += 1
    state.move(job, "buried")
    job.save()
    state.serve(now)
    return b"BURIED\r\n"


def touch(state: State, client: Client, now: int, id: int) -> bytes:
    job = _reserved_by(state, client, id)
    if job is None:
        return NOT_FOUND
    job.deadline_at = now + job.ttr
    return b"TOUCHED\r\n"


def kick(state: State, client: Client, now: int, bound: int) -> bytes:
    return kick_some(state, now, client.used, bound)


def kick_some(state: State, now: int, tube: Tube, bound: int) -> bytes:
    """Kicks buried jobs if there are any, else delayed ones. If the disk is full midway, the reply
    counts the jobs before.
    """
    jobs = (buried(state, tube) or state.delayed(tube))[:bound]
    for kicked, job in enumerate(jobs):
        if state.refused():
            return b"KICKED %d\r\n" % kicked if kicked else OUT_OF_MEMORY
        _kick(state, job, now)
    return b"KICKED %d\r\n" % len(jobs)


def buried(state: State, tube: Tube) -> list[Job]:
    """In the order of burying."""
    return [job for job in state.buried if job.tube is tube]


def kick_job(state: State, client: Client, now: int, id: int) -> bytes:
    job = state.jobs.get(id)
    if job is None or job.state not in ("buried", "delayed"):
        return NOT_FOUND
    if state.refused():
        return OUT_OF_MEMORY
    _kick(state, job, now)
    return b"KICKED\r\n"


def _kick(state: State, job: Job, now: int) -> None:
    job.kicks += 1
    state.move(job, "ready")
    job.save()
    state.serve(now)


# --- peek


def found(jobs: list[Job]) -> bytes:
    return (
        b"FOUND %d %d\r\n%b\r\n" % (jobs[0].id, len(jobs[0].body), jobs[0].body)
        if jobs
        else NOT_FOUND
    )


def peek(state: State, client: Client, now: int, id: int) -> bytes:
    return found([state.jobs[id]] if id in state.jobs else [])


def peek_ready(state: State, client: Client, now: int) -> bytes:
    return found(state.ready([client.used]))


def peek_delayed(state: State, client: Client, now: int) -> bytes:
    return found(state.delayed(client.used))


def peek_buried(state: State, client: Client, now: int) -> bytes:
    return found(buried(state, client.used))


# --- tubes


def use(state: State, client: Client, now: int, name: bytes) -> bytes:
    old, client.used = client.used, state.tube_or_new(name)
    state.remove_if_unused(old)
    return b"USING %b\r\n" % name


def watch(state: State, client: Client, now: int, name: bytes) -> bytes:
    tube = state.tube_or_new(name)
    if tube not in client.watched:
        client.watched.append(tube)
    return b"WATCHING %d\r\n" % len(client.watched)


def ignore(state: State, client: Client, now: int, name: bytes) -> bytes:
    tube = state.tube(name)
    if tube is not None and tube in client.watched:
        if len(client.watched) == 1:
            return b"NOT_IGNORED\r\n"
        swap_remove(client.watched, tube)
        state.remove_if_unused(tube)
    return b"WATCHING %d\r\n" % len(client.watched)


def pause_tube(state: State, client: Client, now: int, name: bytes, pause: int) -> bytes:
    tube = state.tube(name)
    if tube is None:
        return NOT_FOUND
    if (pause or tube.paused_until) and state.refused():
        return OUT_OF_MEMORY
    tube.pauses += 1
    if pause:
        tube.pause, tube.paused_until = pause, now + pause
    else:
        state.end_pause(tube, now)
    return b"PAUSED\r\n"


# --- lists and stats


def list_tubes(state: State, client: Client, now: int) -> bytes:
    return stats.names(state.tubes)


def list_tube_used(state: State, client: Client, now: int) -> bytes:
    return b"USING %b\r\n" % client.used.name


def list_tubes_watched(state: State, client: Client, now: int) -> bytes:
    return stats.names(client.watched)


def stats_server(state: State, client: Client, now: int) -> bytes:
    return stats.server(state, client, now)


def stats_job(state: State, client: Client, now: int, id: int) -> bytes:
    job = state.jobs.get(id)
    return NOT_FOUND if job is None else stats.job(client, job, now)


def stats_tube(state: State, client: Client, now: int, name: bytes) -> bytes:
    tube = state.tube(name)
    return NOT_FOUND if tube is None else stats.tube(state, client, tube, now)


def quit(state: State, client: Client, now: int) -> bytes:
    client.closed = True
    return b""


Command = Callable[..., Any]
BY_WORD: dict[str, Command] = {
    "peek": peek,
    "peek-ready": peek_ready,
    "peek-delayed": peek_delayed,
    "peek-buried": peek_buried,
    "reserve": reserve,
    "reserve-with-timeout": reserve_with_timeout,
    "reserve-job": reserve_job,
    "delete": delete,
    "release": release,
    "use": use,
    "watch": watch,
    "ignore": ignore,
    "bury": bury,
    "kick": kick,
    "kick-job": kick_job,
    "touch": touch,
    "stats": stats_server,
    "stats-job": stats_job,
    "stats-tube": stats_tube,
    "list-tubes": list_tubes,
    "list-tube-used": list_tube_used,
    "list-tubes-watched": list_tubes_watched,
    "pause-tube": pause_tube,
    "quit": quit,
}
