"""The YAML replies of the reference model. Values that only a real process knows are "?".
`without_unknowns` makes the same replacement in the replies of a real server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .entities import Client, Job, Tube
from .parser import EXTENSIONS
from .state import SECOND, State

URGENT = 1024  # priorities below this are urgent
COUNTED = (
    "put", "peek", "peek-ready", "peek-delayed", "peek-buried", "reserve",
    "reserve-with-timeout", "delete", "release", "use", "watch", "ignore", "bury", "kick",
    "touch", "stats", "stats-job", "stats-tube", "list-tubes", "list-tube-used",
    "list-tubes-watched", "pause-tube",
)  # fmt: skip
UNKNOWN = (
    "pid", "version", "rusage-utime", "rusage-stime", "binlog-oldest-index",
    "binlog-current-index", "binlog-records-migrated", "binlog-records-written", "id",
    "hostname", "os", "platform",
)  # fmt: skip
# The limits of a server, and how often each was reached: the servers to compare with have none.
LIMITS = (
    "max-memory", "max-memory-reached", "max-connections", "max-connections-per-address",
    "max-connections-reached", "idle-timeout", "idle-timeout-reached", "input-timeout",
    "input-timeout-reached", "max-pending", "max-pending-reached",
)  # fmt: skip
JOB_BYTES = 400  # that count for each job in current-job-bytes, beside its body


def _ok(text: str) -> bytes:
    return b"OK %d\r\n%b\r\n" % (len(text), text.encode())


def _yaml(**values: object) -> bytes:
    return _ok(
        "---\n" + "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in values.items())
    )


def _bool(value: bool) -> str:
    return "true" if value else "false"


def seconds_left(until: int, now: int) -> int:
    """Whole seconds left. 1 ns is taken off, so a new wait of n s has n - 1 s left."""
    return max(until - now - 1, 0) // SECOND


def names(tubes: list[Tube]) -> bytes:
    return _ok("---\n" + "".join(f"- {tube.name.decode()}\n" for tube in tubes))


def _counts_by_state(jobs: list[Job]) -> dict[str, int]:
    ready = [job for job in jobs if job.state == "ready"]
    counts = {
        "current_jobs_urgent": sum(job.pri < URGENT for job in ready),
        "current_jobs_ready": len(ready),
    }
    for state in ("reserved", "delayed", "buried"):
        counts[f"current_jobs_{state}"] = sum(job.state == state for job in jobs)
    return counts


def server(state: State, client: Client, now: int) -> bytes:
    clients = list(state.clients.values())
    return _yaml(
        **_counts_by_state(list(state.jobs.values())),
        **{f"cmd-{word}": state.counts.get(word, 0) for word in COUNTED},
        job_timeouts=state.timeouts,
        total_jobs=state.total_jobs,
        max_job_size=state.max_job_size,
        current_tubes=len(state.tubes),
        current_connections=len(clients),
        current_producers=sum(client.producer for client in clients),
        current_workers=sum(client.worker for client in clients),
        current_waiting=len(state.waiting),
        total_connections=state.total_connections,
        **dict.fromkeys(UNKNOWN[:4], "?"),
        uptime=(now - state.started_at) // SECOND,
        **dict.fromkeys(UNKNOWN[4:8], "?"),
        binlog_max_size=state.binlog_max_size,
        draining=_bool(state.draining),
        **dict.fromkeys(UNKNOWN[8:], "?"),
        **(_more(state, now) if client.has_capabilities else {}),
    )


def _more(state: State, now: int) -> dict[str, object]:
    """What only a client that has said `capabilities` gets."""
    return {
        **{f"cmd-{word}": state.counts.get(word, 0) for word in EXTENSIONS},
        "current-job-bytes": sum(map(_bytes_of, state.jobs.values())),
        "expired-jobs": state.expired,
        **dict.fromkeys(LIMITS, 0),
        **oldest(state, state.tubes, now),
    }


def _bytes_of(job: Job) -> int:
    attributes = JOB_BYTES + len(job.key) + len(job.origin) if job.has_attributes else 0
    return len(job.body) + JOB_BYTES + attributes


def capabilities() -> bytes:
    names = "".join(f"- {word}\n" for word in EXTENSIONS)
    return _ok(f'---\nserver: "beanstalkd-py"\nversion: ?\nextensions:\n{names}')


def job(client: Client, job: Job, now: int) -> bytes:
    more = _attributes(job, now) if client.has_capabilities else {}
    return _yaml(**_of_job(job, now), **more)


def _attributes(job: Job, now: int) -> dict[str, object]:
    """Those that the job has."""
    found: dict[str, object] = {}
    if job.key:
        text = job.key.decode().replace("\\", "\\\\").replace('"', '\\"')
        found.update({"key": f'"{text}"', "key-until-reserve": _bool(job.until_reserve)})
    if job.expires_at:
        found["expires-in"] = seconds_left(job.expires_at, now)
    if job.attempts:
        found["max-attempts"] = job.attempts
    if job.reason:
        found.update({"origin": f'"{job.origin.decode()}"', "reason": job.reason})
    return found


def _of_job(job: Job, now: int) -> dict[str, object]:
    return {
        "id": job.id,
        "tube": f'"{job.tube.name.decode()}"',
        "state": job.state,
        "pri": job.pri,
        "age": max(now - job.created_at, 0) // SECOND,
        "delay": job.delay // SECOND,
        "ttr": job.ttr // SECOND,
        "time_left": seconds_left(job.deadline_at, now),
        "file": "?",
        "reserves": job.reserves,
        "timeouts": job.timeouts,
        "releases": job.releases,
        "buries": job.buries,
        "kicks": job.kicks,
    }


def jobs(jobs: list[Job], now: int) -> bytes:
    return items(
        {**_of_job(job, now), **_attributes(job, now), "size": len(job.body), "cursor": "?"}
        for job in jobs
    )


def items(values: Iterable[dict[str, object]]) -> bytes:
    return _ok("---\n" + ("".join(map(_item, values)) or "[]\n"))


def _item(values: dict[str, object]) -> str:
    lines = [f"{key.replace('_', '-')}: {value}\n" for key, value in values.items()]
    return "- " + "  ".join(lines)


def connection(state: State, client: Client, now: int) -> dict[str, object]:
    """A client without a socket has no address and no age."""
    waits = client in state.waiting
    return {
        "id": client.number,
        "address": '""',
        "user": '""',
        "age": 0,
        "tube": f'"{client.used.name.decode()}"',
        "watching": len(client.watched),
        "reserved": len(state.held(client)),
        "waiting": _bool(waits),
        "waiting_time": (now - client.waits_since) // SECOND if waits else 0,
        "pending_bytes": 0,
    }


def one_connection(state: State, client: Client, now: int) -> bytes:
    names = "".join(f"- {tube.name.decode()}\n" for tube in client.watched)
    lines = connection(state, client, now).items()
    text = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines)
    return _ok(f"---\n{text}watched:\n{names}")


def tube(state: State, client: Client, tube: Tube, now: int) -> bytes:
    more = more_of_tube(state, tube, now) if client.has_capabilities else {}
    return _yaml(**{**of_tube(state, tube, now), **more})


def more_of_tube(state: State, tube: Tube, now: int) -> dict[str, object]:
    return {**oldest(state, [tube], now), **_of_policy(state.policies.get(tube.name, {}))}


def oldest(state: State, tubes: list[Tube], now: int) -> dict[str, object]:
    """The ready job with the smallest id."""
    ready = sorted(state.ready(tubes), key=lambda job: job.id)
    return {
        "oldest_ready_age": max(now - ready[0].created_at, 0) // SECOND if ready else 0,
        "oldest_ready_id": ready[0].id if ready else 0,
    }


def of_tube(state: State, tube: Tube, now: int) -> dict[str, object]:
    clients = state.clients.values()
    return dict(
        name=f'"{tube.name.decode()}"',
        **_counts_by_state([job for job in state.jobs.values() if job.tube is tube]),
        total_jobs=tube.total_jobs,
        current_using=sum(client.used is tube for client in clients),
        current_watching=sum(tube in client.watched for client in clients),
        current_waiting=sum(tube in client.watched for client in state.waiting),
        cmd_delete=tube.deletes,
        cmd_pause_tube=tube.pauses,
        pause=tube.pause // SECOND,
        pause_time_left=seconds_left(tube.paused_until, now),
    )


def _of_policy(policy: dict[str, object]) -> dict[str, object]:
    dead_tube = policy.get("dead-tube", b"")
    assert isinstance(dead_tube, bytes)
    return {
        "max-attempts": policy.get("max-attempts", 0),
        "dead-tube": f'"{dead_tube.decode()}"',
        **{key: policy.get(key, 0) for key in ("max-jobs", "max-bytes", "max-reserved", "expire")},
    }


_REPLY = re.compile(
    rb"OK [0-9]+\r\n(---\n(?:(?:current-jobs-urgent|id|- id): [0-9]+|server: \"[^\n]*)\n[^\r]*)\r\n"
)
_VALUE = re.compile(
    rf"^( *(?:{'|'.join(UNKNOWN[:-4])}|file|cursor|hostname|os|platform)): .*$"
    r"|^(id): [0-9a-f]{16}$".encode(),
    re.MULTILINE,
)


def without_unknowns(replies: bytes) -> bytes:
    """A real server's replies, with "?" in place of values that the model cannot know. Job ids must
    be shorter than 16 digits.
    """

    def without(match: re.Match[bytes]) -> bytes:
        text = _VALUE.sub(lambda line: (line[1] or line[2]) + b": ?", match[1])
        return b"OK %d\r\n%b\r\n" % (len(text), text)

    return _REPLY.sub(without, replies)
