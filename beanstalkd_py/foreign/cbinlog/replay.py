"""Applies records to jobs, as the C server's `readrec` does, without its faults. Pure: records in,
jobs and reports out. Records are counted; a name with `seq` is the number of a record.

- A short record of an unknown job is ignored: the full record may have been in a file that is gone.
- A full record of a known job is a copy that compaction made. Its fields replace the known ones.
- A record about another job than the known one with its id (`judgement.same_job`) is not applied,
  with one exception. A C server that lost jobs at a start uses their ids again. So a put in a
  later file with a later creation time replaces the earlier job.

Everything unusual is reported.
"""

from collections.abc import Callable

from beanstalkd_py.foreign.cbinlog.damage import Damage, Kind
from beanstalkd_py.foreign.cbinlog.format import INVALID, MAX_SECONDS_NS, SECOND_NS, Jobrec
from beanstalkd_py.foreign.cbinlog.job import BURIED, DELAYED, READY, RESERVED, CJob
from beanstalkd_py.foreign.cbinlog.judgement import (
    FIRST_IMPLAUSIBLE_ID,
    changes_nothing,
    counters_fell,
    is_no_delete,
    reads_as_torn,
    same_job,
)
from beanstalkd_py.foreign.cbinlog.segment import Entry, Segment

_BEFORE_ALL = 1 << 62


class Known:
    """A job according to the records so far."""

    __slots__ = ("body", "buried_seq", "file", "last_seq", "rec", "tube")

    def __init__(self, file: int, entry: Entry, rec: Jobrec, seq: int) -> None:
        self.file = file  # number of the file with its first full record
        self.tube = entry.tube
        self.body = entry.body
        self.rec = rec  # the last record that was applied
        self.last_seq = seq  # of `rec`
        self.buried_seq = seq  # of the record that buried the job, if it is buried


class Stray:
    """A short record without its job: no job with its id is known, or a different one."""

    __slots__ = ("created_at_ns", "id", "offset", "path", "seq", "state")

    def __init__(self, path: str, entry: Entry, seq: int) -> None:
        self.id = entry.job.id
        self.seq = seq
        self.path = path
        self.offset = entry.offset
        self.created_at_ns = entry.job.created_at_ns
        self.state = entry.job.state

    @property
    def deleted(self) -> bool:
        return self.state == INVALID


