"""What must last, change by change, and what a crash may leave of it: everything up to some change,
no more, no less.

The model writes each change down in the order in which it was made; a reply that left stands for
all changes before it. After a crash (or on a copy of the disk) what was found must be what there
was after one of the changes, none of those that were answered for missing. What the log does not
hear of may be as it was at the latest record or at any time since: how often a job was reserved;
that a delay or a pause is over.

May know: contents. Promises: `match` changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .contents import Contents, JobContents
from .violation import Violation

RECORDED = ("tube", "body", "ttr", "pri", "delay", "releases", "buries", "kicks")


@dataclass(frozen=True)
class Kept:
    """A job's latest record. Instants are of the server's clock; `since` and `born`: which clock
    differences may have been used for them.
    """

    found: JobContents
    since: int
    born: int
    rank: int  # of a buried job: in the order of burying


@dataclass(frozen=True)
class Pause:
    pause: int  # ns
    until: int
    since: int


Key = int | bytes  # a job's id, or the name of a tube that is paused
Things = dict[Key, Kept | Pause]


class Change(NamedTuple):
    """A job or a pause is so from now on; None: it is gone."""

    key: Key
    now: Kept | Pause | None


class History:
    """Of one run of a server, from its start on."""

    def __init__(self) -> None:
        self.first: Things = {}  # as the start found them
        self.first_next_id = 1
        self.next_id = 1  # the highest that there can be
        self.changes: list[Change] = []
        self.offsets: list[int] = [0]  # wall clock minus the server's clock, ns, as records used it
        self.most: dict[
            int, tuple[int, int]
        ] = {}  # of each job: reserves and timeouts, which any later record may say

    @property
    def position(self) -> int:
        return len(self.changes)

    def clock_is(self, offset: int) -> None:
        """From now on records use this difference."""
        if offset != self.offsets[-1]:
            self.offsets.append(offset)

    def match(self, contents: Contents, at_least: int, now: int) -> int:
        """The last position, at_least or later, at which everything was as it is found. now: on the
        clock of this history. Raises Violation.
        """
        best: dict[Key, str] | None = None
        matched = -1
        for position, wrong in enumerate(
            Moment(self, contents, now).go_through(at_least), at_least
        ):
            if not wrong:
                matched = position
            if best is None or len(wrong) < len(best):
                best = dict(wrong)
        if matched < 0:
            assert best is not None
            raise Violation(
                f"none of the states {at_least} to {self.position} came back; nearest was one with\n"
                + "\n".join(best.values())
            )
        self._check_next_id(contents, at_least)
        return matched

    def _check_next_id(self, contents: Contents, at_least: int) -> None:
        ids = [change.key for change in self.changes[:at_least] if isinstance(change.key, int)]
        lowest = max([self.first_next_id, *(id + 1 for id in ids)])
        if not lowest <= contents.next_id <= self.next_id:
            raise Violation(f"the next id is {contents.next_id}, not {lowest} to {self.next_id}")

    def begin_anew(self, contents: Contents, offset: int) -> None:
        """What was found is all there is."""
        ranks = {id: rank for ids in contents.buried.values() for rank, id in enumerate(ids)}
        self.first = {
            id: Kept(_shifted(found, -offset), 0, 0, ranks.get(id, 0))
            for id, found in contents.jobs.items()
        }
        self.first.update(
            (name, Pause(pause, until - offset, 0))
            for name, (pause, until) in contents.pauses.items()
        )
        self.first_next_id = self.next_id = contents.next_id
        self.changes = []
        self.offsets = [offset]
        self.most = {id: (found.reserves, found.timeouts) for id, found in contents.jobs.items()}


def _shifted(found: JobContents, shift: int) -> JobContents:
    deadline_at = found.deadline_at + shift if found.state == "delayed" else 0
    return found._replace(created_at=found.created_at + shift, deadline_at=deadline_at)


def _told(thing: Kept | Pause | JobContents | tuple[int, int] | None) -> str:
    text = repr(thing)
    body = text.find("body=")
    end = text.find(", state=")
    return text if body < 0 or end - body < 60 else f"{text[: body + 40]}...{text[end:]}"


class Moment:
    """The state at a position, and what is different about the contents."""

    def __init__(self, history: History, contents: Contents, now: int) -> None:
        self.history = history
        self.contents = contents
        self.now = now
        self.things = dict(history.first)
        self.wrong: dict[Key, str] = {}

    def go_through(self, start: int) -> Iterator[dict[Key, str]]:
        """For each position from `start` on, what is wrong about which job or tube."""
        for change in self.history.changes[:start]:
            self._carry_out(change)
        for key in self.things.keys() | self.contents.jobs.keys() | self.contents.pauses.keys():
            self._look_at(key)
        yield self._with_order()
        for change in self.history.changes[start:]:
            self._carry_out(change)
            self._look_at(change.key)
            yield self._with_order()

    def _carry_out(self, change: Change) -> None:
        self.things.pop(change.key, None)
        if change.now is not None:
            self.things[change.key] = change.now

    def _look_at(self, key: Key) -> None:
        found = (
            self.contents.jobs.get(key) if isinstance(key, int) else self.contents.pauses.get(key)
        )
        if self._may_be(key, self.things.get(key), found):
            self.wrong.pop(key, None)
        else:
            self.wrong[key] = (
                f"{key!r}: found {_told(found)}\n    there was {_told(self.things.get(key))}, clocks {self.history.offsets}"
            )

    def _may_be(
        self, key: Key, thing: Kept | Pause | None, found: JobContents | tuple[int, int] | None
    ) -> bool:
        if found is None:
            return thing is None or (isinstance(thing, Pause) and thing.until <= self.now)
        if isinstance(found, JobContents):
            assert isinstance(key, int)
            return isinstance(thing, Kept) and self._is(key, thing, found)
        if not isinstance(thing, Pause) or found[0] != thing.pause:
            return False
        ends = self._instants(thing.until, thing.since)
        return (
            found[1] in ends or found[1] + 1 in ends
        )  # an end at 0 of the new clock would mean none: it is a ns earlier

    def _is(self, id: int, kept: Kept, found: JobContents) -> bool:
        was = kept.found
        if any(getattr(found, name) != getattr(was, name) for name in RECORDED):
            return False
        reserves, timeouts = self.history.most.get(id, (was.reserves, was.timeouts))
        if not (
            was.reserves <= found.reserves <= reserves
            and was.timeouts <= found.timeouts <= timeouts
        ):
            return False
        if found.created_at not in self._instants(was.created_at, kept.born):
            return False
        if found.state == was.state:
            return was.state != "delayed" or found.deadline_at in self._instants(
                was.deadline_at, kept.since
            )
        return was.state == "delayed" and found.state == "ready" and was.deadline_at <= self.now

    def _instants(self, at: int, since: int) -> Sequence[int]:
        """On the wall's clock, as any record since may have it."""
        return [at + offset for offset in self.history.offsets[since:]]

    def _with_order(self) -> dict[Key, str]:
        """Only where all else is right does the order of burying matter."""
        if self.wrong:
            return self.wrong
        for name, ids in self.contents.buried.items():
            ranks = [kept.rank for kept in map(self.things.get, ids) if isinstance(kept, Kept)]
            if ranks != sorted(ranks):
                return {name: f"{name!r}: buried {ids} in this order, which had ranks {ranks}"}
        return {}
