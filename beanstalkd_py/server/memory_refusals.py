"""Tells the operator when puts are refused for lack of memory, or by the limit of --max-memory, and
when they are accepted again.
"""

import errno

from beanstalkd_py.binlog.refusals import Refusals
from beanstalkd_py.binlog.report import Report
from beanstalkd_py.queue.memory import JOB_BYTES, MemoryReserve


class MemoryRefusals:
    """report: called with a line for the operator."""

    def __init__(self, memory: MemoryReserve, report: Report) -> None:
        self._memory = memory
        self._refusals = Refusals(report)
        self._over_limit = Refusals(report)
        self._seen = 0  # of the puts that the memory reserve has counted
        self._seen_over_limit = 0

    def check(self, now: int) -> None:
        """To be called every few seconds. now: boot time, ns."""
        memory = self._memory
        refused = memory.refused - self._seen
        self._seen += refused
        if refused:
            self._refusals.add(refused)
        if self._refusals.pending:
            # While no put comes, nothing else tries to set the memory reserve aside again.
            accepts = not memory.short or memory.recovers()
            self._refusals.check(now, accepts, errno.ENOMEM)
        over_limit = memory.over_limit - self._seen_over_limit
        self._seen_over_limit += over_limit
        if over_limit:
            self._over_limit.add(over_limit)
        if self._over_limit.pending:
            bodies = f" and bodies that are being received {memory.receiving}"
            text = (
                f"jobs take {memory.used}{bodies if memory.receiving else ''} of {memory.limit} "
                "bytes; delete jobs, or raise --max-memory"
            )
            self._over_limit.check(now, memory.fits(JOB_BYTES), 0, text)  # an empty job

    def end(self, now: int) -> None:
        """The server stops: reports what no line has. now: boot time, ns."""
        self.check(now)
        self._refusals.end()
        self._over_limit.end()
