"""The state of the queue and the state of the reference model in the same form, for comparison. The
only module of this check that reads the attributes of the queue.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

from simulation.reference.model import ReferenceModel

from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, REASONS, Attributes, Marked
from beanstalkd_py.queue.model import DELAYED, NEVER, RESERVED, STATE_NAMES, Client, Job, Tube
from beanstalkd_py.queue.queue import Queue


class Difference(AssertionError):
    """The queue and the reference model differ."""


def same(what: str, got: object, expected: object) -> None:
    if got != expected:
        raise Difference(f"{what}:\n     got {got!r}\nexpected {expected!r}")


Facts = Iterator[tuple[str, object]]


def compare(queue: Queue, sessions: Mapping[Hashable, Session], model: ReferenceModel) -> None:
    """Raises Difference with the first value that is not the same."""
    names = {session.client: name for name, session in sessions.items()}
    expected = dict(_of_naive(model))
    got = dict(_of_queue(queue, names))
    for what in [*expected, *got]:
        same(what, got.get(what), expected.get(what))


def _of_queue(queue: Queue, names: dict[Client, Hashable]) -> Facts:
    yield "next id", queue.next_id
    yield "expired", queue.expired
    yield "unique keys", {key: _keys(tube) for key, tube in queue.tubes.items() if _keys(tube)}
    yield "tubes", [tube.name for tube in queue.tube_list]
    for tube in queue.tube_list:
        yield f"tube {tube.name!r}", _tube(tube, names)
    for job in queue.jobs.values():
        attributes = queue.attributes.get(job.id, NO_ATTRIBUTES)
        yield f"job {job.id}", _job(job, names, attributes)
    for client, name in names.items():
        yield f"client {name!r}", _client(client)


def _keys(tube: Tube) -> dict[bytes, int]:
    return tube.marked.keys if isinstance(tube.marked, Marked) else {}


def _tube(tube: Tube, names: dict[Client, Hashable]) -> object:
    waiting = [names[client] for client in tube.waiting]
    return (
        tube.pause,
        tube.paused_until,
        list(tube.buried),
        waiting,
        tube.total_jobs,
        tube.delete_count,
        tube.pause_count,
    )


def _job(job: Job, names: dict[Client, Hashable], attributes: Attributes) -> object:
    timed = job.state in (DELAYED, RESERVED)
    return (
        (
            job.tube.name,
            STATE_NAMES[job.state],
            job.pri,
            job.delay,
            job.ttr,
            job.body,
            job.created_at,
        ),
        job.deadline_at if timed else 0,
        (job.reserves, job.timeouts, job.releases, job.buries, job.kicks),
        names[job.owner] if job.owner is not None else None,
        (*attributes[:-1], REASONS[attributes.reason]),
    )


def _client(client: Client) -> object:
    until = client.wait_until if client.waiting and client.wait_until != NEVER else None
    watched = [tube.name for tube in client.watched]
    return (
        client.used.name,
        watched,
        list(client.reserved),
        client.producer,
        client.worker,
        client.waiting,
        until,
    )


def _of_naive(model: ReferenceModel) -> Facts:
    yield "next id", model.next_id
    yield "expired", model.expired
    keys: dict[bytes, dict[bytes, int]] = {}
    for job in model.jobs.values():
        if job.key:
            keys.setdefault(job.tube.name, {})[job.key] = job.id
    yield "unique keys", keys
    yield "tubes", [tube.name for tube in model.tubes]
    for tube in model.tubes:
        buried = [job.id for job in model.buried if job.tube is tube]
        waiting = [client.name for client in model.waiting if tube in client.watched]
        yield (
            f"tube {tube.name!r}",
            (
                tube.pause,
                tube.paused_until,
                buried,
                waiting,
                tube.total_jobs,
                tube.deletes,
                tube.pauses,
            ),
        )
    for job in model.jobs.values():
        yield (
            f"job {job.id}",
            (
                (job.tube.name, job.state, job.pri, job.delay, job.ttr, job.body, job.created_at),
                job.deadline_at,
                (job.reserves, job.timeouts, job.releases, job.buries, job.kicks),
                job.holder.name if job.holder is not None else None,
                job.attributes,
            ),
        )
    for client in model.clients.values():
        waits = client in model.waiting
        watched = [tube.name for tube in client.watched]
        held = [job.id for job in model.held(client)]
        yield (
            f"client {client.name!r}",
            (
                client.used.name,
                watched,
                held,
                client.producer,
                client.worker,
                waits,
                client.wait_until if waits else None,
            ),
        )
