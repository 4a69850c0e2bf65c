"""A row of the table of known differences between this server and the C server."""

from __future__ import annotations

from dataclasses import dataclass

WIRE = "On the wire"
STATS = "In stats"
RESTART = "After a restart"


@dataclass(frozen=True)
class Difference:
    """One row.

    when, c, ours, why: the text of the documentation, in Markdown. until: the last version of the
    C server that differs, "" for all. logged: the servers need a log. breaks_c_server: the C server
    cannot be used after the probe.

    probe: a transcript (tests/wire/README.md) that is played to both servers. A line that begins
    with `ours` or `c` is what only that server must reply. A row without a probe is checked by
    full_disk.py.
    """

    name: str
    section: str
    when: str
    c: str
    ours: str
    why: str
    probe: str = ""
    logged: bool = False
    options: tuple[str, ...] = ()
    breaks_c_server: bool = False
    until: str = ""
