"""`history`: every record of one job, and what became of the job."""

from __future__ import annotations

from collections.abc import Iterator

from beanstalkd_binlog.dump import Printer, print_entries
from beanstalkd_binlog.entry import Entry
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.status import warn
from beanstalkd_binlog.times import duration, local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.records import Import
from beanstalkd_py.queue.model import BURIED, DELAYED, Job


class _Story:
    """The first and the last record of a job."""

    def __init__(self, job: int) -> None:
        self.job = job
        self.first: Entry | None = None
        self.last: Entry | None = None

    def selects(self, entry: Entry) -> bool:
        """The job's own records, and later imports, which make all jobs void."""
        if entry.job != self.job and (self.first is None or not isinstance(entry.record, Import)):
            return False
        self.first = self.first or entry
        self.last = entry
        return True


def history(walk: Walk, output: Output, printer: Printer, job: int, now: int) -> int:
    """Returns the exit status. now: wall clock, ns."""
    story = _Story(job)
    print_entries(walk, printer, story.selects)
    printer.end()
    walk.finish_replay()
    if not output.as_json:
        for line in _outcome(walk, story, now):
            output.line(line)
    elif story.first is None:
        warn(f"{walk.directory}: no record of job {job}")
    return walk.report()


def _outcome(walk: Walk, story: _Story, now: int) -> Iterator[str]:
    if story.first is None or story.last is None:
        yield f"no record of job {story.job}: {_why_unknown(walk, story.job)}"
        return
    if story.first.event != "put":
        yield "earlier records were deleted with their segments"
    job = walk.replayer.state.jobs.get(story.job)
    if job is not None:
        yield f"now {_state(job, now)}; a restart would keep the job"
    elif story.last.event == "delete":
        yield f"deleted {duration(now - story.last.at)} ago"
    else:
        yield "the job no longer exists"


def _why_unknown(walk: Walk, job: int) -> str:
    if job > walk.replayer.highest_id:
        return f"the highest job id in the log is {walk.replayer.highest_id}"
    return "the job was deleted, and its records with their segments"


def _state(job: Job, now: int) -> str:
    if job.state == BURIED:
        return "buried"
    if job.state == DELAYED and job.deadline_at > now:
        return f"delayed until {local(job.deadline_at)}"
    return "ready"
