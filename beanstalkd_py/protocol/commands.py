"""The command table: one row per command. Parser, dispatcher, trace and stats are derived from it.

A new command needs one row in `EXTENSIONS`, one method of `Extensions` (`Row.handler`), and one
transcript in tests/wire/transcripts.

Source of `C_COMMANDS`: beanstalkd 1.13, doc/protocol.txt, and the C server's table of words. The
order of the rows is that of the counters in `stats`.
"""

import re
from enum import Enum, auto
from typing import Any, Final, NamedTuple

U32: Final = 0xFFFFFFFF
U64: Final = 0xFFFFFFFFFFFFFFFF
MAX_TIMEOUT_S: Final = 0x7FFFFFFF
SECOND: Final = 1_000_000_000  # ns
LIST_MOST: Final = 1000  # jobs of one list-jobs
BATCH_MOST: Final = 500  # jobs of one reserve-batch, which takes 1 to 3 ms

Command = tuple[Any, ...]  # (operation, *arguments): a hot path, so a plain tuple


class Argument(NamedTuple):
    """A number from `least` to `most`, a tube name if `most` is 0, or one of `words`. A number of
    seconds becomes ns in the command.
    """

    name: str
    most: int
    in_seconds: bool = False
    least: int = 0
    words: tuple[bytes, ...] = ()
    optional: bool = False  # None in the command, if it is not there


ID: Final = Argument("id", U64)
PRI: Final = Argument("pri", U32)
DELAY: Final = Argument("delay", U32, in_seconds=True)
TTR: Final = Argument("ttr", U32, in_seconds=True)
SIZE: Final = Argument("bytes", U32)
TIMEOUT: Final = Argument("seconds", MAX_TIMEOUT_S, in_seconds=True)
BOUND: Final = Argument("bound", U32)
TUBE: Final = Argument("tube", 0)
AT_MOST: Final = Argument("max", BATCH_MOST, least=1)
SWITCH: Final = Argument("switch", 0, words=(b"on", b"off", b"status"))
STATE: Final = Argument("state", 0, words=(b"ready", b"reserved", b"delayed", b"buried"))
LIMIT: Final = Argument("limit", LIST_MOST, least=1, optional=True)
CONNECTION: Final = Argument("id", U64, optional=True)
CURSOR: Final = Argument("after", 0, optional=True)  # two numbers with a dot between them
UNRESERVED: Final = Argument("state", 0, words=(b"ready", b"delayed", b"buried"))
ONE_OR_ALL: Final = UNRESERVED._replace(optional=True)
KEY: Final = Argument("key", 0)  # printable ASCII

# The settings of a tube; 0 or no value removes one.
TUBE_SETTINGS: Final = {
    b"max-attempts": Argument("number", U32),
    b"dead-tube": TUBE,
    b"max-jobs": Argument("number", U32),
    b"max-bytes": Argument("bytes", U64),
    b"max-reserved": Argument("number", U32),
    b"expire": Argument("seconds", U32),
}
# What put-with can give a job.
JOB_SETTINGS: Final = {
    b"tube": TUBE,
    b"key": KEY,
    b"until": Argument("until", 0, words=(b"reserve",)),
    b"at": Argument("time", U32),
    b"expire": Argument("seconds", U32, in_seconds=True),
    b"attempts": Argument("number", U32),
}


class Form(Enum):
    """The syntax of the arguments in a line."""

    PLAIN = auto()  # separated by spaces, nothing after them
    PUT = auto()  # a body follows
    LOOSE = auto()  # anything may follow them
    STRTOUL = auto()  # a number as C's strtoul reads it
    GLUED = auto()  # no space is needed before the tube name
    STRICT = auto()  # of extensions: exactly one space before each, nothing after them
    SETTINGS = auto()  # the same, and `key=value` follow: one or more
    OPTIONS = auto()  # the same, and `key=value` may follow; a put


class Row(NamedTuple):
    """One command.

    word: the prefix of the command's lines; of an extension, their whole first word. A space at its
    end is part of the word. -VV logs the word too. not_counted: why `stats` has no counter for the
    command; "" if it has one.
    """

    word: bytes
    arguments: tuple[Argument, ...] = ()
    form: Form = Form.PLAIN
    not_counted: str = ""

    @property
    def name(self) -> str:
        return self.word.decode().rstrip()

    @property
    def handler(self) -> str:
        """The method of `Dispatcher`, or of `Extensions`."""
        return self.name.replace("-", "_")

    @property
    def pattern(self) -> "re.Pattern[bytes]":
        """Matches the arguments of a PLAIN row of numbers."""
        return re.compile(b" +".join([rb"([0-9]+)"] * len(self.arguments)).join((b" *", rb"\Z")))


_NOT_IN_C: Final = "the C server does not count it"

