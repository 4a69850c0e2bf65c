"""Exit statuses, and the exception that ends a command with one line on stderr and one of them.

`verify` alone ends with 1 and 2; 2 is click's for a wrong command line as well, which says so on
stderr and nothing on stdout.
"""

from __future__ import annotations

from typing import IO, Any

import click

CLEAN = 0
TORN = 1  # verify: nothing but an unfinished tail
CORRUPT = 2  # verify: what had been promised is damaged
LOCKED = 10  # somebody has the directory's lock; the server's status, too
# damaged (all but verify, after showing what is whole), or of a newer version; the server's status,
# too
BAD_LOG = 65
NO_LOG = 66  # DIR is missing, no directory, not readable, or holds no log
BUG = 70
UNREADABLE = 74  # the disk gave an error
INTERRUPTED = 130


class Stop(click.ClickException):
    """The command ends here: one line, one status."""

    exit_code = BUG

    def show(self, file: IO[Any] | None = None) -> None:
        complain(self.message)


class NoLog(Stop):
    exit_code = NO_LOG


class NewerLog(Stop):
    exit_code = BAD_LOG


def complain(line: str) -> None:
    """A line on stderr."""
    click.echo(f"beanstalkd-binlog: {line}", err=True)
