"""The YAML answers: stats, stats-job, stats-tube and the lists of tubes, byte for byte those of the
C server 1.13.

Source: doc/protocol.txt and the C server's fmt_stats, fmt_stats_tube, fmt_job_stats.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.parser import SECOND
from beanstalkd_py.queue.model import DELAYED, RESERVED, STATE_NAMES, Job, Tube

if TYPE_CHECKING:
    from beanstalkd_py.queue.engine import Engine


@dataclass
class Process:
    """What `stats` says about the process; instants are monotonic ns."""

    pid: int = 0
    version: str = ""
    id: str = "0" * 16
    hostname: str = ""
    os: str = ""
    platform: str = ""
    started_at: int = 0
    cpu: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0)  # seconds of user and system time


@dataclass
class JournalStats:
    """What `stats` says about the binlog."""

    oldest: int = 0
    current: int = 0
    migrated: int = 0
    written: int = 0


class Numbered(Protocol):
    """Where a job's latest whole record is."""

    number: int


# no client can make them, but the C server's binlog, taken over damaged, may hold any bytes
ODD_NAMES = "surrogateescape"
_COMMANDS = (
    "cmd-put", "cmd-peek", "cmd-peek-ready", "cmd-peek-delayed", "cmd-peek-buried", "cmd-reserve", "cmd-reserve-with-timeout",
    "cmd-delete", "cmd-release", "cmd-use", "cmd-watch", "cmd-ignore", "cmd-bury", "cmd-kick", "cmd-touch", "cmd-stats",
    "cmd-stats-job", "cmd-stats-tube", "cmd-list-tubes", "cmd-list-tube-used", "cmd-list-tubes-watched", "cmd-pause-tube",
)  # fmt: skip


def _yaml(lines: Iterable[tuple[str, object]]) -> bytes:
    text = "---\n" + "".join(f"{key}: {value}\n" for key, value in lines)
    data = text.encode(errors=ODD_NAMES)
    return replies.OK % (len(data), data)


def _seconds_left(left: int) -> int:
    """Whole seconds of `left` ns. The C server reads its clock anew, so a full 60 s is 59 already."""
    return max(left - 1, 0) // SECOND


def names(tubes: Iterable[Tube]) -> bytes:
    """A list of tubes, names unquoted as the C server has them."""
    data = b"---\n" + b"".join(b"- %b\n" % tube.name for tube in tubes)
    return replies.OK % (len(data), data)


def server(engine: "Engine", now: int) -> bytes:
    """51 keys, in the C server's order."""
    process = engine.process
    user, system = process.cpu()
    log = engine.journal.stats() if engine.journal is not None else JournalStats()
    return _yaml(
        [
            ("current-jobs-urgent", engine.urgent_count),
            ("current-jobs-ready", engine.ready_count),
            ("current-jobs-reserved", engine.reserved_count),
            ("current-jobs-delayed", engine.delayed_count),
            ("current-jobs-buried", engine.buried_count),
            *zip(_COMMANDS, engine.counts, strict=True),
            ("job-timeouts", engine.timeouts),
            ("total-jobs", engine.total_jobs),
            ("max-job-size", engine.max_job_size),
            ("current-tubes", len(engine.tubes)),
            ("current-connections", engine.connections),
            ("current-producers", engine.producers),
            ("current-workers", engine.workers),
            ("current-waiting", engine.waiting),
            ("total-connections", engine.total_connections),
            ("pid", process.pid),
            ("version", f'"{process.version}"'),
            ("rusage-utime", f"{user:.6f}"),
            ("rusage-stime", f"{system:.6f}"),
            ("uptime", (now - process.started_at) // SECOND),
            ("binlog-oldest-index", log.oldest),
            ("binlog-current-index", log.current),
            ("binlog-records-migrated", log.migrated),
            ("binlog-records-written", log.written),
            ("binlog-max-size", engine.binlog_max_size),
            ("draining", "true" if engine.draining else "false"),
            ("id", process.id),
            ("hostname", f'"{process.hostname}"'),
            ("os", f'"{process.os}"'),
            ("platform", f'"{process.platform}"'),
        ]
    )


def job(job: Job, now: int) -> bytes:
    """14 keys. `time-left` is cut towards zero."""
    left = job.deadline_at - now if job.state in (RESERVED, DELAYED) else 0
    home: Numbered | None = job.full_segment  # type: ignore[assignment]  # the journal's, who gives it a number
    return _yaml(
        [
            ("id", job.id),
            ("tube", f'"{job.tube.name.decode(errors=ODD_NAMES)}"'),
            ("state", STATE_NAMES[job.state]),
            ("pri", job.pri),
            ("age", (now - job.created_at) // SECOND),
            ("delay", job.delay // SECOND),
            ("ttr", job.ttr // SECOND),
            ("time-left", _seconds_left(left)),
            ("file", home.number if home is not None else 0),
            ("reserves", job.reserves),
            ("timeouts", job.timeouts),
            ("releases", job.releases),
            ("buries", job.buries),
            ("kicks", job.kicks),
        ]
    )


def tube(tube: Tube, now: int) -> bytes:
    """14 keys."""
    left = tube.paused_until - now if tube.paused_until else 0
    return _yaml(
        [
            ("name", f'"{tube.name.decode(errors=ODD_NAMES)}"'),
            ("current-jobs-urgent", tube.urgent_count),
            ("current-jobs-ready", tube.ready_count),
            ("current-jobs-reserved", tube.reserved_count),
            ("current-jobs-delayed", tube.delayed_count),
            ("current-jobs-buried", len(tube.buried)),
            ("total-jobs", tube.total_jobs),
            ("current-using", tube.using),
            ("current-watching", tube.watching),
            ("current-waiting", len(tube.waiting)),
            ("cmd-delete", tube.delete_count),
            ("cmd-pause-tube", tube.pause_count),
            ("pause", tube.pause // SECOND),
            ("pause-time-left", _seconds_left(left)),
        ]
    )
