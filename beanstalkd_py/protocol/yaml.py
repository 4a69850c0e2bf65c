"""Renders snapshots as the YAML replies of stats, stats-tube and stats-job, and lists of tubes. The
bytes are those of the C server 1.13.

Source: doc/protocol.txt and the C server's fmt_stats, fmt_stats_tube, fmt_job_stats.
"""

from collections.abc import Iterable
from typing import Final

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.commands import SECOND
from beanstalkd_py.queue.attributes import REASONS, Attributes
from beanstalkd_py.queue.model import Job, Tube
from beanstalkd_py.queue.policy import NO_POLICY, Policy
from beanstalkd_py.queue.snapshot import (
    ConnectionSnapshot,
    JobSnapshot,
    LimitsSnapshot,
    LogSnapshot,
    PeerSnapshot,
    ProcessSnapshot,
    QueueSnapshot,
    TubeSnapshot,
)

# Tube names are ASCII, because clients cannot make others. But a damaged binlog of the C server may
# have a name of any bytes.
NAME_ERRORS: Final = "surrogateescape"


def _yaml(lines: Iterable[tuple[str, object]]) -> bytes:
    text = "---\n" + "".join(f"{key}: {value}\n" for key, value in lines)
    data = text.encode(errors=NAME_ERRORS)
    return replies.OK % (len(data), data)


def _quoted(name: bytes) -> str:
    return f'"{name.decode(errors=NAME_ERRORS)}"'


def _text(key: bytes) -> str:
    """A unique key, in quotes. It may have the characters that YAML wants escaped there."""
    return '"' + key.decode().replace("\\", "\\\\").replace('"', '\\"') + '"'


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _seconds_left(left_ns: int) -> int:
    """Whole seconds. The C server reads its clock a second time, so a TTR of 60 s that has just
    begun shows as 59.
    """
    return max(left_ns - 1, 0) // SECOND


def names(names: Iterable[bytes]) -> bytes:
    """A list of tubes; unquoted, as the C server has them."""
    data = b"---\n" + b"".join(b"- %b\n" % name for name in names)
    return replies.OK % (len(data), data)


