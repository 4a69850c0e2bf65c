"""Mutants of the limits that an operator sets."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_ADMISSION = ("tests/server/test_admission.py",)

LIMITS = (
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "closed-connection-counts",
        "a closed connection still counts for the limit of its address",
        "beanstalkd_py/server/admission.py",
        "        left = self._counts[address] - 1\n",
        "        left = self._counts[address]\n",
        _ADMISSION,
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "limit-lines-without-bound",
        "each client that reaches a limit makes a line",
        "beanstalkd_py/server/limit_reports.py",
        "        self._report_at[option] = now + INTERVAL_NS\n",
        "",
        _ADMISSION,
    ),
)
