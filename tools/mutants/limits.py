"""Mutants of the limits that an operator sets."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_LIMIT = ("tests/queue/test_bytes_of_jobs.py",)
_ADMISSION = ("tests/server/test_admission.py",)
_TIMEOUTS = ("tests/server/test_timeouts.py",)

LIMITS = (
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "small-puts-exceed-limit",
        "small puts exceed the limit of --max-memory until the next probe",
        "beanstalkd_py/queue/memory.py",
        "        self.probe_at = min(id + PUTS_A_PROBE, safe)\n",
        "        self.probe_at = id + PUTS_A_PROBE\n",
        _LIMIT,
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "large-puts-leave-probe",
        "after puts of larger bodies, small ones exceed the limit of --max-memory",
        "beanstalkd_py/queue/memory.py",
        "                self.probe_at = min(self.probe_at, safe)\n",
        "",
        _LIMIT,
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "uploads-leave-probe",
        "bodies in pieces exceed the limit of --max-memory, because their ids are low",
        "beanstalkd_py/queue/queue.py",
        "            probe_at = 0  # ids of later puts may have asked `may_put` already\n",
        "            probe_at = memory.probe_at\n",
        _LIMIT,
    ),
    Mutant(
        Invariant.LACK_OF_MEMORY_REFUSES_PUTS,
        "replayed-jobs-not-counted",
        "jobs from the log do not count for --max-memory",
        "beanstalkd_py/binlog/replay.py",
        "        state.memory.used += live + (JOB_BYTES - body_offset) * count\n",
        "",
        _LIMIT,
    ),
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
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "idle-client-holds-a-job",
        "a client that holds a job is closed by --idle-timeout",
        "beanstalkd_py/server/timeouts.py",
        " or client.waiting or client.reserved:\n",
        " or client.waiting:\n",
        _TIMEOUTS,
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "single-bytes-prolong-input",
        "each byte of a line begins the time of --input-timeout again",
        "beanstalkd_py/protocol/bodies.py",
        "        if self._within == IN_LINE and (self._position or not self.unfinished):\n",
        "        if self._within == IN_LINE:\n",
        _TIMEOUTS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "cut-commands-are-one",
        "a client whose commands come in pieces is closed by --input-timeout",
        "beanstalkd_py/protocol/parser.py",
        "            self._position = 0\n            self.unfinished = 0\n",
        "            self._position = 0\n",
        _TIMEOUTS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "server-work-is-idle",
        "a client whose reply waits for a slow disk is closed by --idle-timeout",
        "beanstalkd_py/server/timeouts.py",
        "        if connection.active or works or client",
        "        if connection.active or client",
        _TIMEOUTS,
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "stalled-client-counts-again",
        "a client that does not read counts again each second",
        "beanstalkd_py/server/timeouts.py",
        "                paused[fd] = _REPORTED\n",
        "",
        _TIMEOUTS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "stopped-server-closes-clients",
        "clients are closed by --idle-timeout because the server itself was stopped",
        "beanstalkd_py/server/timeouts.py",
        "        self._time += min(now - self._checked_at, LONGEST_NS)\n",
        "        self._time += now - self._checked_at\n",
        _TIMEOUTS,
    ),
)
