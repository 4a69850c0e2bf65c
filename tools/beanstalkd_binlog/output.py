"""A command's output: to a terminal, to a pipe, or as lines of JSON; and tables.

Promises: on a terminal tables are cut to its width and sizes have units. In a pipe nothing is cut
and sizes are bytes.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from beanstalkd_binlog.text import size

ERRORS = "bytes-as-they-are"  # the name of the handler below
MEASURED_ROWS = 500  # rows that a table holds back before it fixes the width of its columns


def _unencodable(error: UnicodeError) -> tuple[str | bytes, int]:
    """A byte of a path that is not UTF-8 is written as it is, so that the path can be used again.
    A character that the encoding of the stream lacks is escaped.
    """
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.backslashreplace_errors(error)


codecs.register_error(ERRORS, _unencodable)


class Output:
    """stdout, as a command sees it."""

    @staticmethod
    def configure() -> None:
        """Writing to stdout and stderr raises no error for any path or name."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=ERRORS)

    def __init__(self, as_json: bool = False, full: bool = False) -> None:
        self.as_json = as_json
        self.full = full
        self.terminal = sys.stdout.isatty()
        cut = self.terminal and not full
        self.width = shutil.get_terminal_size().columns if cut else 0  # 0: no limit

    def line(self, line: str = "") -> None:
        sys.stdout.write(line + "\n")

    def json(self, fields: dict[str, Any]) -> None:
        self.line(json.dumps(fields))

    def size(self, nbytes: int) -> str:
        """For a cell of a table."""
        return size(nbytes) if self.terminal else str(nbytes)

    def size_in_words(self, nbytes: int) -> str:
        """For a sentence."""
        return size(nbytes) if self.terminal else f"{nbytes} bytes"

    @staticmethod
    def discard() -> None:
        """The reader has closed the pipe: everything that follows is discarded."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def flush(self) -> None:
        sys.stdout.flush()


class Column:
    """`width` is the least width, `most` the largest. A cell that is wider shifts the rest of its
    row.
    """

    def __init__(
        self, title: str, right: bool = False, width: int = 0, most: int = 1 << 30
    ) -> None:
        self.title = title
        self.right = right
        self.width = max(width, len(title))
        self.most = most

    def fit(self, cells: Sequence[str]) -> None:
        """Widens the column to its cells."""
        self.width = max(self.width, min(self.most, max(map(len, cells))))

    def aligned(self, cell: str) -> str:
        return cell.rjust(self.width) if self.right else cell.ljust(self.width)


class Table:
    """Columns are as wide as the first rows need. streaming: each row is written at once, and
    columns keep their least width. Each line is cut to the terminal's width.
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
        if self._streaming or len(self._rows) >= MEASURED_ROWS:
            self.end()

    def end(self) -> None:
        """Writes the rows that are held back. A table without rows writes nothing."""
        if self._rows and not self._fixed:
            self._fixed = True
            for index, column in enumerate(self._columns):
                column.fit([row[index] for row in self._rows])
            self._write([column.title for column in self._columns])
        for row in self._rows:
            self._write(row)
        self._rows.clear()

    def _write(self, cells: Sequence[str]) -> None:
        aligned = (column.aligned(cell) for column, cell in zip(self._columns, cells, strict=True))
        line = "  ".join(aligned).rstrip()
        width = self._output.width
        self._output.line(line if not width or len(line) <= width else line[: width - 1] + "…")
