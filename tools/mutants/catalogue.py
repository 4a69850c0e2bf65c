"""All mutants, in the order of their invariants."""

from __future__ import annotations

from .commands import COMMANDS
from .invariants import Invariant
from .log_invariants import LOG
from .queue_invariants import QUEUE
from .time_invariants import TIME

_ORDER = list(Invariant)

MUTANTS = tuple(
    sorted((*LOG, *QUEUE, *TIME, *COMMANDS), key=lambda mutant: _ORDER.index(mutant.invariant))
)