class Replay:
    def __init__(self, report: Callable[[Damage], None]) -> None:
        self._report = report
        self._jobs: dict[int, Known] = {}
        self._orphans: dict[int, Stray] = {}  # by unknown id: its last record
        self._refused: list[Stray] = []  # records that were not applied
        self._doubtful: set[int] = set()  # jobs that may have been deleted
        self._dropped: set[int] = set()
        self._highest_id = 0
        self._seq = 0
        self._missing_seq = 0  # of the first record after the latest missing records; 0: none
        self._deleted_here: set[int] = set()  # in the file that is being read

    def records_are_missing(self) -> None:
        self._missing_seq = self._seq + 1

    def read(self, number: int, segment: Segment, passed: Callable[[int], None]) -> None:
        """Applies all records of a file. passed: called with the offset after each record."""
        self._deleted_here.clear()
        while True:
            entry = segment.take()
            if segment.hidden:
                segment.hidden = False
                self.records_are_missing()
            if entry is None:
                break
            self._seq += 1
            if entry.tube:
                self._apply_full(number, segment, entry)
            else:
                self._apply_short(segment, entry)
            passed(entry.end)
        self._highest_id = max(self._highest_id, segment.highest_id)
        self._dropped |= segment.dropped

    def _apply_full(self, number: int, segment: Segment, entry: Entry) -> None:
        job = entry.job
        self._count_id(segment, entry)
        known = self._jobs.get(job.id)
        if known is None:
            self._add(number, segment, entry)
        elif same_job(known.rec, job):
            self._copy(segment, entry, known)
        elif number > known.file and job.created_at_ns > known.rec.created_at_ns:
            lost = f"a job of {len(known.body)} bytes in tube {_show(known.tube)}"
            segment.report(
                entry, f"the id of job {job.id} was used twice: the earlier job, {lost}, is lost"
            )
            self._add(number, segment, entry)
        else:
            if (
                known.rec.created_at_ns == job.created_at_ns
                and known.rec.body_size != job.body_size
            ):
                message = (
                    f"job {job.id} size changed: was {known.rec.body_size}, now {job.body_size}"
                )
            else:
                message = f"another job has the id of job {job.id}"
            segment.distrust(entry, message + ": not used")

    def _add(self, number: int, segment: Segment, entry: Entry) -> None:
        rec = entry.job
        if not READY <= rec.state <= DELAYED:
            segment.report(entry, f"job {rec.id} has state {rec.state}: taken for a put")
            rec = rec._replace(state=_likely_state(rec))
        elif not entry.plausible:
            segment.report(
                entry,
                f"job {rec.id} is not as the C server writes it: {_strange(rec)}, "
                f"tube {_show(entry.tube)}",
            )
        if rec.id in self._deleted_here:
            segment.report(
                entry, f"job {rec.id} was deleted before, in this file: one of the ids is damaged"
            )
            self._doubtful.add(rec.id)
        known = self._jobs[rec.id] = Known(number, entry, rec, self._seq)
        orphan = self._orphans.pop(rec.id, None)
        if rec.state == BURIED:
            # A full record of a buried job is a copy. If the record that buried the job was not
            # read, it was in a file that is missing, older than all existing files. So this bury
            # comes before all others.
            known.buried_seq = orphan.seq if orphan else self._seq - _BEFORE_ALL

    def _copy(self, segment: Segment, entry: Entry, known: Known) -> None:
        job = entry.job
        if not READY <= job.state <= DELAYED:
            return segment.report(
                entry, f"the copy of job {job.id} has state {job.state}: not used"
            )
        if entry.body != known.body or entry.tube != known.tube:
            segment.report(
                entry, f"the copy of job {job.id} has another body or tube: the first one is kept"
            )
        self._change(segment, entry, known)

    def _apply_short(self, segment: Segment, entry: Entry) -> None:
        job = entry.job
        known = self._jobs.get(job.id)
        if known is None:
            if segment.is_certain(entry):
                self._count_id(segment, entry)
                self._orphans[job.id] = Stray(segment.path, entry, self._seq)
            else:
                segment.distrust(entry, "not a record that the C server writes")
                self._refused.append(Stray(segment.path, entry, self._seq))
        elif not same_job(known.rec, job):
            kind = segment.distrust(
                entry, f"an update of job {job.id} does not agree with it: not used"
            )
            if kind is Kind.DAMAGE:
                self._refused.append(Stray(segment.path, entry, self._seq))
                if job.state == INVALID:
                    self._doubtful.add(job.id)
        elif job.state == INVALID:
            self._delete(segment, entry, known)
        elif job.state > DELAYED:
            segment.report(entry, f"job {job.id} has state {job.state}: not used")
            self._doubtful.add(job.id)
        else:
            if changes_nothing(known.rec, job):
                segment.report(
                    entry, f"an update of job {job.id} that changes nothing: a delete, perhaps"
                )
                self._doubtful.add(job.id)
            self._change(segment, entry, known)

    def _delete(self, segment: Segment, entry: Entry, known: Known) -> None:
        id = entry.job.id
        wrong = reads_as_torn if segment.nothing_follows(entry) else is_no_delete
        if wrong(known.rec, entry.job):
            if segment.distrust(entry, f"an update of job {id}, not a delete") is Kind.DAMAGE:
                self._doubtful.add(id)
            return
        if segment.may_be_cut(entry):
            segment.report(
                entry,
                f"job {id} is taken for deleted: "
                "an update of it, cut off here, would look the same",
                Kind.TORN,
            )
        del self._jobs[id]
        self._deleted_here.add(id)

    def _change(self, segment: Segment, entry: Entry, known: Known) -> None:
        rec = entry.job
        if counters_fell(known.rec, rec):
            segment.report(entry, f"job {rec.id} has smaller counters than before")
        if not entry.plausible:
            segment.report(entry, f"job {rec.id} is not as the C server writes it: {_strange(rec)}")
        # A short record of a buried job buries it. A copy of a buried job does not, so the job
        # keeps its place in the order of burying.
        if rec.state == BURIED and not (entry.tube and known.rec.state == BURIED):
            known.buried_seq = self._seq
        known.rec = rec
        known.last_seq = self._seq

    def _count_id(self, segment: Segment, entry: Entry) -> None:
        if entry.job.id >= FIRST_IMPLAUSIBLE_ID:
            segment.report(
                entry,
                f"job {entry.job.id} has an id that is too large: it is ignored for the next id",
            )
        else:
            self._highest_id = max(self._highest_id, entry.job.id)

    # --- the result

    @property
    def next_id(self) -> int:
        return self._highest_id + 1

    def finish(self) -> list[int]:
        """Makes the reports that need all records. Returns the ids of jobs that may have been
        deleted. Call it once, before `take_jobs`.
        """
        self._report_orphans()
        self._report_mistaken()
        self._doubtful.update(
            id for id, known in self._jobs.items() if known.last_seq < self._missing_seq
        )
        return sorted(self._doubtful & self._jobs.keys())

    def take_jobs(self) -> list[CJob]:
        """All jobs except buried ones, by id; then the buried ones in the order of burying. Removes
        each job from the replay, so that no job is in memory twice.
        """
        buried = sorted(
            (known.buried_seq, id) for id, known in self._jobs.items() if known.rec.state == BURIED
        )
        others = sorted(id for id, known in self._jobs.items() if known.rec.state != BURIED)
        return [_job(self._jobs.pop(id)) for id in (*others, *(id for _, id in buried))]

    def _report_orphans(self) -> None:
        alive = {
            id: orphan
            for id, orphan in self._orphans.items()
            if not orphan.deleted and id not in self._dropped
        }
        if not alive:
            return
        first = next(iter(alive.values()))
        ids = tuple(sorted(alive))
        kind = Kind.DAMAGE if self._missing_seq else Kind.ORPHAN
        self._report(
            Damage(
                first.path,
                first.offset,
                f"{len(ids)} jobs have updates but no put, job {ids[0]} the first of them",
                kind,
                ids,
            )
        )

    def _report_mistaken(self) -> None:
        """If the id in an update is damaged, the update belongs to another job, to which it was not
        applied. That job and the update have the same creation time.
        """
        strays = {stray.created_at_ns: stray for stray in (*self._refused, *self._orphans.values())}
        if not strays:
            return
        for id, known in self._jobs.items():
            stray = strays.get(known.rec.created_at_ns)
            if stray is None or stray.id == id:
                continue
            what = "delete" if stray.deleted else "update"
            message = (
                f"the {what} of job {stray.id} was not used, "
                f"but job {id} was created at the same instant, and the {what} may belong to it"
            )
            self._report(Damage(stray.path, stray.offset, message, Kind.DAMAGE, (id,)))
            if stray.deleted:
                self._doubtful.add(id)


def _likely_state(rec: Jobrec) -> int:
    """The state of a put whose state is damaged: delayed if it has a deadline."""
    return DELAYED if rec.delay_ns > 0 and rec.deadline_at_ns > rec.created_at_ns else READY


def _job(known: Known) -> CJob:
    """The job, with its numbers within the limits of the queue."""
    rec = known.rec
    state = READY if rec.state == RESERVED else rec.state
    return CJob(
        rec.id,
        known.tube,
        state,
        rec.pri,
        min(max(rec.delay_ns, 0), MAX_SECONDS_NS),
        min(max(rec.ttr_ns, SECOND_NS), MAX_SECONDS_NS),
        max(rec.created_at_ns, 1),
        max(rec.deadline_at_ns, 0) if state == DELAYED else 0,
        rec.reserves,
        rec.timeouts,
        rec.releases,
        rec.buries,
        rec.kicks,
        known.body,
    )


def _strange(rec: Jobrec) -> str:
    return (
        f"delay {rec.delay_ns}, ttr {rec.ttr_ns}, "
        f"created at {rec.created_at_ns}, deadline at {rec.deadline_at_ns} ns"
    )


def _show(tube: bytes) -> str:
    return repr(tube)[1:]
