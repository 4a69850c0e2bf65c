"""Tells the operator when puts begin to be refused for want of headroom or memory, and when puts
are accepted again.

Promises: at most two lines in INTERVAL_NS, whatever clients do, and one at the stop. Knows no
clock: its caller passes the time.
"""

import errno

from beanstalkd_wal.errors import reason_of

from beanstalkd_py.binlog.report import Report

SECOND_NS = 1_000_000_000
INTERVAL_NS = 60 * SECOND_NS  # at least, from one "are refused" to the next
QUIET_NS = 5 * SECOND_NS  # without a refused put, before "are accepted again"

_DESCRIPTORS = "raise the limit on open files (LimitNOFILE)"
_HELP = {
    errno.EFBIG: "raise the limit on the size of files (LimitFSIZE, ulimit -f)",
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: _DESCRIPTORS,
    errno.ENOMEM: "allow more memory (ulimit -v, LimitAS=)",
}


def what_helps(reason: int) -> str:
    """What the operator can do against the errno of a full disk or a lack of memory."""
    return _HELP.get(reason, "free some space")


class Refusals:
    def __init__(self, report: Report) -> None:
        self.pending = False  # `check` has something to do, now or later
        self._report = report
        self._reported = False  # the operator was told that puts are refused
        self._new = 0  # refused puts since the last check
        self._count = 0  # refused puts since the last time puts were accepted
        self._refused_at = 0  # the latest check that found refused puts, ns
        self._may_report_at = 0
        self._reason = ""  # of the latest refused put, as in the event

    def add(self, count: int = 1) -> None:
        """Puts were refused."""
        self._new += count
        self.pending = True

    def check(self, now: int, accepts: bool, reason: int, text: str = "") -> None:
        """Reports a change. Called soon after each refused put, and now and then while `pending`.

        now: boot time, ns. accepts: whether a put would be accepted, as far as is known.
        reason: the errno of the full disk, or ENOMEM; 0 if there is none. text: replaces what is
        said about the errno.
        """
        if self._new:
            self._count += self._new
            self._new = 0
            self._refused_at = now
            self._reason = "limit" if text else _name(reason)
            if not self._reported and now >= self._may_report_at:
                self._reported = True
                self._may_report_at = now + INTERVAL_NS
                line = f"puts are refused: {text}" if text else _refused(reason)
                self._report(line, event="puts_refused", reason=self._reason)
        elif accepts and now - self._refused_at >= QUIET_NS:
            if self._reported:
                were = "was" if self._count == 1 else "were"
                self._report(
                    f"puts are accepted again; {self._count} {were} refused",
                    event="puts_accepted",
                    refused=self._count,
                )
            self._reported = self.pending = False
            self._count = 0

    def end(self) -> None:
        """The server stops: reports the refused puts that no line has counted."""
        count = self._count + self._new
        if count:
            puts = "1 put was" if count == 1 else f"{count} puts were"
            self._report(
                f"{puts} refused until the stop",
                event="puts_refused",
                reason=self._reason,
                refused=count,
            )


def _name(reason: int) -> str:
    """ENOSPC, or "" if there is no reason."""
    return errno.errorcode.get(reason, "")


def _refused(reason: int) -> str:
    text = f": {reason_of(reason)}" if reason else ""
    delete = ", or delete jobs" if reason == errno.ENOMEM or reason not in _HELP else ""
    return f"puts are refused{text}; {what_helps(reason)}{delete}"
