"""Known differences on the wire."""

from __future__ import annotations

from .difference import WIRE, Difference

ROWS = (
    Difference(
        "lone-cr",
        WIRE,
        "a line contains a CR without LF",
        "waits for ever, because the CR hides the end of the line",
        "the line ends at the first CRLF",
        "one byte must not block a client",
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
        "one `BAD_FORMAT` for this line and the next command, which is lost",
        "`BAD_FORMAT` for this line only",
        "each command has its own reply",
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
        "another client names the id of a job whose body is incomplete",
        "peek and stats-job show it: state `invalid`, uninitialised memory as its body",
        "`NOT_FOUND`, as for all other commands; the id is assigned with the command line, as in C",
        "an incomplete job is not visible, and memory must not leak",
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
        "serves them in no defined order",
        "serves them first come, first served, per tube",
        "no client starves",
        "\n".join(
            [f"{name}> reserve\n{name} waits" for name in "ABCDEF"]
            + [
                f"P> put 0 0 60 1\nP> x\nP< INSERTED #{id}\n{name}< RESERVED #{id} 1\n{name}< x"
                for id, name in enumerate("ABC", 1)
            ]
            + [
                "P> put 0 0 60 1\nP> x\nP< INSERTED #4\nours D< RESERVED #4 1\nours D< x\n"
                "c    F< RESERVED #4 1\nc    F< x"
            ]
        ),
    ),
    Difference(
        "hang-up",
        WIRE,
        "a client waits in reserve, has sent more bytes after it than the socket buffer holds "
        "(about 128 KB), and closes or half-closes the connection",
        "does not notice: the client keeps waiting and may get a job",
        "notices, with up to 64 KB more: the wait ends, and the commands are executed",
        "otherwise a job is lost until its TTR ends",
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
        breaks_c_server=True,
    ),
    Difference(
        "together",
        WIRE,
        "two commands of a client arrive together and delay jobs by the same time",
        "each has its own time",
        "both have the same time, and the smaller id comes first",
        "the clock is read once for all bytes that have arrived",
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
        "the timeout of reserve-with-timeout is not a number from 0 to 2147483647",
        "no digits mean 0, larger numbers are cut to 32 bits, and negative ones wait for ever",
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
        "a reserve-with-timeout ended with `DEADLINE_SOON`, and the client touches the job or has "
        "reserved other jobs",
        "may lose the timer of the client: its jobs do not time out until it sends a command. The "
        "same can happen after any reserve, if the clock shows the same microsecond twice",
        "a TTR always ends",
        "a silent client must not keep a job",
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
        "TTRs, delays, pauses and timeouts move with it",
        "they do not move: their clock cannot be set. Only a restart uses the wall clock",
        "setting a clock must not end a delay",
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
        "the disk is full",
        "one of `OUT_OF_MEMORY`, `INTERNAL_ERROR`, `BURIED <id>`, `NOT_FOUND`, `KICKED <n>`; the "
        "job may be lost until the restart",
        "`put` replies `OUT_OF_MEMORY`; all other commands work. If there is no headroom even for "
        "a small record, then delete, release, bury, kick, kick-job, pause-tube, and reserve-job "
        "of a delayed or buried job also reply `OUT_OF_MEMORY`, and the job does not change. "
        "`put` never replies `BURIED <id>`, and no command replies `INTERNAL_ERROR`",
        "a refusal changes nothing",
    ),
    Difference(
        "kicked-count",
        WIRE,
        "the disk is full during a kick",
        "`KICKED <n>` counts jobs that were not kicked",
        "`KICKED <n>` counts the jobs that were kicked",
        "a reply is a promise",
    ),
)
