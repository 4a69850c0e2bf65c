"""`dump`: the records in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from beanstalkd_wal.reader import Damage

from beanstalkd_binlog.entry import Entry, entries
from beanstalkd_binlog.output import Column, Output, Table
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.status import complain
from beanstalkd_binlog.text import json_body, row_body, text
from beanstalkd_binlog.times import local
from beanstalkd_binlog.walk import Walk

COLUMNS = (
    ("lsn", True, 6), ("segment", True, 7), ("offset", True, 8), ("time", False, 23), ("event", False, 7), ("job", True, 6),
    ("tube", False, 10), ("what changed", False, 24, 40), ("body", False, 0),
)  # fmt: skip


class Filter:
    """Which records are wanted. An empty choice is all."""

    def __init__(
        self,
        tubes: Iterable[str] = (),
        jobs: Iterable[int] = (),
        kinds: Iterable[str] = (),
        since: int | None = None,
        until: int | None = None,
        lsns: tuple[int, int | None] = (0, None),
    ) -> None:
        self._tubes = frozenset(tube.encode() for tube in tubes)
        self._jobs = frozenset(jobs)
        self._kinds = frozenset(kinds)
        self._since = since
        self._until = until
        self._first, self._last = lsns

    def wants(self, entry: Entry) -> bool:
        return (
            (not self._tubes or entry.tube in self._tubes)
            and (not self._jobs or entry.job in self._jobs)
            and (not self._kinds or entry.kind in self._kinds or entry.event in self._kinds)
            and (self._since is None or entry.at >= self._since)
            and (self._until is None or entry.at <= self._until)
            and entry.lsn >= self._first
            and not self.is_past(entry)
        )

    def is_past(self, entry: Entry) -> bool:
        """Nothing behind it is wanted. (Only LSNs never go back.)"""
        return self._last is not None and entry.lsn > self._last


class Printer:
    """Entries as rows of a table, or as lines of JSON."""

    def __init__(self, output: Output, encoding: str | None, streaming: bool = False) -> None:
        self._output = output
        self._encoding = encoding
        self._table = Table(output, [Column(*column) for column in COLUMNS], streaming)

    def entry(self, entry: Entry) -> None:
        if self._output.as_json:
            body = entry.body
            fields = entry.fields()
            if body is not None:
                fields.update(json_body(body, len(body), self._encoding, self._output.full))
            self._output.json(fields)
            return
        self._table.row(
            str(entry.lsn), str(entry.segment), str(entry.offset), local(entry.at), entry.event,
            "" if entry.job is None else str(entry.job), "" if entry.tube is None else text(entry.tube),
            entry.changed(), self._body(entry.body),
        )  # fmt: skip

    def damage(self, damage: Damage) -> None:
        if self._output.as_json:
            fields = {
                "segment": damage.segment,
                "offset": damage.offset,
                "kind": "damage",
                "bytes": damage.length,
                "reason": damage.reason,
            }
            self._output.json(fields)
        else:
            reason = f"{damage.length} bytes: {damage.reason}" if damage.length else damage.reason
            self._table.row(
                "", str(damage.segment), str(damage.offset), "", "damage", "", "", reason, ""
            )

    def end(self) -> None:
        self._table.end()

    def _body(self, body: bytes | None) -> str:
        return "" if body is None else row_body(body, self._encoding, self._output.full)


def dump(walk: Walk, printer: Printer, wanted: Filter) -> int:
    """Returns the exit status."""
    if show(walk, printer, wanted.wants, wanted.is_past):
        walk.settle()
    printer.end()
    return walk.report()


def show(
    walk: Walk,
    printer: Printer,
    wants: Callable[[Entry], bool],
    is_past: Callable[[Entry], bool] = lambda entry: False,
) -> bool:
    """Whether it read to the end."""
    for found in entries(walk):
        if isinstance(found, Entry):
            if is_past(found):
                return False
            if wants(found):
                printer.entry(found)
        elif isinstance(found, Damage):
            printer.damage(found)
        elif isinstance(found, Gap):
            complain(
                f"{walk.directory}: what came meanwhile was dropped; the log goes on with LSN {found.first_lsn}"
            )
    return True
