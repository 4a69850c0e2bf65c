"""Exit statuses, and the exception that ends a command with one of them and one line on stderr.

Only `verify` ends with 1. Status 2 is shared by `verify` (corrupt) and click (a wrong command
line); click then writes to stderr and nothing to stdout.
"""

from __future__ import annotations

import sys
from typing import IO, Any

import click

CLEAN = 0
TORN = 1  # verify: a torn tail is all that is wrong
CORRUPT = 2  # verify: data that had been promised is damaged
LOCKED = 10  # another process holds the directory's lock; the server's status, too
BAD_LOG = 65  # damaged, or of a newer version; the server's status, too
NO_LOG = 66  # DIR is missing, not a directory, not readable, or contains no log
BUG = 70
NO_MEMORY = 71  # the server's status, too
UNREADABLE = 74  # the disk returned an error
INTERRUPTED = 130


class Stop(click.ClickException):
    """Ends the command: one line on stderr, one exit status."""

    exit_code = BUG

    def show(self, file: IO[Any] | None = None) -> None:
        warn(self.message)


class InUse(Stop):
    """A server, ours or the C server, holds the directory's lock."""

    exit_code = LOCKED


class BadLog(Stop):
    """The log is damaged, written by a newer version, or not what the command needs."""

    exit_code = BAD_LOG


class NoLog(Stop):
    exit_code = NO_LOG


class DiskError(Stop):
    exit_code = UNREADABLE


def warn(line: str) -> None:
    """Writes a line to stderr."""
    sys.stderr.write(f"beanstalkd-binlog: {line}\n")
