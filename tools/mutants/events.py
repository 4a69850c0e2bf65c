"""Mutants of the lines on stderr: their format, their number, and who waits for them."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

EVENTS_LOG = "beanstalkd_py/host/events.py"

EVENTS = (
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "level-leaves-itself-out",
        "--log-level error leaves out errors",
        EVENTS_LOG,
        "        if level > self._level:\n",
        "        if level >= self._level:\n",
        ("tests/host/test_events.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "journal-lines-with-time",
        "lines for the journal have no priority, and a time of their own",
        EVENTS_LOG,
        "        if self._is_journal:\n            return",
        "        if False:\n            return",
        ("tests/host/test_events.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "name-of-a-file-breaks-the-line",
        "a line break in the name of a file makes a second line",
        EVENTS_LOG,
        "{begin}{_escaped(message)}",
        "{begin}{message}",
        ("tests/host/test_events.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "surrogates-in-json",
        "JSON has half characters, which some readers refuse",
        EVENTS_LOG,
        "{**stamp, **_decoded(values)}",
        "{**stamp, **values}",
        ("tests/host/test_events.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "events-without-bound",
        "an event that repeats fills the operator's disk",
        EVENTS_LOG,
        "        return count <= PER_MINUTE\n",
        "        return True\n",
        ("tests/host/test_events.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "repeated-errors-left-out",
        "the error that ends the server is left out",
        EVENTS_LOG,
        "if level is Level.ERROR or self._admits(event):",
        "if self._admits(event):",
        ("tests/host/test_events.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "lost-lines-not-counted",
        "nobody hears that lines were left out because stderr was full",
        EVENTS_LOG,
        "        self._lost += 1\n",
        "        pass\n",
        ("tests/host/test_events.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "full-stderr-stalls",
        "the loop waits for the reader of stderr, and all clients with it",
        "beanstalkd_py/host/stderr.py",
        "select.select([], [self._fd], [], wait_s)[1]",
        "self._fd >= 0",
        ("tests/host/test_stderr.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "cut-line-spoils-the-next",
        "a line that was cut and the next line become one",
        "beanstalkd_py/host/stderr.py",
        "            self._is_cut = done < len(data)\n",
        "            pass\n",
        ("tests/host/test_stderr.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "drain-in-silence",
        "the operator does not hear that the server drains",
        "beanstalkd_py/server/lifecycle.py",
        '            self._report("draining: puts are refused", event="draining")\n',
        "            pass\n",
        ("tests/server/test_lifecycle.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "end-of-draining-in-silence",
        "a client ends the drain mode, and the operator does not hear of it",
        "beanstalkd_py/server/lifecycle.py",
        "        elif before and not now:\n",
        "        elif False:\n",
        ("tests/server/test_lifecycle.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "file-decides-too-late",
        "warnings of the start are text although the configuration file asks for JSON",
        "beanstalkd_py/cli.py",
        "    if not command_line.check_config:\n        events.set(chosen.log_format",
        "    if False:\n        events.set(chosen.log_format",
        ("tests/test_cli_events.py -k format_of_the_file",),
    ),
)
