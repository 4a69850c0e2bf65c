"""Fails every call that the log makes to its disk, one after the other, at work and during a start
(see `sweep`).
"""

from __future__ import annotations

import errno
import sys
from collections import Counter
from collections.abc import Callable
from random import Random

from .seeds import run_seeds
from .sweep.fault import ERRORS, Fault
from .sweep.log_workload import LogWorkload
from .sweep.process import MODES, Mode
from .sweep.queue_workload import QueueWorkload
from .sweep.trial import Plan, run_with_fault
from .sweep.workload import Workload
from .violation import Violation

SPANS = (1, 1, 40)  # calls that find no space or no descriptor
MakeWorkload = Callable[[Mode], Workload]


def fail_each(
    make: MakeWorkload,
    plan: Plan,
    error: int,
    span: int,
    counts: Counter[str],
    first: int = 1,
    step: int = 1,
) -> None:
    """Repeats the run and fails its first call, then its second, and so on, until the run has no
    more calls. With a step, it fails only each call that is so many after the last. Raises
    Violation.
    """
    nth = first
    while True:
        fault = Fault(nth, error, span)
        try:
            if not run_with_fault(make(plan.before or plan.mode), plan, fault):
                return
        except Exception as problem:
            raise Violation(
                f"expected to go on, got {type(problem).__name__}: {problem}", _where(fault, plan)
            ) from problem
        except Violation as violation:
            raise Violation(violation.what, *violation.where, _where(fault, plan)) from violation
        counts["calls failed"] += len(fault.failed)
        nth += step


def _where(fault: Fault, plan: Plan) -> str:
    return f"{plan}: {errno.errorcode[fault.error]} in call {fault.nth}, {', '.join(fault.failed)}"


def plan_of(rng: Random) -> Plan:
    mode = rng.choice(MODES)
    return Plan(
        rng.choice((None, *MODES)),
        rng.random() < 0.5,
        mode,
        rng.choice(((mode,), MODES, MODES[::-1])),
        rng.choice((10, 30, 60)),
    )


def run(seed: int, counts: Counter[str]) -> None:
    """Both workloads, with EIO and with one of the other errors. Raises Violation."""

    def log(mode: Mode) -> Workload:
        return LogWorkload(seed, (mode,), counts, tries=2)

    def queue(mode: Mode) -> Workload:
        return QueueWorkload(seed, (mode,), counts, tries=2)

    rng = Random(seed)
    plan = plan_of(rng)
    for error in (errno.EIO, rng.choice(ERRORS[1:])):
        span = 1 if error == errno.EIO else rng.choice(SPANS)
        fail_each(log, plan, error, span, counts)
        fail_each(queue, plan, error, span, counts)


if __name__ == "__main__":
    sys.exit(run_seeds("simulation.iofaults", __doc__, run))
