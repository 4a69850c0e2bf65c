"""The commands of the reference model that the C server does not have. See `commands`."""

from __future__ import annotations

from . import stats
from .commands import NOT_FOUND, Command, buried, found, kick_some, put_line, reserve_until
from .entities import Client
from .state import SECOND, State

BATCH_BYTES = 256 * 1024  # of bodies: a batch ends with the job that reaches it


def capabilities(state: State, client: Client, now: int) -> bytes:
    client.has_capabilities = True
    return stats.capabilities()


def ping(state: State, client: Client, now: int) -> bytes:
    return b"PONG\r\n"


def peek_tube(state: State, client: Client, now: int, name: bytes, kind: str) -> bytes:
    tube = state.tube(name)
    if tube is None:
        return NOT_FOUND
    jobs = {
        "ready": state.ready([tube]),
        "delayed": state.delayed(tube),
        "buried": buried(state, tube),
    }
    return found(jobs[kind])


def kick_tube(state: State, client: Client, now: int, name: bytes, bound: int) -> bytes:
    tube = state.tube(name)
    return NOT_FOUND if tube is None else kick_some(state, now, tube, bound)


def put_in_tube(
    state: State, client: Client, now: int, name: bytes, pri: int, delay: int, ttr: int, nbytes: int
) -> bytes:
    put_line(state, client, now, pri, delay, ttr or SECOND, nbytes)
    assert client.upload is not None
    client.upload.tube = name
    return b""


def put_with(
    state: State,
    client: Client,
    now: int,
    pri: int,
    delay: int,
    ttr: int,
    nbytes: int,
    settings: dict[str, object],
) -> bytes:
    put_line(state, client, now, pri, delay, ttr or SECOND, nbytes)
    assert client.upload is not None
    name = settings.get("tube", b"")
    assert isinstance(name, bytes)
    client.upload.tube = name
    client.upload.settings = settings
    return b""


def reserve_batch(state: State, client: Client, now: int, most: int, timeout: int) -> bytes | None:
    client.batch = most
    reply = reserve_until(state, client, now, now + timeout)
    return None if reply is None else with_batch(state, client, now, reply)


def with_batch(state: State, client: Client, now: int, reply: bytes) -> bytes:
    """The reply to a reserve or, with more jobs, to a reserve-batch."""
    most, client.batch = client.batch, 0
    if not most or not reply.startswith(b"RESERVED"):
        return reply
    replies = [reply]
    nbytes = _body_bytes(reply)
    while len(replies) < most and nbytes < BATCH_BYTES and (jobs := state.on_offer(client)):
        replies.append(state.take(client, jobs[0], now))
        nbytes += _body_bytes(replies[-1])
    return b"RESERVED_BATCH %d\r\n" % len(replies) + b"".join(replies)


def _body_bytes(reply: bytes) -> int:
    return int(reply.split(None, 3)[2])


def drain(state: State, client: Client, now: int, switch: str) -> bytes:
    if switch != "status":
        state.draining = switch == "on"
    return b"DRAIN on\r\n" if state.draining else b"DRAIN off\r\n"


def list_jobs(
    state: State,
    client: Client,
    now: int,
    name: bytes,
    kind: str,
    limit: int = 100,
    after: tuple[int, int] = (-1, 0),
) -> bytes:
    """A cursor is a priority or an instant, with an id. For buried jobs it is one that only the
    server knows, so a list of them begins with the first.
    """
    tube = state.tube(name)
    if tube is None:
        return NOT_FOUND
    if kind == "buried":
        return stats.jobs(buried(state, tube)[:limit], now)
    jobs = [job for job in state.jobs.values() if job.tube is tube and job.state == kind]
    places = {(job.pri if kind == "ready" else job.deadline_at, job.id): job for job in jobs}
    return stats.jobs([places[place] for place in sorted(places) if place > after][:limit], now)


def list_connections(state: State, client: Client, now: int) -> bytes:
    return stats.items(stats.connection(state, each, now) for each in state.clients.values())


def stats_conn(state: State, client: Client, now: int, number: int | None = None) -> bytes:
    found = [each for each in state.clients.values() if each.number == number]
    if number is None:
        found = [client]
    return stats.one_connection(state, found[0], now) if found else NOT_FOUND


def stats_tube_all(state: State, client: Client, now: int) -> bytes:
    return stats.items(
        {**stats.of_tube(state, tube, now), **stats.more_of_tube(state, tube, now)}
        for tube in state.tubes
    )


BY_WORD: dict[str, Command] = {
    "capabilities": capabilities,
    "ping": ping,
    "peek-tube": peek_tube,
    "kick-tube": kick_tube,
    "put-in-tube": put_in_tube,
    "put-with": put_with,
    "reserve-batch": reserve_batch,
    "drain": drain,
    "list-jobs": list_jobs,
    "list-connections": list_connections,
    "stats-conn": stats_conn,
    "stats-tube-all": stats_tube_all,
}
