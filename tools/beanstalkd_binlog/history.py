"""`history`: everything that the log still knows of one job."""

from __future__ import annotations

from collections.abc import Iterator

from beanstalkd_binlog.dump import Printer, show
from beanstalkd_binlog.entry import Entry
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.status import complain
from beanstalkd_binlog.times import duration, local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.records import Import
from beanstalkd_py.queue.model import BURIED, DELAYED, Job


class _Story:
    """What became of one job, as its records pass by."""

    def __init__(self, job: int) -> None:
        self.job = job
        self.seen = 0
        self.first: Entry | None = None
        self.last: Entry | None = None

    def wants(self, entry: Entry) -> bool:
        """Its own records, and what voids all jobs."""
        if entry.job != self.job and not (self.seen and isinstance(entry.record, Import)):
            return False
        self.seen += 1
        self.first = self.first or entry
        self.last = entry
        return True


def history(walk: Walk, output: Output, printer: Printer, job: int, now: int) -> int:
    """Returns the exit status."""
    story = _Story(job)
    show(walk, printer, story.wants)
    printer.end()
    walk.settle()
    if not output.as_json:
        for line in _ending(walk, story, now):
            output.line(line)
    elif story.first is None:
        complain(f"{walk.directory}: nothing of job {job}")
    return walk.report()


def _ending(walk: Walk, story: _Story, now: int) -> Iterator[str]:
    if story.first is None or story.last is None:
        yield f"nothing of job {story.job}: {_never(walk, story.job)}"
        return
    if story.first.event != "put":
        yield "what happened before was dropped with its segments"
    job = walk.replayer.state.jobs.get(story.job)
    if job is not None:
        yield f"now {_standing(job, now)}; a restart would bring it back"
    elif story.last.event == "delete":
        yield f"deleted {duration(now - story.last.at)} ago"
    else:
        yield "not there any more"


def _never(walk: Walk, job: int) -> str:
    if job > walk.replayer.highest_id:
        return f"the highest id in the log is {walk.replayer.highest_id}"
    return "it was deleted, and its records dropped with their segments"


def _standing(job: Job, now: int) -> str:
    if job.state == BURIED:
        return "buried"
    if job.state == DELAYED and job.deadline_at > now:
        return f"delayed until {local(job.deadline_at)}"
    return "ready"
