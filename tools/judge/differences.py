"""The one table of known differences between this server and the C server. docs/protocol.md is made
from it (`python -m judge.table`).

Each row has a probe, a transcript (tests/wire/README.md) that is played to both: lines that begin
with `ours` or `c` are what that server alone must say. Probes see the judge's clock: `wait` costs
nothing, and `clock` sets the wall clock. A row without a transcript is probed by full_disk.py. A
difference that no row names is a bug, of this server or of the table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

WIRE = "On the wire"
STATS = "In stats"
RESTART = "After a restart"


@dataclass(frozen=True)
class Difference:
    """One row. when, c, ours, why: what the documentation says, in Markdown. until: the last
    version of the C server that differs, "" for all.
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
    spoils: bool = False  # the C server is of no use afterwards
    until: str = ""


_ROWS = (
    Difference(
        "lone-cr",
        WIRE,
        "a CR without LF stands in a line",
        "waits for ever: the CR hides the line's end",
        "the line ends at the first CRLF",
        "no client should hang because of one byte",
        r"""
        A> list-tube-used\rlist-tube-used
        c    A waits
        ours A< BAD_FORMAT
        """,
    ),
    Difference(
        "long-line",
        WIRE,
        "a line is 225, 449, 673, ... bytes long",
        "one `BAD_FORMAT` for it and for the next command, which is lost",
        "`BAD_FORMAT`, and the next command is heard",
        "every command has an answer of its own",
        r"""
        A> peek {0*217}1
        A> list-tube-used
        A> list-tubes-watched
             A< BAD_FORMAT
        ours A< USING default
             A< OK 14
             A: ---
             A: - default
             A<
        """,
    ),
    Difference(
        "half-put",
        WIRE,
        "a job's body is still under way, and others name its id",
        "peek and stats-job show it: state `invalid`, old memory as its body",
        "`NOT_FOUND`, as for all other commands; the id is taken when the command line arrives, as in C",
        "what is no job yet is nobody's, and memory belongs to nobody else",
        r"""
        A| put 0 0 60 5\r\nhel
             A waits
        B> stats-job #1
        ours B< NOT_FOUND
        c    B< OK <int>
        c    B: ...
        c    B: state: invalid
        c    B: ...
        c    B<
        """,
    ),
    Difference(
        "waiting-order",
        WIRE,
        "several clients wait for the same tube",
        "serves them in an order of its own",
        "first come, first served, per tube",
        "nobody starves",
        "\n".join(
            [f"{name}> reserve\n{name} waits" for name in "ABCDEF"]
            + [
                f"P> put 0 0 60 1\nP> x\nP< INSERTED #{id}\n{name}< RESERVED #{id} 1\n{name}< x"
                for id, name in enumerate("ABC", 1)
            ]
            + [
                "P> put 0 0 60 1\nP> x\nP< INSERTED #4\nours D< RESERVED #4 1\nours D< x\nc    F< RESERVED #4 1\nc    F< x"
            ]
        ),
    ),
    Difference(
        "hang-up",
        WIRE,
        "a client that waits in reserve has sent more behind it than its socket holds (some 128 KB), and closes or shuts down its side",
        "does not notice: it waits on, and may be given a job",
        "notices with up to 64 KB more: the waiting ends, and what was sent is answered",
        "a job that is given to nobody is lost for its TTR",
        r"""
        A> reserve
        A| {x*160000}\r\n
             A waits
        A shutdown
        c    A waits
        ours A< TIMED_OUT
        ours A< BAD_FORMAT
        ours A eof
        """,
        spoils=True,
    ),
    Difference(
        "together",
        WIRE,
        "one client's commands arrive together, and two of them delay jobs by the same time",
        "each has an instant of its own",
        "they have the same instant: among these jobs, the smaller id is the first that is delayed",
        "the clock is read once for all that has come",
        r"""
        A> put 0 0 60 1
        A> x
        A> put 0 0 60 1
        A> y
        A> reserve
        A> reserve
             A< INSERTED #1
             A< INSERTED #2
             A< RESERVED #1 1
             A< x
             A< RESERVED #2 1
             A< y
        A> release #2 0 100
        A> release #1 0 100
        A> peek-delayed
             A< RELEASED
             A< RELEASED
        c    A< FOUND #2 1
        c    A< y
        ours A< FOUND #1 1
        ours A< x
        """,
    ),
    Difference(
        "timeout-number",
        WIRE,
        "the timeout of reserve-with-timeout is no number from 0 to 2147483647",
        "no digits are 0, others are cut to 32 bits, and what is negative waits for ever",
        "`BAD_FORMAT`, as in C from 1.13 on",
        "",
        r"""
        A> reserve-with-timeout x
        c    A< TIMED_OUT
        ours A< BAD_FORMAT
        A> reserve-with-timeout -1
        c    A waits
        ours A< BAD_FORMAT
        """,
        until="1.12",
    ),
    Difference(
        "lost-ttr",
        WIRE,
        "a reserve-with-timeout ended with `DEADLINE_SOON`, and its client then touches the job, or holds others",
        "may forget the client's timer: its jobs do not time out as long as it says nothing. The same now and then after any reserve, where the "
        "clock shows the same microsecond twice",
        "a TTR always runs",
        "a job must not stay with a client that is silent",
        r"""
        A> put 0 0 10 1
        A> x
        A> reserve
             A< INSERTED #1
             A< RESERVED #1 1
             A< x
        wait 7
        A> reserve-with-timeout 5
             A waits
        wait 2.1
             A< DEADLINE_SOON
        A> touch #1
             A< TOUCHED
        wait 5.1
        wait 6
        B> reserve-with-timeout 0
        c    B< TIMED_OUT
        ours B< RESERVED #1 1
        ours B< x
        """,
    ),
    Difference(
        "wall-clock",
        WIRE,
        "the wall clock is set",
        "all TTRs, delays, pauses and timeouts move by that",
        "none does: the clock is monotonic. Only a restart goes by the wall clock",
        "time that did not pass has not passed",
        r"""
        A> put 0 100 60 1
        A> x
             A< INSERTED #1
        clock 1000
        A> peek-ready
        c    A< FOUND #1 1
        c    A< x
        ours A< NOT_FOUND
        """,
    ),
    Difference(
        "full-disk",
        WIRE,
        "there is no room for a record",
        "one of `OUT_OF_MEMORY`, `INTERNAL_ERROR`, `BURIED <id>`, `NOT_FOUND`, `KICKED <n>`; the job may be lost until the restart",
        "`put` answers `OUT_OF_MEMORY`, and all else goes on. Should there be no room even for a small record, then delete, release, bury, kick, "
        "kick-job, pause-tube, and reserve-job of a delayed or buried job answer `OUT_OF_MEMORY` too, and the job stays where and whose it was. "
        "`put` never answers `BURIED <id>`, nothing answers `INTERNAL_ERROR`",
        "a refusal changes nothing",
    ),
    Difference(
        "kicked-count",
        WIRE,
        "there is no room for the record of a kick",
        "`KICKED <n>` counts jobs that stay as they were",
        "`KICKED <n>` counts the jobs that were kicked before the room ended",
        "a reply is a promise",
    ),
    Difference(
        "version",
        STATS,
        "`version`",
        "its own",
        'begins with the version of beanstalkd that it stands for, then ours: `"1.13+py0.1.0"`',
        "",
        r"""
        A> stats
             A< OK <int>
             A: ...
        c    A: version: <">1.1<int><text>
        ours A: version: "1.13+py<int>.<int>.<int>"
             A: ...
             A<
        """,
    ),
    Difference(
        "quotes",
        STATS,
        "names, `version`, `hostname`, `os`, `platform`",
        "not quoted",
        "quoted, as in C from 1.13 on",
        "",
        r"""
        A> stats-tube default
             A< OK <int>
             A: ---
        c    A: name: default
        ours A: name: "default"
             A: ...
             A<
        """,
        until="1.12",
    ),
    Difference(
        "time-left",
        STATS,
        "`time-left` and `pause-time-left` of what is overdue",
        "negative",
        "never negative",
        "",
        r"""
        A> put 0 0 10 1
        A> x
        A> reserve
             A< INSERTED #1
             A< RESERVED #1 1
             A< x
        wait 7
        A> reserve-with-timeout 5
             A waits
        wait 2.1
             A< DEADLINE_SOON
        A> touch #1
             A< TOUCHED
        wait 5.1
        wait 9
        B> stats-job #1
             B< OK <int>
             B: ...
        c    B: time-left: -4
        ours B: time-left: 0
             B: ...
             B<
        """,
    ),
    Difference(
        "binlog-numbers",
        STATS,
        "`binlog-oldest-index`, `binlog-current-index`, `binlog-records-migrated`, `binlog-records-written`, a job's `file`",
        "count its files and its records",
        "count this server's segments, and all records, those of released, timed-out and paused things included",
        "more is recorded",
        r"""
        A> put 0 0 60 1
        A> x
        A> reserve
        A> release #1 5 0
        A> stats
             A< INSERTED #1
             A< RESERVED #1 1
             A< x
             A< RELEASED
             A< OK <int>
             A: ...
        c    A: binlog-records-written: 1
        ours A: binlog-records-written: 2
             A: ...
             A<
        """,
        logged=True,
    ),
    Difference(
        "kept-priority",
        RESTART,
        "a job was released without delay, or timed out",
        "the new priority and all that was counted since are lost",
        "kept",
        "it was answered",
        r"""
        A> put 5 0 60 1
        A> x
        A> reserve
        A> release #1 7 0
             A< INSERTED #1
             A< RESERVED #1 1
             A< x
             A< RELEASED
        restart
        B open
        B> stats-job #1
             B< OK <int>
             B: ...
        c    B: pri: 5
        ours B: pri: 7
             B: ...
        c    B: releases: 0
        ours B: releases: 1
             B: ...
             B<
        """,
        logged=True,
    ),
    Difference(
        "buried-order",
        RESTART,
        "jobs are buried",
        "in the order in which they were put",
        "in the order in which they were buried",
        "kick takes the first",
        r"""
        A> put 5 0 60 1
        A> x
        A> put 5 0 60 1
        A> y
        A> reserve
        A> reserve
        A> bury #2 5
        A> bury #1 5
             A< INSERTED #1
             A< INSERTED #2
             A< RESERVED #1 1
             A< x
             A< RESERVED #2 1
             A< y
             A< BURIED
             A< BURIED
        restart
        B open
        B> peek-buried
        c    B< FOUND #1 1
        c    B< x
        ours B< FOUND #2 1
        ours B< y
        """,
        logged=True,
    ),
    Difference(
        "buries",
        RESTART,
        "a job is buried",
        "`buries` is one more at each start",
        "`buries` is what it was",
        "nobody buried it",
        r"""
        A> put 5 0 60 1
        A> x
        A> reserve
        A> bury #1 5
             A< INSERTED #1
             A< RESERVED #1 1
             A< x
             A< BURIED
        restart
        B open
        B> stats-job #1
             B< OK <int>
             B: ...
        c    B: buries: 2
        ours B: buries: 1
             B: kicks: 0
             B<
        """,
        logged=True,
    ),
    Difference(
        "by-id",
        RESTART,
        "a job was delayed or buried, and then reserved by its id",
        "it is delayed or buried again",
        "it is ready, like every reserved job",
        "reserved jobs come back ready",
        r"""
        A> put 5 1000 60 1
        A> x
        A> reserve-job #1
             A< INSERTED #1
             A< RESERVED #1 1
             A< x
        restart
        B open
        B> peek-ready
        c    B< NOT_FOUND
        ours B< FOUND #1 1
        ours B< x
        """,
        logged=True,
    ),
    Difference(
        "paused-tube",
        RESTART,
        "a tube was paused",
        "the pause is forgotten",
        "it goes on to its end, even if the tube has no jobs: it is there until then",
        "it was answered",
        r"""
        A> use t
        A> pause-tube t 1000
             A< USING t
             A< PAUSED
        restart
        B open
        B> list-tubes
        c    B< OK 14
        ours B< OK 18
             B: ---
             B: - default
        ours B: - t
             B<
        """,
        logged=True,
    ),
    Difference(
        "next-id",
        RESTART,
        "the files of the latest jobs are gone",
        "their ids are given again",
        "no id is given twice",
        "an id that somebody remembers must not mean another job",
        r"""
        A> put 5 0 60 1
        A> x
        A> delete #1
             A< INSERTED #1
             A< DELETED
        restart
        restart
        B open
        B> put 5 0 60 1
        B> x
        c    B< INSERTED #1
        ours B< INSERTED #2
        """,
        logged=True,
    ),
    Difference(
        "max-size",
        RESTART,
        "a job is as large as `-z` allows, or larger",
        "it is lost, and all that comes after it in its file",
        "it is kept",
        "`-z` is for new jobs",
        r"""
        A> put 5 0 60 10
        A> 0123456789
             A< INSERTED #1
        restart
        B open
        B> peek #1
        c    B< NOT_FOUND
        ours B< FOUND #1 10
        ours B< 0123456789
        """,
        logged=True,
        options=("-z", "10"),
    ),
)
TABLE = {row.name: row for row in _ROWS}


def shows(row: Difference, c_version: str) -> bool:
    """Whether a C server of this version differs so."""
    return not row.until or _number(c_version) <= _number(row.until)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
