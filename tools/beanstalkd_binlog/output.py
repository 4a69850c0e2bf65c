"""Where a command's output goes: a terminal, a pipe, or lines of JSON. Also tables.

On a terminal tables are cut to its width and sizes are human; elsewhere nothing is cut and sizes
are bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from beanstalkd_binlog.text import size

MEASURED = 500  # rows that a table looks at before it fixes its columns


class Output:
    """stdout, as the command should see it."""

    def __init__(self, as_json: bool = False, full: bool = False) -> None:
        self.as_json = as_json
        self.full = full
        self.terminal = sys.stdout.isatty()
        self.width = (
            shutil.get_terminal_size().columns if self.terminal and not full else 0
        )  # 0: no end

    def line(self, line: str = "") -> None:
        sys.stdout.write(line + "\n")

    def json(self, fields: dict[str, Any]) -> None:
        self.line(json.dumps(fields))

    def size(self, nbytes: int) -> str:
        return size(nbytes) if self.terminal else str(nbytes)

    @staticmethod
    def abandon() -> None:
        """Nobody reads any more: what is left to be said goes nowhere."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def flush(self) -> None:
        sys.stdout.flush()


class Column:
    """`width` is what it has at least, `most` what it grows to; a longer cell shifts the rest of
    its row.
    """

    def __init__(
        self, title: str, right: bool = False, width: int = 0, most: int = 1 << 30
    ) -> None:
        self.title = title
        self.right = right
        self.width = max(width, len(title))
        self.most = most


class Table:
    """Rows as they come, columns as wide as the first rows need (streaming: as they were made). The
    last is cut to the terminal's width.
    """

    def __init__(self, output: Output, columns: Sequence[Column], streaming: bool = False) -> None:
        self._output = output
        self._columns = columns
        self._rows: list[Sequence[str]] = []
        self._fixed = False
        self._streaming = streaming

    def row(self, *cells: str) -> None:
        if self._fixed:
            self._write(cells)
            return
        self._rows.append(cells)
        if self._streaming or len(self._rows) >= MEASURED:
            self.end()

    def end(self) -> None:
        """Writes what is still held back; a table without rows writes nothing."""
        if self._rows and not self._fixed:
            self._fixed = True
            for index, column in enumerate(self._columns):
                column.width = max(
                    column.width, min(column.most, max(len(row[index]) for row in self._rows))
                )
            self._write([column.title for column in self._columns])
        for row in self._rows:
            self._write(row)
        self._rows.clear()

    def _write(self, cells: Sequence[str]) -> None:
        line = "  ".join(map(_aligned, cells, self._columns)).rstrip()
        width = self._output.width
        self._output.line(line if not width or len(line) <= width else line[: width - 1] + "…")


def _aligned(cell: str, column: Column) -> str:
    return cell.rjust(column.width) if column.right else cell.ljust(column.width)
