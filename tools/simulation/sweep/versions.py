"""What became of each job, and behind which LSN of the log: so what may come back once the log's
first n records are there.

May know: views. Promises: every change between two looks at the queue has its LSNs, and a job that
was never put has no excuse. A change without a record (on a full disk nobody can be refused the end
of a TTR) may come back or not.
"""

from __future__ import annotations

from typing import NamedTuple

from beanstalkd_py.queue.model import RESERVED
from beanstalkd_py.queue.state import State

from ..violation import Violation
from .views import JobView, Key, PauseView, View, view_all


class Version:
    """A job (or a pause) from some record behind LSN `low`, and at most `high`, on. `view` None: it
    is gone.
    """

    __slots__ = ("high", "low", "reserves", "view")

    def __init__(self, low: int, high: int, view: View | None, reserves: range) -> None:
        self.low = low
        self.high = high
        self.view = view
        self.reserves = reserves  # any of these counts may be on disk

    def __str__(self) -> str:
        count = (
            f", reserves {self.reserves.start} to {self.reserves.stop - 1}"
            if isinstance(self.view, JobView)
            else ""
        )
        return f"LSN {self.low + 1} to {self.high}: {self.view}{count}"


class Found(NamedTuple):
    view: View
    reserves: int


_GONE = Version(0, 0, None, range(1))


class History:
    def __init__(self) -> None:
        self.versions: dict[Key, list[Version]] = {}
        self.lsn = 0  # at the last look
        self.written: list[
            tuple[int, int]
        ] = []  # (wall time, LSN) of each look at which there was more
        self._views: dict[Key, View] = {}

    def note(self, state: State, offset: int, lsn: int, wall: int, full: bool) -> None:
        """A look at the queue, whose log has come to lsn. full: it may have had no room for what
        nobody can be refused.
        """
        views = view_all(state, offset)
        for key in views.keys() | self._views.keys():
            view = views.get(key)
            old = self._views.get(key)
            if (
                view is not old
                and view != old
                and (view and view.come_back(wall)) != (old and old.come_back(wall))
            ):
                self._add(key, old, view, lsn, state, full)
            elif isinstance(key, int):
                self._count(key, state)
        self._views = views
        if lsn != self.lsn:
            self.written.append((wall, lsn))
        self.lsn = lsn

    def _add(
        self, key: Key, old: View | None, view: View | None, lsn: int, state: State, full: bool
    ) -> None:
        versions = self.versions.setdefault(key, [])
        count = range(1)
        if isinstance(view, JobView) and isinstance(key, int):
            count = _counts(
                versions[-1].view if versions else None,
                view,
                state.jobs[key].reserves,
                state.jobs[key].state,
            )
        low = lsn if full and _cannot_be_refused(old, view) else self.lsn
        versions.append(Version(low, lsn, view, count))

    def _count(self, id: int, state: State) -> None:
        """A reserve has no record of its own, but any other may take its count along."""
        job = state.jobs.get(id)
        if job is not None:
            version = self.versions[id][-1]
            version.reserves = range(
                version.reserves.start, max(version.reserves.stop, job.reserves + 1)
            )

    # --- what may come back

    def candidates(self, key: Key, lsn: int) -> list[Version]:
        """Any of these, when the log goes to lsn; the likeliest first."""
        found = []
        for version in reversed(self.versions.get(key, ())):
            if version.low >= lsn and version.high > lsn:
                continue
            found.append(version)
            if version.low < version.high <= lsn:
                return found
        return [*found, _GONE]

    def highest_id(self, lsn: int) -> int:
        """Of the jobs that were put by then."""
        return max(
            (
                key
                for key, (first, *_) in self.versions.items()
                if isinstance(key, int) and first.high <= lsn
            ),
            default=0,
        )

    def lsn_before(self, wall: int) -> int:
        """The last that was written before that time."""
        return max((lsn for at, lsn in self.written if at < wall), default=0)

    def compare(self, found: dict[Key, Found], lsn: int, wall: int, lost: bool) -> None:
        """Raises Violation if the queue that came back at that instant is none that lsn records can
        make. lost: jobs may be missing.
        """
        for key in sorted(self.versions.keys() | found.keys(), key=repr):
            candidates = self.candidates(key, lsn)
            if lost:
                candidates = [*candidates, _GONE]
            if not any(_same(version, found.get(key), wall) for version in candidates):
                name = f"job {key}" if isinstance(key, int) else f"the pause of {key.decode()}"
                expected = " or\n".join(f"    {version}" for version in candidates)
                raise Violation(
                    f"{name}, of {lsn} records: expected\n{expected}\ngot\n    {_told(found.get(key))}"
                )

    def cut(self, found: dict[Key, Found], lsn: int, wall: int) -> None:
        """The log goes on behind lsn records, with what `compare` found right: nobody will hear of
        what else there was.
        """
        for key, versions in self.versions.items():
            back = found.get(key)
            came = next(
                (version for version in self.candidates(key, lsn) if _same(version, back, wall)),
                _GONE,
            )
            kept = [
                version
                for version in versions
                if version.high <= lsn
                and (version.low < came.low or version.low == version.high == came.low)
            ]
            if back is not None or kept:
                reserves = (
                    range(came.reserves.start, back.reserves + 1) if back is not None else range(1)
                )
                high = min(came.high, lsn) if came.low < came.high else lsn
                kept.append(Version(min(came.low, lsn - 1), high, back and back.view, reserves))
            self.versions[key] = kept
        self.versions = {key: versions for key, versions in self.versions.items() if versions}
        self.written = [(at, written) for at, written in self.written if written <= lsn]
        self.lsn = lsn
        self._views = {key: back.view for key, back in found.items()}


def _cannot_be_refused(old: View | None, new: View | None) -> bool:
    """The end of a TTR, and that of a pause whose tube is gone."""
    if isinstance(old, JobView) and isinstance(new, JobView):
        return new.timeouts > old.timeouts
    return isinstance(old, PauseView) and new is None


def _counts(old: View | None, new: JobView, reserves: int, state: int) -> range:
    """Counts of reserves that may be on disk now: one that a change brought about by itself, for a
    client that waited, comes without a record.
    """
    by_itself = state == RESERVED and not (
        isinstance(old, JobView)
        and (old.timeouts, old.releases, old.kicks) == (new.timeouts, new.releases, new.kicks)
    )
    return range(reserves - by_itself, reserves + 1)


def _same(version: Version, found: Found | None, wall: int) -> bool:
    expected = version.view.come_back(wall) if version.view is not None else None
    if found is None or expected is None:
        return found is None and expected is None
    return expected == found.view and found.reserves in version.reserves


def _told(found: Found | None) -> str:
    return "nothing" if found is None else f"{found.view}, reserves {found.reserves}"
