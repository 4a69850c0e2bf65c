"""`dump`: the records in order, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from beanstalkd_wal.reader import Damage

from beanstalkd_binlog.entry import Entry, entries
from beanstalkd_binlog.output import Column, Output, Table
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.status import warn
from beanstalkd_binlog.text import json_body, table_body, text
from beanstalkd_binlog.times import local
from beanstalkd_binlog.walk import Walk

T = TypeVar("T")
COLUMNS = (
    ("lsn", True, 6),
    ("segment", True, 7),
    ("offset", True, 8),
    ("time", False, 23),
    ("event", False, 7),
    ("job", True, 6),
    ("tube", False, 10),
    ("changes", False, 24, 40),
    ("body", False, 0),
)
# On a terminal of fewer columns, tables leave out the place of a record, and columns are as wide as
# their cells.
NARROW = 120
PLACE_COLUMNS = slice(1, 3)  # segment and offset


class Filter:
    """Selects records. An empty choice selects all."""

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

    def selects(self, entry: Entry) -> bool:
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
        """Whether this entry and all later ones are above the range of LSNs. (LSNs only grow;
        times need not.)
        """
        return self._last is not None and entry.lsn > self._last


class Printer:
    """Writes entries as rows of a table or as lines of JSON."""

    def __init__(self, output: Output, encoding: str | None, streaming: bool = False) -> None:
        self._output = output
        self._encoding = encoding
        self._narrow = 0 < output.width < NARROW
        columns = [Column(*column) for column in COLUMNS]
        if self._narrow and not streaming:
            columns = [Column(column.title, column.right, 0, column.most) for column in columns]
        self._table = Table(output, self._shown(columns), streaming)

    def _shown(self, cells: list[T]) -> list[T]:
        if self._narrow:
            del cells[PLACE_COLUMNS]
        return cells

    def entry(self, entry: Entry) -> None:
        if self._output.as_json:
            self._output.json(self._fields(entry))
        else:
            self._table.row(*self._shown(self._cells(entry)))

    def _fields(self, entry: Entry) -> dict[str, object]:
        fields = entry.fields()
        body = entry.body
        if body is not None:
            fields.update(json_body(body, len(body), self._encoding, self._output.full))
        return fields

    def _cells(self, entry: Entry) -> list[str]:
        full = self._output.full
        return [
            str(entry.lsn),
            str(entry.segment),
            str(entry.offset),
            local(entry.at),
            entry.event,
            "" if entry.job is None else str(entry.job),
            "" if entry.tube is None else text(entry.tube),
            entry.changes(),
            "" if entry.body is None else table_body(entry.body, self._encoding, full),
        ]

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
            return
        reason = f"{damage.length} bytes: {damage.reason}" if damage.length else damage.reason
        place = (str(damage.segment), str(damage.offset))
        self._table.row(*self._shown(["", *place, "", "damage", "", "", reason, ""]))

    def end(self) -> None:
        self._table.end()


def dump(walk: Walk, printer: Printer, chosen: Filter) -> int:
    """Returns the exit status."""
    if print_entries(walk, printer, chosen.selects, chosen.is_past):
        walk.finish_replay()
    printer.end()
    return walk.report()


def print_entries(
    walk: Walk,
    printer: Printer,
    selects: Callable[[Entry], bool],
    is_past: Callable[[Entry], bool] = lambda entry: False,
) -> bool:
    """Prints the selected entries, and all damage. Returns whether it read to the end."""
    for found in entries(walk):
        if isinstance(found, Entry):
            if is_past(found):
                return False
            if selects(found):
                printer.entry(found)
        elif isinstance(found, Damage):
            printer.damage(found)
        elif isinstance(found, Gap):
            warn(f"{walk.directory}: {found}")
    return True
