"""The commands of the reference model on the jobs of a tube. See `extensions`."""

from __future__ import annotations

from .commands import NOT_FOUND, OUT_OF_MEMORY, Command, buried
from .entities import Client, Job, Tube
from .state import State

STATES = ("ready", "delayed", "buried")


def _jobs_of(state: State, tube: Tube, kind: str) -> list[Job]:
    """The tube's jobs in a state, in the order in which they would be served."""
    if kind == "buried":
        return buried(state, tube)
    return state.ready([tube]) if kind == "ready" else state.delayed(tube)


def set_tube(
    state: State, client: Client, now: int, name: bytes, settings: dict[str, object]
) -> bytes:
    if state.refused():
        return OUT_OF_MEMORY
    policy = {**state.policies.get(name, {}), **settings}
    state.policies[name] = {key: value for key, value in policy.items() if value}
    if not state.policies[name]:
        del state.policies[name]
    state.serve(now)
    return b"TUBE_SET\r\n"


def truncate(state: State, client: Client, now: int, name: bytes, kind: str = "") -> bytes:
    """If the disk is full midway, the reply counts the jobs before."""
    tube = state.tube(name)
    if tube is None:
        return NOT_FOUND
    jobs = [job for each in ([kind] if kind else STATES) for job in _jobs_of(state, tube, each)]
    for deleted, job in enumerate(jobs):
        if state.refused():
            return b"TRUNCATED %d\r\n" % deleted if deleted else OUT_OF_MEMORY
        state.move(job, "gone")
        del state.jobs[job.id]
    state.remove_if_unused(tube)
    return b"TRUNCATED %d\r\n" % len(jobs)


def move_job(state: State, client: Client, now: int, id: int, name: bytes) -> bytes:
    job = state.jobs.get(id)
    if job is None or job.state == "reserved":
        return NOT_FOUND
    old = job.tube
    if name != old.name:
        if state.refused():
            return OUT_OF_MEMORY
        _move(state, job, name, now)
        state.remove_if_unused(old)
    return b"MOVED\r\n"


def move_jobs(
    state: State, client: Client, now: int, name: bytes, kind: str, to: bytes, bound: int
) -> bytes:
    tube = state.tube(name)
    if tube is None:
        return NOT_FOUND
    if name == to:
        return b"MOVED 0\r\n"
    jobs = _jobs_of(state, tube, kind)[:bound]
    for done, job in enumerate(jobs):
        if state.refused():
            return b"MOVED %d\r\n" % done if done else OUT_OF_MEMORY
        _move(state, job, to, now)
    state.remove_if_unused(tube)
    return b"MOVED %d\r\n" % len(jobs)


def _move(state: State, job: Job, name: bytes, now: int) -> None:
    """A buried job becomes the last one of its new tube."""
    job.tube = state.tube_or_new(name)
    job.moves += 1
    others = [other for other in state.jobs.values() if other.tube is job.tube and other is not job]
    if job.key in [other.key for other in others]:
        job.key, job.until_reserve = b"", False
    if job.state == "buried":
        state.move(job, "buried")
    job.save()
    state.serve(now)


BY_WORD: dict[str, Command] = {
    "set-tube": set_tube,
    "truncate": truncate,
    "move-job": move_job,
    "move-jobs": move_jobs,
}