def server(
    queue: QueueSnapshot,
    process: ProcessSnapshot,
    log: LogSnapshot,
    counts: Iterable[tuple[str, int]],
    max_job_size: int,
    binlog_max_size: int,
    now: int,
    more: Iterable[tuple[str, object]] = (),
) -> bytes:
    """51 keys, in the C server's order. counts: of commands, by key; now: boot time, ns; sizes:
    bytes. more: what stands behind the C server's keys.
    """
    return _yaml(
        [
            ("current-jobs-urgent", queue.urgent_jobs),
            ("current-jobs-ready", queue.ready_jobs),
            ("current-jobs-reserved", queue.reserved_jobs),
            ("current-jobs-delayed", queue.delayed_jobs),
            ("current-jobs-buried", queue.buried_jobs),
            *counts,
            ("job-timeouts", queue.timeouts),
            ("total-jobs", queue.total_jobs),
            ("max-job-size", max_job_size),
            ("current-tubes", queue.tubes),
            ("current-connections", queue.connections),
            ("current-producers", queue.producers),
            ("current-workers", queue.workers),
            ("current-waiting", queue.waiting),
            ("total-connections", queue.total_connections),
            ("pid", process.pid),
            ("version", f'"{process.version}"'),
            ("rusage-utime", f"{process.user_cpu_s:.6f}"),
            ("rusage-stime", f"{process.system_cpu_s:.6f}"),
            ("uptime", (now - process.started_at) // SECOND),
            ("binlog-oldest-index", log.oldest_segment),
            ("binlog-current-index", log.current_segment),
            ("binlog-records-migrated", log.records_migrated),
            ("binlog-records-written", log.records_written),
            ("binlog-max-size", binlog_max_size),
            ("draining", _bool(queue.draining)),
            ("id", process.id),
            ("hostname", f'"{process.hostname}"'),
            ("os", f'"{process.os}"'),
            ("platform", f'"{process.platform}"'),
            *more,
        ]
    )


def limits(limits: LimitsSnapshot) -> list[tuple[str, object]]:
    """Each limit under the name of its option, and how often clients have reached it."""
    return [
        ("max-memory", limits.max_memory_bytes),
        ("max-memory-reached", limits.max_memory_reached),
        ("max-connections", limits.max_connections),
        ("max-connections-per-address", limits.max_connections_per_address),
        ("max-connections-reached", limits.max_connections_reached),
        ("idle-timeout", limits.idle_timeout_s),
        ("idle-timeout-reached", limits.idle_timeout_reached),
        ("input-timeout", limits.input_timeout_s),
        ("input-timeout-reached", limits.input_timeout_reached),
        ("max-pending", limits.max_pending_bytes),
        ("max-pending-reached", limits.max_pending_reached),
    ]


def capabilities(process: ProcessSnapshot, names: Iterable[str]) -> bytes:
    """names: of the extensions."""
    text = f'---\nserver: "beanstalkd-py"\nversion: "{process.version}"\nextensions:\n'
    data = (text + "".join(f"- {name}\n" for name in names)).encode()
    return replies.OK % (len(data), data)


def job(job: JobSnapshot, more: Iterable[tuple[str, object]] = ()) -> bytes:
    """14 keys, and `more`. Durations are cut to whole seconds."""
    return _yaml([*job_lines(job), *more])


def attributes(attributes: Attributes, now: int) -> list[tuple[str, object]]:
    """The attributes that the job has. now: boot time, ns."""
    lines: list[tuple[str, object]] = []
    if attributes.key:
        lines.append(("key", _text(attributes.key)))
        lines.append(("key-until-reserve", _bool(attributes.until_reserve)))
    if attributes.expires_at:
        lines.append(("expires-in", _seconds_left(attributes.expires_at - now)))
    if attributes.attempts:
        lines.append(("max-attempts", attributes.attempts))
    if attributes.reason:
        lines.append(("origin", _quoted(attributes.origin)))
        lines.append(("reason", REASONS[attributes.reason]))
    return lines


def job_lines(job: JobSnapshot) -> list[tuple[str, object]]:
    return [
        ("id", job.id),
        ("tube", _quoted(job.tube)),
        ("state", job.state),
        ("pri", job.pri),
        ("age", job.age_ns // SECOND),
        ("delay", job.delay_ns // SECOND),
        ("ttr", job.ttr_ns // SECOND),
        ("time-left", _seconds_left(job.left_ns)),
        ("file", job.segment),
        ("reserves", job.reserves),
        ("timeouts", job.timeouts),
        ("releases", job.releases),
        ("buries", job.buries),
        ("kicks", job.kicks),
    ]


def listed(
    key: int, snapshot: JobSnapshot, nbytes: int, more: Iterable[tuple[str, object]]
) -> bytes:
    """One job of a list. key: its key in `queue.listing`, which is the cursor."""
    lines = job_lines(snapshot)
    lines.extend(more)
    lines.append(("size", nbytes))
    lines.append(("cursor", f"{key >> 64}.{snapshot.id}"))
    return item(lines)


def item(lines: list[tuple[str, object]]) -> bytes:
    """One item of a list."""
    text = "\n  ".join([f"{key}: {value}" for key, value in lines])
    return f"- {text}\n".encode(errors=NAME_ERRORS)


def connection(connection: ConnectionSnapshot, peer: PeerSnapshot) -> list[tuple[str, object]]:
    return [
        ("id", connection.id),
        ("address", f'"{peer.address}"'),
        ("user", f'"{peer.user}"'),
        ("age", peer.age_ns // SECOND),
        ("tube", _quoted(connection.used)),
        ("watching", connection.watched),
        ("reserved", connection.reserved_jobs),
        ("waiting", _bool(connection.is_waiting)),
        ("waiting-time", connection.waited_ns // SECOND),
        ("pending-bytes", peer.pending_bytes),
    ]


def stats_conn(lines: list[tuple[str, object]], watched: list[bytes]) -> bytes:
    text = "---\n" + "".join([f"{key}: {value}\n" for key, value in lines]) + "watched:\n"
    data = text.encode(errors=NAME_ERRORS) + b"".join([b"- %b\n" % name for name in watched])
    return replies.OK % (len(data), data)


def listing(items: list[bytes]) -> bytes:
    data = b"---\n" + (b"".join(items) or b"[]\n")
    return replies.OK % (len(data), data)


def policy(policy: object) -> list[tuple[str, object]]:
    """The settings of a tube, as `set-tube` names them."""
    found = policy if isinstance(policy, Policy) else NO_POLICY
    return [
        ("max-attempts", found.max_attempts),
        ("dead-tube", _quoted(found.dead_tube)),
        ("max-jobs", found.max_jobs),
        ("max-bytes", found.max_bytes),
        ("max-reserved", found.max_reserved),
        ("expire", found.expire),
    ]


def tube(tube: TubeSnapshot, more: Iterable[tuple[str, object]] = ()) -> bytes:
    """14 keys, and `more`. Durations are cut to whole seconds."""
    return _yaml([*tube_lines(tube), *more])


def oldest(job: Job | None, now: int) -> list[tuple[str, object]]:
    """The oldest ready job. Both are 0 without one. now: boot time, ns."""
    age_ns = 0 if job is None else max(now - job.created_at, 0)
    return [
        ("oldest-ready-age", age_ns // SECOND),
        ("oldest-ready-id", 0 if job is None else job.id),
    ]


def more_of_tube(tube: Tube, oldest_job: Job | None, now: int) -> list[tuple[str, object]]:
    """What only a client with capabilities gets."""
    return [*oldest(oldest_job, now), *policy(tube.policy)]


def tube_lines(tube: TubeSnapshot) -> list[tuple[str, object]]:
    return [
        ("name", _quoted(tube.name)),
        ("current-jobs-urgent", tube.urgent_jobs),
        ("current-jobs-ready", tube.ready_jobs),
        ("current-jobs-reserved", tube.reserved_jobs),
        ("current-jobs-delayed", tube.delayed_jobs),
        ("current-jobs-buried", tube.buried_jobs),
        ("total-jobs", tube.total_jobs),
        ("current-using", tube.using),
        ("current-watching", tube.watching),
        ("current-waiting", tube.waiting),
        ("cmd-delete", tube.deletes),
        ("cmd-pause-tube", tube.pauses),
        ("pause", tube.pause_ns // SECOND),
        ("pause-time-left", _seconds_left(tube.pause_left_ns)),
    ]
