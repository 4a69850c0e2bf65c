"""All mutants, by law; those without a number last."""

from __future__ import annotations

from .commands import COMMANDS
from .log_laws import LOG
from .queue_laws import QUEUE

MUTANTS = tuple(sorted((*LOG, *QUEUE, *COMMANDS), key=lambda mutant: mutant.law or 99))