C_COMMANDS: Final = (
    Row(b"put ", (PRI, DELAY, TTR, SIZE), Form.PUT),
    Row(b"peek ", (ID,)),
    Row(b"peek-ready"),
    Row(b"peek-delayed"),
    Row(b"peek-buried"),
    Row(b"reserve"),
    Row(b"reserve-with-timeout ", (TIMEOUT,), Form.LOOSE),
    Row(b"delete ", (ID,)),
    Row(b"release ", (ID, PRI, DELAY)),
    Row(b"use ", (TUBE,)),
    Row(b"watch ", (TUBE,)),
    Row(b"ignore ", (TUBE,)),
    Row(b"bury ", (ID, PRI)),
    Row(b"kick ", (BOUND,), Form.STRTOUL),
    Row(b"touch ", (ID,)),
    Row(b"stats"),
    Row(b"stats-job ", (ID,)),
    Row(b"stats-tube ", (TUBE,)),
    Row(b"list-tubes"),
    Row(b"list-tube-used"),
    Row(b"list-tubes-watched"),
    Row(b"pause-tube", (TUBE, DELAY), Form.GLUED),
    Row(b"reserve-job ", (ID,), not_counted=_NOT_IN_C),
    Row(b"kick-job ", (ID,), not_counted=_NOT_IN_C),
    Row(b"quit", form=Form.LOOSE, not_counted=_NOT_IN_C),
)

# What the C server does not have. These commands stand behind those of the C server wherever there
# is an order, and only whole words match: a line that begins with a longer word means what it
# means to the C server.
EXTENSIONS: Final = (
    Row(b"capabilities"),
    Row(b"ping"),
    Row(b"peek-tube ", (TUBE, UNRESERVED), Form.STRICT),
    Row(b"kick-tube ", (TUBE, BOUND), Form.STRICT),
    Row(b"put-in-tube ", (TUBE, PRI, DELAY, TTR, SIZE), Form.STRICT),
    Row(b"reserve-batch ", (AT_MOST, TIMEOUT), Form.STRICT),
    Row(b"drain ", (SWITCH,), Form.STRICT),
    Row(b"list-jobs ", (TUBE, STATE, LIMIT, CURSOR), Form.STRICT),
    Row(b"truncate ", (TUBE, ONE_OR_ALL), Form.STRICT),
    Row(b"set-tube ", (TUBE,), Form.SETTINGS),
    Row(b"move-job ", (ID, TUBE), Form.STRICT),
    Row(b"move-jobs ", (TUBE, UNRESERVED, TUBE, BOUND), Form.STRICT),
    Row(b"list-connections"),
    Row(b"stats-conn", (CONNECTION,), Form.STRICT),
    Row(b"stats-tube-all"),
    Row(b"put-with ", (PRI, DELAY, TTR, SIZE), Form.OPTIONS),
)

COMMANDS: Final = C_COMMANDS + EXTENSIONS

# An operation is the number of its row. Only those that code or tools refer to have a name.
OPERATIONS: dict[str, int] = {row.name: number for number, row in enumerate(COMMANDS)}
PUT: Final = OPERATIONS["put"]
PEEK: Final = OPERATIONS["peek"]
RESERVE: Final = OPERATIONS["reserve"]
RESERVE_TIMEOUT: Final = OPERATIONS["reserve-with-timeout"]
DELETE: Final = OPERATIONS["delete"]
RELEASE: Final = OPERATIONS["release"]
USE: Final = OPERATIONS["use"]
WATCH: Final = OPERATIONS["watch"]
IGNORE: Final = OPERATIONS["ignore"]
STATS_JOB: Final = OPERATIONS["stats-job"]
PAUSE_TUBE: Final = OPERATIONS["pause-tube"]
QUIT: Final = OPERATIONS["quit"]

# What the parser returns besides commands. Their numbers follow those of the commands.
_EVENTS: Final = (
    "put_begin",  # a put whose body is incomplete: (PUT_BEGIN,)
    "put_end",  # its body: (PUT_END, pri, delay, ttr, body)
    "put_abort",  # its body did not end in CRLF: (PUT_ABORT, reply)
    "reply",  # a malformed line: (REPLY, reply)
    "counted_reply",  # the same, counted as that command: (COUNTED_REPLY, reply, operation)
    "count",  # no reply yet, counted as that command: (COUNT, operation)
    "other_put_begin",  # as put_begin, of an extension: (OTHER_PUT_BEGIN, operation)
    "other_put_end",  # its body: (OTHER_PUT_END, operation, *arguments, body)
)
PUT_BEGIN, PUT_END, PUT_ABORT, REPLY, COUNTED_REPLY, COUNT, OTHER_PUT_BEGIN, OTHER_PUT_END = range(
    len(COMMANDS), len(COMMANDS) + len(_EVENTS)
)

# Methods of `Dispatcher`, by operation.
HANDLERS: tuple[str, ...] = (*(row.handler for row in COMMANDS), *_EVENTS)
# Extensions with a body, by their word.
OTHER_PUTS: dict[bytes, int] = {
    row.word.rstrip(): OPERATIONS[row.name] for row in EXTENSIONS if SIZE in row.arguments
}
# The counters of `stats`: key and operation.
COUNTERS: tuple[tuple[str, int], ...] = tuple(
    (f"cmd-{row.name}", number) for number, row in enumerate(C_COMMANDS) if not row.not_counted
)
# Those that only a client with capabilities gets.
EXTENSION_COUNTERS: tuple[tuple[str, int], ...] = tuple(
    (f"cmd-{row.name}", OPERATIONS[row.name]) for row in EXTENSIONS
)
# By the word without the space at its end.
EXTENSION_WORDS: dict[bytes, int] = {row.word.rstrip(): OPERATIONS[row.name] for row in EXTENSIONS}
# Longer words first, so that a shorter word does not match their lines, as in the C server.
PREFIXES: tuple[tuple[bytes, int], ...] = tuple(
    sorted(((row.word, number) for number, row in enumerate(C_COMMANDS)), key=lambda p: -len(p[0]))
)
