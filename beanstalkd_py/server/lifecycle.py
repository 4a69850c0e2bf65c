"""Steps in the life of a server that its operator hears of."""

from beanstalkd_py import __version__
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.config import version
from beanstalkd_py.host.events import EventLog, Field, Report
from beanstalkd_py.host.process import age_s
from beanstalkd_py.queue.memory import NO_LIMIT
from beanstalkd_py.queue.queue import Queue


def report_ready(
    events: EventLog,
    addresses: list[str],
    queue: Queue,
    log: Binlog | None,
    directory: str | None,
) -> None:
    """log, directory: None if jobs are in memory only."""
    seconds = age_s()
    listens = ", ".join(addresses)
    fields: dict[str, Field] = {
        "version": __version__,
        "build": version.build(),
        "address": listens,
        "seconds": seconds,
    }
    held = "memory only"
    jobs = len(queue.jobs)
    if log is not None and directory is not None:
        shown = log.snapshot()
        segments = shown.current_segment - shown.oldest_segment + 1
        held = f"log {directory}: {_counted(jobs, 'job')} in {_counted(segments, 'segment')}"
        fields |= {"directory": directory, "jobs": jobs, "segments": segments}
    if queue.memory.limit != NO_LIMIT:
        held += f", at most {queue.memory.limit} bytes of jobs"
        fields["max_memory"] = queue.memory.limit
    events.info(
        f"ready: {__version__} ({version.build()}) on {listens}, {held}, after {seconds:.1f} s",
        event="ready",
        **fields,
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


class Draining:
    """Reports when the queue begins to drain, and when that ends. A signal or a client asks for it.

    Clients may ask as often as they like, so a timer calls `check`.
    """

    def __init__(self, queue: Queue, report: Report) -> None:
        self._queue = queue
        self._report = report
        self._reported = False

    def begin(self) -> None:
        """For SIGUSR1, in the handler of the signal."""
        self._queue.draining = True
        self.check()

    def check(self) -> None:
        now = self._queue.draining
        before, self._reported = self._reported, now
        if now and not before:
            self._report("draining: puts are refused", event="draining")
        elif before and not now:
            self._report("draining has ended: puts are accepted", event="draining_ended")
