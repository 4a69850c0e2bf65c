"""The durable changes of one server run in order, and the check that a recovered state is the state
after a prefix of them.

The recording model appends each change in the order in which it was made. A reply that was sent
promises all changes before it. After a crash, or on a copy of the disk, the recovered state must
equal the state after some change, and that change must not lie before the last promised one.

The log does not record everything. A recovered job may therefore be as it was at its latest record
or at any time since, in two respects: how often it was reserved, and whether a delay or a pause is
over.

A start limits what is left of a delay or a pause to its whole length. The record on disk keeps its
time, and a later start reads it again.

May know: contents. Promises: `match` changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from beanstalkd_py.queue.attributes import Attributes

from .contents import POLICY, RUN, Contents, JobContents, moved_by
from .violation import Violation

FIRST, LAST = -1 << 63, (1 << 63) - 1  # the instants that a record can hold
RECORDED = ("tube", "body", "ttr", "pri", "delay", "releases", "buries", "kicks")


@dataclass(frozen=True)
class RecordedJob:
    """A job as its latest record has it. Instants are of the server's clock.

    since, born: indexes into `History.offsets`. Any offset from there on may have been used to
    write the deadline and the time of creation. older: wall times of the deadline that earlier
    records may have, because the start limited them.
    """

    job: JobContents
    since: int
    born: int
    rank: int  # of a buried job: its place in the order of burying
    older: tuple[int, ...] = ()


@dataclass(frozen=True)
class RecordedPause:
    pause: int  # ns
    until: int
    since: int  # as of a job
    older: tuple[int, ...] = ()


@dataclass(frozen=True)
class RecordedPolicy:
    settings: dict[str, object]


@dataclass(frozen=True)
class RecordedRun:
    at: int


# A job's id, the name of a paused tube, or that of a policy or of a run (see `contents`).
Key = int | bytes
Recorded = RecordedJob | RecordedPause | RecordedPolicy | RecordedRun


class Change(NamedTuple):
    """From this change on a job or a pause is like that. None: it is gone."""

    key: Key
    now: Recorded | None


class History:
    """Of one server run, from its start on."""

    def __init__(self) -> None:
        self.first: dict[Key, Recorded] = {}  # what the start recovered
        self.first_next_id = 1
        self.next_id = 1  # the highest possible one, except for ids that are reserved ahead
        self.ahead = 0  # so many ids may be reserved ahead
        self.changes: list[Change] = []
        self.lost: set[int] = set()  # ids of puts without memory: no client knows them
        # Wall clock minus the server's clock, ns: each value that records may have used.
        self.offsets: list[int] = [0]
        # Of each job, the reserves and timeouts that a later record may contain.
        self.most: dict[int, tuple[int, int]] = {}
        # Jobs that a full disk left buried without a record. Compaction may write them as buried.
        self.unlogged: set[int] = set()
        # Jobs that schedules have put, by name and instant: the position after that. Of all server
        # runs, as far as their changes came back.
        self.runs: dict[tuple[bytes, int], int] = {}

    def has_put_run(self, name: bytes, at: int) -> None:
        if (name, at) in self.runs:
            raise Violation(f"the run of {name!r} at {at} is put twice")
        self.runs[name, at] = self.position

    def has_forgotten(self, name: bytes) -> None:
        """The schedule is gone. If it comes back, it begins then, and a clock may have been set."""
        self.runs = {run: after for run, after in self.runs.items() if run[0] != name}

    def came_back(self, position: int) -> None:
        """The changes after this position are undone."""
        self.runs = {run: 0 for run, after in self.runs.items() if after <= position}

    @property
    def position(self) -> int:
        return len(self.changes)

    def set_clock_offset(self, offset: int) -> None:
        """From now on records use this difference."""
        if offset != self.offsets[-1]:
            self.offsets.append(offset)

    def match(self, contents: Contents, at_least: int, told: int, now: int) -> int:
        """The last position, at_least or later, whose state equals the recovered one. told: the
        position of the latest reply; no id up to there may be given again, even if its job is gone.
        now: on the clock of this history. Raises Violation if there is none.
        """
        best: dict[Key, str] | None = None
        matched = -1
        comparison = Comparison(self, contents, now)
        for position, differences in enumerate(comparison.each_position(at_least), at_least):
            if not differences:
                matched = position
            if best is None or len(differences) < len(best):
                best = dict(differences)
        if matched < 0:
            assert best is not None
            raise Violation(
                f"none of the states {at_least} to {self.position} came back; the nearest has\n"
                + "\n".join(best.values())
            )
        self._check_next_id(contents, max(at_least, told))
        return matched

    def _check_next_id(self, contents: Contents, told: int) -> None:
        ids = {change.key for change in self.changes[:told] if isinstance(change.key, int)}
        lowest = max([self.first_next_id, *(id + 1 for id in ids - self.lost)])
        highest = self.next_id + self.ahead
        if not lowest <= contents.next_id <= highest:
            raise Violation(f"the next id is {contents.next_id}, not {lowest} to {highest}")

    def restart_from(self, contents: Contents, offset: int) -> None:
        """A new run begins with the recovered state."""
        ranks = {id: rank for ids in contents.buried.values() for rank, id in enumerate(ids)}
        wall = contents.wall
        first: dict[Key, Recorded] = {
            id: RecordedJob(
                _shifted(job, -offset), 0, 0, ranks.get(id, 0),
                self._older(id, job.deadline_at == wall + job.delay),
            )
            for id, job in contents.jobs.items()
        }  # fmt: skip
        first.update(
            (
                name,
                RecordedPause(pause, until - offset, 0, self._older(name, until == wall + pause)),
            )
            for name, (pause, until) in contents.pauses.items()
        )
        first.update((key, RecordedPolicy(each)) for key, each in contents.policies.items())
        first.update((key, RecordedRun(at)) for key, at in contents.runs.items())
        self.first = first
        self.first_next_id = self.next_id = contents.next_id
        self.ahead = 0
        self.changes = []
        self.offsets = [offset]
        self.most = {id: (job.reserves, job.timeouts) for id, job in contents.jobs.items()}
        self.unlogged = set()

    def wall_times(self, at: int, since: int) -> list[int]:
        """The instant as any record since then may have written it."""
        return [min(max(at + offset, FIRST), LAST) for offset in self.offsets[since:]]

    def ends(self, recorded: Recorded) -> list[int]:
        """The end of a delay or a pause, as records may have it."""
        if isinstance(recorded, RecordedJob):
            at = recorded.job.deadline_at
            times = self.wall_times(at, recorded.since) if recorded.job.state == "delayed" else []
            return [*times, *recorded.older]
        assert isinstance(recorded, RecordedPause)
        # An end at 0 of a server's clock would mean "not paused", so replay sets it 1 ns earlier.
        # The record on disk keeps the end as it was, and a later start may read that.
        times = self.wall_times(recorded.until, recorded.since)
        if recorded.until == -1:
            times += self.wall_times(0, recorded.since)
        return [*times, *recorded.older]

    def _older(self, key: Key, is_limited: bool) -> tuple[int, ...]:
        """The ends that records of this job or pause may have, if the start has limited it."""
        if not is_limited:
            return ()
        versions = [self.first.get(key), *(now for of, now in self.changes if of == key)]
        return tuple({end for each in versions if each is not None for end in self.ends(each)})


def _shifted(job: JobContents, shift: int) -> JobContents:
    deadline_at = job.deadline_at + shift if job.state == "delayed" else 0
    attributes = moved_by(job.attributes, shift)
    created_at = job.created_at + shift
    return job._replace(created_at=created_at, deadline_at=deadline_at, attributes=attributes)


def _shortened(thing: Recorded | JobContents | tuple[int, int] | None) -> str:
    """For a message: a long body is cut."""
    text = repr(thing)
    body = text.find("body=")
    end = text.find(", state=")
    return text if body < 0 or end - body < 60 else f"{text[: body + 40]}...{text[end:]}"


class Comparison:
    """Compares a recovered state with the state at each position of a history."""

    def __init__(self, history: History, contents: Contents, now: int) -> None:
        self.history = history
        self.contents = contents
        self.now = now
        self.recorded = dict(history.first)
        self.differences: dict[Key, str] = {}

    def each_position(self, start: int) -> Iterator[dict[Key, str]]:
        """For each position from `start` on: what differs, by job or tube."""
        for change in self.history.changes[:start]:
            self._apply(change)
        found = self.contents
        keys = found.jobs.keys() | found.pauses.keys() | found.policies.keys() | found.runs.keys()
        for key in self.recorded.keys() | keys:
            self._compare(key)
        yield self._with_burying_order()
        for change in self.history.changes[start:]:
            self._apply(change)
            self._compare(change.key)
            yield self._with_burying_order()

    def _apply(self, change: Change) -> None:
        self.recorded.pop(change.key, None)
        if change.now is not None:
            self.recorded[change.key] = change.now

    def _compare(self, key: Key) -> None:
        contents, recorded = self.contents, self.recorded.get(key)
        found = contents.jobs.get(key) if isinstance(key, int) else contents.pauses.get(key)
        if not isinstance(key, int) and key.startswith(POLICY):
            settings = recorded.settings if isinstance(recorded, RecordedPolicy) else None
            is_possible = contents.policies.get(key) == settings
        elif not isinstance(key, int) and key.startswith(RUN):
            at = recorded.at if isinstance(recorded, RecordedRun) else None
            is_possible = contents.runs.get(key) == at
        else:
            is_possible = self._is_possible(key, recorded, found)
        if is_possible:
            self.differences.pop(key, None)
        else:
            self.differences[key] = (
                f"{key!r}: found {_shortened(found)}\n"
                f"    there was {_shortened(recorded)}, clocks {self.history.offsets}"
            )

    def _is_possible(
        self, key: Key, recorded: Recorded | None, found: JobContents | tuple[int, int] | None
    ) -> bool:
        if found is None:
            return recorded is None or (
                isinstance(recorded, RecordedPause) and recorded.until <= self.now
            )
        if isinstance(found, JobContents):
            assert isinstance(key, int)
            return isinstance(recorded, RecordedJob) and self._is_job(key, recorded, found)
        if not isinstance(recorded, RecordedPause) or found[0] != recorded.pause:
            return False
        ends = self._limited_ends(recorded, recorded.pause)
        return found[1] in ends or found[1] + 1 in ends

    def _limited_ends(self, recorded: Recorded, length: int) -> list[int]:
        return [min(end, self.contents.wall + length) for end in self.history.ends(recorded)]

    def _is_job(self, id: int, recorded: RecordedJob, found: JobContents) -> bool:
        was = recorded.job
        if any(getattr(found, name) != getattr(was, name) for name in RECORDED):
            return False
        reserves, timeouts = self.history.most.get(id, (was.reserves, was.timeouts))
        if not (
            was.reserves <= found.reserves <= reserves
            and was.timeouts <= found.timeouts <= timeouts
        ):
            return False
        if not self._has_attributes(recorded, found.attributes):
            return False
        if found.created_at not in self.history.wall_times(was.created_at, recorded.born):
            return False
        if found.state == was.state:
            return was.state != "delayed" or found.deadline_at in self._limited_ends(
                recorded, was.delay
            )
        if found.state == "buried" and id in self.history.unlogged:
            return True
        return was.state == "delayed" and found.state == "ready" and was.deadline_at <= self.now

    def _has_attributes(self, recorded: RecordedJob, found: Attributes) -> bool:
        was = recorded.job.attributes
        if found._replace(expires_at=0) != was._replace(expires_at=0):
            return False
        if not was.expires_at:
            return not found.expires_at
        # An instant of 0 on a server's clock would mean "never": see `History.ends`.
        times = self.history.wall_times(was.expires_at, recorded.born)
        if was.expires_at == -1:
            times += self.history.wall_times(0, recorded.born)
        times = [at or 1 for at in times]  # nor does a record have an instant of 0
        return found.expires_at in times or found.expires_at + 1 in times

    def _with_burying_order(self) -> dict[Key, str]:
        """The order of burying is compared only where nothing else differs."""
        if self.differences:
            return self.differences
        unlogged = self.history.unlogged
        for name, buried in self.contents.buried.items():
            ids = [id for id in buried if id not in unlogged]
            jobs = [job for job in map(self.recorded.get, ids) if isinstance(job, RecordedJob)]
            ranks = [job.rank for job in jobs]
            if ranks != sorted(ranks):
                return {name: f"{name!r}: buried {ids} in this order, which had ranks {ranks}"}
        return {}
