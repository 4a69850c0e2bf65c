"""Lines that the C server is known to parse differently, with the name of their row."""

from __future__ import annotations

import re

from beanstalkd_py.protocol.bodies import MAX_LINE

from .differences import TABLE, shows
from .lines import Line

_TIMEOUT = re.compile(rb"reserve-with-timeout (.*)\r\n", re.DOTALL)
_PLAIN = re.compile(rb" *\d+")


def line_difference(line: Line, c_version: str) -> str:
    """The name of the row, or ""."""
    row = _row(line.data)
    return row if row and shows(TABLE[row], c_version) else ""


def _row(data: bytes) -> str:
    if b"\r" in data[:-2]:
        return "lone-cr"
    if len(data) > MAX_LINE and len(data) % MAX_LINE == 1:
        return "long-line"
    timeout = _TIMEOUT.fullmatch(data)
    if timeout and len(data) <= MAX_LINE and b"\0" not in data and not _is_timeout(timeout[1]):
        return "timeout-number"
    return ""


def _is_timeout(text: bytes) -> bool:
    number = _PLAIN.match(text)
    return number is not None and int(number[0]) < 1 << 31
