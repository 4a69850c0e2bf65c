"""Compares a reply of this server with the reply of the C server, byte for byte.

Only values that belong to one process and rows of the table may differ, each in its own line of
YAML and only in the stated way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import zip_longest

from beanstalkd_py import C_VERSION

# Values that belong to one process: key -> pattern.
_OWN = {
    b"pid": rb"\d+",
    b"rusage-utime": rb"\d+\.\d{6}",
    b"rusage-stime": rb"\d+\.\d{6}",
    b"id": rb"[0-9a-f]{16}",
}
# Each server shows its own version; ours is always that of the C server that it is compatible with.
_OUR_VERSION = b'"%b"' % C_VERSION.encode()
_SEGMENTS = (
    b"binlog-oldest-index",
    b"binlog-current-index",
    b"file",
)  # never 0 with a log
_RECORDS = (b"binlog-records-migrated", b"binlog-records-written")
_UNRECORDED = (
    b"pri",
    b"delay",
    b"reserves",
    b"timeouts",
    b"releases",
)  # the C server does not record these alone
# Name of the row, and a function of key, our value and C value.
Rows = tuple[tuple[str, Callable[[bytes, bytes, bytes], bool]], ...]
_ROWS: Rows = (
    ("quotes", lambda key, ours, c: ours == b'"%b"' % c),
    (
        "time-left",
        lambda key, ours, c: (
            key in (b"time-left", b"pause-time-left") and ours == b"0" and c.startswith(b"-")
        ),
    ),
    (
        "binlog-numbers",
        lambda key, ours, c: (
            ours.isdigit() and (key in _RECORDS or (key in _SEGMENTS and b"0" not in (ours, c)))
        ),
    ),
)


# Further rows, for replies after a restart.
_RESTART_ROWS: Rows = (
    ("kept-priority", lambda key, ours, c: key in _UNRECORDED and ours.isdigit() and c.isdigit()),
    ("buries", lambda key, ours, c: key == b"buries" and int(c) == int(ours) + 1),
    (
        "by-id",
        lambda key, ours, c: key == b"state" and ours == b"ready" and c in (b"delayed", b"buried"),
    ),
    ("by-id", lambda key, ours, c: key == b"time-left" and ours == b"0"),
)


def differences(ours: bytes, c: bytes, restarted: bool = False) -> set[str] | None:
    """The rows of the table that apply; None for any other difference.

    Both arguments are complete replies.
    """
    if ours == c:
        return set()
    if not (ours.startswith(b"OK ") and c.startswith(b"OK ")):
        return None
    shown = set()
    rows = _ROWS + _RESTART_ROWS if restarted else _ROWS
    for our_line, c_line in zip_longest(ours.split(b"\n")[1:], c.split(b"\n")[1:]):
        if our_line != c_line:
            row = _row(rows, our_line, c_line)
            if row is None:
                return None
            shown.add(row)
    if "by-id" in shown and b"\nstate: ready\n" not in ours:  # otherwise time-left must not differ
        return None
    return shown - {""}


def _row(rows: Rows, ours: bytes | None, c: bytes | None) -> str | None:
    """The row that allows these lines to differ; "" if both are allowed without a row."""
    if ours is None or c is None or b": " not in ours:
        return None
    key, _, our_value = ours.partition(b": ")
    c_key, _, c_value = c.partition(b": ")
    if key != c_key:
        return None
    if key in _OWN:
        shape = re.compile(_OWN[key])
        return "" if shape.fullmatch(our_value) and shape.fullmatch(c_value) else None
    if key == b"version":
        return "" if our_value == _OUR_VERSION else None
    return next((name for name, shows in rows if shows(key, our_value, c_value)), None)
