"""How the binlog reports to the operator: functions that are called with a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Field = str | int | float


class Report(Protocol):
    """Called with a line for the operator, the event's name, and the values in the line."""

    def __call__(self, message: str, event: str = ..., **fields: Field) -> None: ...


def unreported(message: str, event: str = "", **fields: Field) -> None:
    """A report that goes nowhere."""


def about(directory: str, report: Report) -> Report:
    """The same, but each line begins with the directory."""

    def named(message: str, event: str = "notice", **fields: Field) -> None:
        report(f"{directory}: {message}", event=event, directory=directory, **fields)

    return named


def messages_only(report: Callable[[str], object]) -> Report:
    """For a caller that needs the lines and nothing else."""

    def reported(message: str, event: str = "", **fields: Field) -> None:
        report(message)

    return reported
