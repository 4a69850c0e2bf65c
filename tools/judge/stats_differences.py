"""Known differences in stats and after a restart."""

from __future__ import annotations

from .difference import RESTART, STATS, Difference

ROWS = (
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
        "`time-left` and `pause-time-left` after the deadline",
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
        "`binlog-oldest-index`, `binlog-current-index`, `binlog-records-migrated`, "
        "`binlog-records-written`, `file` of a job",
        "count its files and records",
        "count its segments and all its records, including releases, timeouts and pauses",
        "this server records more changes",
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
        "loses the new priority and the new counts",
        "keeps them",
        "the client has a reply",
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
        "orders them by the time of the put",
        "orders them by the time of the bury",
        "kick takes the first job",
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
        "adds one to `buries` at each start",
        "keeps `buries`",
        "the job was not buried again",
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
        "a delayed or buried job was reserved by reserve-job",
        "the job is delayed or buried again",
        "the job is ready",
        "all reserved jobs become ready",
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
        "forgets the pause",
        "keeps the pause and the tube until its end, even without jobs",
        "the client has a reply",
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
        "the files of the newest jobs were deleted",
        "reuses their ids",
        "never reuses an id",
        "an id that a client remembers must not refer to another job",
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
        "loses it, and all later records in its file",
        "keeps it",
        "`-z` applies to new jobs",
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
