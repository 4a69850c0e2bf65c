"""The versions of each job with the LSNs of their records: what may come back when the log has its
first n records.

May know: views. Promises: every change between two calls of `note` is assigned the LSNs between
them, and a job that was never put may not come back. Some changes have no record: on a full disk
the end of a TTR cannot be refused. Such a change may come back or not.
"""

from __future__ import annotations

from typing import NamedTuple

from beanstalkd_py.queue.model import RESERVED
from beanstalkd_py.queue.state import State

from ..violation import Violation
from .views import JobView, Key, PauseView, View, view_all


class Version:
    """A job, a pause or a policy as it is from some record on. The LSN of the record is above `low`
    and at most `high`. certain: there is such a record. `view` None: it is gone.
    """

    __slots__ = ("certain", "high", "low", "reserves", "view")

    def __init__(
        self, low: int, high: int, view: View | None, reserves: range, certain: bool = True
    ) -> None:
        self.low = low
        self.high = high
        self.certain = certain
        self.view = view
        self.reserves = reserves  # any of these counts may be on disk

    def __str__(self) -> str:
        count = ""
        if isinstance(self.view, JobView):
            count = f", reserves {self.reserves.start} to {self.reserves.stop - 1}"
        return f"LSN {self.low + 1} to {self.high}: {self.view}{count}"


class Found(NamedTuple):
    """A job, a pause or a policy as a start recovered it."""

    view: View
    reserves: int


_GONE = Version(0, 0, None, range(1), certain=False)


class VersionHistory:
    def __init__(self) -> None:
        self.versions: dict[Key, list[Version]] = {}
        self.lsn = 0  # at the latest `note`
        # (wall time, LSN) of each `note` that found new records
        self.written: list[tuple[int, int]] = []
        self._views: dict[Key, View] = {}

    def note(self, state: State, offset: int, lsn: int, wall: int, full: bool) -> None:
        """Notes what changed in the queue while the log grew up to lsn. full: the log may have had
        no space for changes that cannot be refused.
        """
        views = view_all(state, offset)
        for key in views.keys() | self._views.keys():
            view = views.get(key)
            old = self._views.get(key)
            if (
                view is not old
                and view != old
                and (view and view.after_restart(wall)) != (old and old.after_restart(wall))
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
            job = state.jobs[key]
            count = _counts(versions[-1].view if versions else None, view, job.reserves, job.state)
        certain = self.lsn < lsn and not (full and _cannot_be_refused(old, view))
        versions.append(Version(self.lsn, lsn, view, count, certain))

    def _count(self, id: int, state: State) -> None:
        """A reserve has no record of its own; any later record may contain the new count."""
        job = state.jobs.get(id)
        if job is not None:
            version = self.versions[id][-1]
            version.reserves = range(
                version.reserves.start, max(version.reserves.stop, job.reserves + 1)
            )

    # --- what may come back

    def candidates(self, key: Key, lsn: int) -> list[Version]:
        """The possible versions when the log ends at lsn; the most likely first."""
        found = []
        for version in reversed(self.versions.get(key, ())):
            if version.low >= lsn and version.high > lsn:
                continue
            found.append(version)
            if version.certain and version.high <= lsn:
                return found
        return [*found, _GONE]

    def highest_id(self, lsn: int) -> int:
        """The highest id of the jobs put by then."""
        return max(
            (
                key
                for key, (first, *_) in self.versions.items()
                if isinstance(key, int) and first.high <= lsn
            ),
            default=0,
        )

    def lsn_before(self, wall: int) -> int:
        """The last LSN written before that time."""
        return max((lsn for at, lsn in self.written if at < wall), default=0)

    def compare(self, found: dict[Key, Found], lsn: int, wall: int) -> None:
        """found: the queue recovered at time `wall` from a log that ends at lsn. Raises Violation
        if those records cannot result in that queue.
        """
        for key in sorted(self.versions.keys() | found.keys(), key=repr):
            candidates = self.candidates(key, lsn)
            if not any(_same(version, found.get(key), wall) for version in candidates):
                name = f"job {key}" if isinstance(key, int) else f"the pause, or {key.decode()}"
                expected = " or\n".join(f"    {version}" for version in candidates)
                raise Violation(
                    f"{name}, of {lsn} records: expected\n{expected}\n"
                    f"got\n    {_described(found.get(key))}"
                )

    def cut(self, found: dict[Key, Found], lsn: int, wall: int) -> None:
        """The log goes on after lsn with the queue that `compare` accepted. Versions that this
        queue excludes are removed.
        """
        for key, versions in self.versions.items():
            back = found.get(key)
            came = next(
                (version for version in self.candidates(key, lsn) if _same(version, back, wall)),
                _GONE,
            )
            older = versions[: versions.index(came)] if came in versions else []
            kept = [version for version in older if version.high <= lsn]
            if back is not None or kept:
                reserves = (
                    range(came.reserves.start, back.reserves + 1) if back is not None else range(1)
                )
                high = min(came.high, lsn) if came.certain else lsn
                kept.append(Version(min(came.low, lsn - 1), high, back and back.view, reserves))
            self.versions[key] = kept
        self.versions = {key: versions for key, versions in self.versions.items() if versions}
        self.written = [(at, written) for at, written in self.written if written <= lsn]
        self.lsn = lsn
        self._views = {key: back.view for key, back in found.items()}


def _cannot_be_refused(old: View | None, new: View | None) -> bool:
    """The end of a TTR, and the end of a pause whose tube is gone."""
    if isinstance(old, JobView) and isinstance(new, JobView):
        return new.timeouts > old.timeouts
    return isinstance(old, PauseView) and new is None


def _counts(old: View | None, new: JobView, reserves: int, state: int) -> range:
    """Counts of reserves that may be on disk now. If a change made a job ready and a waiting client
    reserved it at once, that reserve is not in the record of the change.
    """
    at_once = state == RESERVED and not (
        isinstance(old, JobView)
        and (old.tube, old.timeouts, old.releases, old.kicks)
        == (new.tube, new.timeouts, new.releases, new.kicks)
    )
    return range(reserves - at_once, reserves + 1)


def _same(version: Version, found: Found | None, wall: int) -> bool:
    expected = version.view.after_restart(wall) if version.view is not None else None
    if found is None or expected is None:
        return found is None and expected is None
    return expected == found.view and found.reserves in version.reserves


def _described(found: Found | None) -> str:
    return "nothing" if found is None else f"{found.view}, reserves {found.reserves}"
