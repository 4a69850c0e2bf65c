"""Every call that the log makes to its disk fails, one after the other, while it works and while it
starts: see `sweep`.
"""

from __future__ import annotations

import errno
import sys
from collections import Counter
from collections.abc import Callable
from random import Random

from .seeds import work_through
from .sweep.fault import ERRORS, Fault
from .sweep.loglife import LogLife
from .sweep.points import Wrong
from .sweep.process import MODES, Mode
from .sweep.queuelife import QueueLife
from .sweep.trial import Life, Plan, attempt

SPANS = (1, 1, 40)  # calls that find no room
MakeLife = Callable[[Mode], Life]


def fail_each(make: MakeLife, plan: Plan, error: int, span: int, counts: Counter[str]) -> None:
    """Of the calls of such a life the 1st, the 2nd, and so on, until there are no more. Raises
    Wrong.
    """
    nth = 1
    while True:
        fault = Fault(nth, error, span)
        try:
            if not attempt(make(plan.before or plan.mode), plan, fault):
                return
        except Exception as problem:
            raise Wrong(
                f"expected to go on, got {type(problem).__name__}: {problem}", _where(fault, plan)
            ) from problem
        except Wrong as wrong:
            raise Wrong(wrong.what, *wrong.where, _where(fault, plan)) from wrong
        counts["calls failed"] += len(fault.failed)
        nth += 1


def _where(fault: Fault, plan: Plan) -> str:
    return f"{plan}: {errno.errorcode[fault.error]} in call {fault.nth}, {', '.join(fault.failed)}"


def plan_of(dice: Random) -> Plan:
    mode = dice.choice(MODES)
    return Plan(
        dice.choice((None, *MODES)),
        dice.random() < 0.5,
        mode,
        dice.choice(((mode,), MODES, MODES[::-1])),
        dice.choice((10, 30, 60)),
    )


def run(seed: int, counts: Counter[str]) -> None:
    """Both subjects, with EIO and with one of the others. Raises Wrong."""
    dice = Random(seed)
    plan = plan_of(dice)
    for error in (errno.EIO, dice.choice(ERRORS[1:])):
        span = 1 if error == errno.EIO else dice.choice(SPANS)
        fail_each(lambda mode: LogLife(seed, (mode,), counts, tries=2), plan, error, span, counts)
        fail_each(lambda mode: QueueLife(seed, (mode,), counts, tries=2), plan, error, span, counts)


if __name__ == "__main__":
    sys.exit(work_through("simulation.iofaults", __doc__, run))
