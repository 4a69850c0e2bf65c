"""Tells the operator that clients have reached a limit.

For each limit there is at most one line in INTERVAL_NS, whatever clients do. A line has the number
of times the limit was reached since the line before it.
"""

from collections.abc import Callable

from beanstalkd_py.host.events import Report

INTERVAL_NS = 60_000_000_000


class LimitReports:
    """report: called with a line for the operator. now: returns the boot time, ns."""

    def __init__(self, report: Report, now: Callable[[], int]) -> None:
        self._report = report
        self._now = now
        self._report_at: dict[str, int] = {}  # by option
        self._silent: dict[str, int] = {}  # by option: times without a line

    def reached(self, option: str, text: str) -> None:
        """option: the long name of the limit's option."""
        now = self._now()
        if now < self._report_at.get(option, 0):
            self._silent[option] = self._silent.get(option, 0) + 1
            return
        self._report_at[option] = now + INTERVAL_NS
        silent = self._silent.pop(option, 0)
        more = f"; {silent} more since the last such line" if silent else ""
        self._report(
            f"{text} ({option}){more}", event="limit_reached", limit=option, times=silent + 1
        )

    def end(self) -> None:
        """The server stops: reports the times that no line has counted."""
        for option, count in self._silent.items():
            times = "once" if count == 1 else f"{count} times"
            self._report(
                f"{option} was reached {times} more before the stop",
                event="limit_reached",
                limit=option,
                times=count,
            )
        self._silent.clear()
