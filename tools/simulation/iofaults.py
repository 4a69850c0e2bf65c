"""Every call that the log makes to its disk fails, one after the other, while it works and while it
starts: see `sweep`.
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
from .sweep.trial import Life, Plan, attempt
from .violation import Violation

SPANS = (1, 1, 40)  # calls that find no room
MakeLife = Callable[[Mode], Life]


def fail_each(make: MakeLife, plan: Plan, error: int, span: int, counts: Counter[str]) -> None:
    """Of the calls of such a life the 1st, the 2nd, and so on, until there are no more. Raises
    Violation.
    """
    nth = 1
    while True:
        fault = Fault(nth, error, span)
        try:
            if not attempt(make(plan.before or plan.mode), plan, fault):
                return
        except Exception as problem:
            raise Violation(
                f"expected to go on, got {type(problem).__name__}: {problem}", _where(fault, plan)
            ) from problem
        except Violation as wrong:
            raise Violation(wrong.what, *wrong.where, _where(fault, plan)) from wrong
        counts["calls failed"] += len(fault.failed)
        nth += 1


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
    """Both subjects, with EIO and with one of the others. Raises Violation."""
    rng = Random(seed)
    plan = plan_of(rng)
    for error in (errno.EIO, rng.choice(ERRORS[1:])):
        span = 1 if error == errno.EIO else rng.choice(SPANS)
        fail_each(
            lambda mode: LogWorkload(seed, (mode,), counts, tries=2), plan, error, span, counts
        )
        fail_each(
            lambda mode: QueueWorkload(seed, (mode,), counts, tries=2), plan, error, span, counts
        )


if __name__ == "__main__":
    sys.exit(run_seeds("simulation.iofaults", __doc__, run))
