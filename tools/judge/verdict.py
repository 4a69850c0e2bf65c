"""Whether two replies, ours and the C server's, are the same: byte for byte, but for what belongs
to a process and for rows of the table.

May know: the form of the YAML answers. Promises: what is allowed to differ is allowed in its line
only, and only in the way that its row says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import zip_longest

#: What belongs to one process, by key: its shape.
_OWN = {
    b"pid": rb"\d+",
    b"rusage-utime": rb"\d+\.\d{6}",
    b"rusage-stime": rb"\d+\.\d{6}",
    b"id": rb"[0-9a-f]{16}",
}
_OUR_VERSION = re.compile(rb'"1\.13\+py\d+\.\d+\.\d+"')
_SEGMENTS = (
    b"binlog-oldest-index",
    b"binlog-current-index",
    b"file",
)  # never 0 where there is a log
_RECORDS = (b"binlog-records-migrated", b"binlog-records-written")
_UNRECORDED = (
    b"pri",
    b"delay",
    b"reserves",
    b"timeouts",
    b"releases",
)  # by the C server, as long as nothing else of the job is
#: The row's name, and whether it is what differs: key, ours, the C server's.
Rows = tuple[tuple[str, Callable[[bytes, bytes, bytes], bool]], ...]
_ROWS: Rows = (
    (
        "version",
        lambda key, ours, c: key == b"version" and _OUR_VERSION.fullmatch(ours) is not None,
    ),
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


#: The same, of what the two servers found after a restart.
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
    """The rows of the table that show; None if the replies differ in any other way. Both are whole
    replies.
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
    if (
        "by-id" in shown and b"\nstate: ready\n" not in ours
    ):  # nothing else may let the time be another one
        return None
    return shown - {""}


def _row(rows: Rows, ours: bytes | None, c: bytes | None) -> str | None:
    """The row that lets these lines differ, "" if none needs to."""
    if ours is None or c is None or b": " not in ours:
        return None
    key, _, our_value = ours.partition(b": ")
    c_key, _, c_value = c.partition(b": ")
    if key != c_key:
        return None
    if key in _OWN:
        shape = re.compile(_OWN[key])
        return "" if shape.fullmatch(our_value) and shape.fullmatch(c_value) else None
    return next((name for name, shows in rows if shows(key, our_value, c_value)), None)
