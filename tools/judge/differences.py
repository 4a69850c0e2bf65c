"""The table of known differences between this server and the C server.

`python -m judge.table` generates the table in docs/protocol.md from it. A difference that no row
names is a bug of this server or of the table.
"""

from __future__ import annotations

import re

from .difference import Difference
from .stats_differences import ROWS as STATS_ROWS
from .wire_differences import ROWS as WIRE_ROWS

ROWS = (*WIRE_ROWS, *STATS_ROWS)
TABLE = {row.name: row for row in ROWS}


def shows(row: Difference, c_version: str) -> bool:
    """Whether a C server of this version has the difference."""
    return not row.until or _number(c_version) <= _number(row.until)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
