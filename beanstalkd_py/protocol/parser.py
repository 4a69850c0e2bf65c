"""The beanstalkd protocol: bytes in, commands out. No I/O, no clock, no knowledge of jobs.

`Parser.feed` takes bytes in whatever pieces they come; `Parser.next_command` gives the next whole
command or None. However the bytes are cut, the commands are the same. A command is a tuple: its
operation (one of the integers below), then its arguments. What a client does wrong is a command too
(`REPLY` with the bytes to send), so nothing here raises.

Source: beanstalkd 1.13, doc/protocol.txt, and the C server's behaviour: table of words matched by
prefix, numbers read as its read_u32/read_u64/strtoul do, lines of at most 224 bytes. One
difference: a line ends at the first CRLF, also behind a lone CR.
"""

import re
from typing import Any

from beanstalkd_py.protocol import replies

MAX_LINE = 224  # bytes, CRLF included (the C server's LINE_BUF_SIZE)
MAX_NAME = 200  # bytes of a tube name
U32 = 0xFFFFFFFF
U64 = 0xFFFFFFFFFFFFFFFF
MAX_TIMEOUT_S = 0x7FFFFFFF
SECOND = 1_000_000_000  # ns

# Operations. The first ones are those that `stats` counts, in its order.
(
    PUT,
    PEEK,
    PEEK_READY,
    PEEK_DELAYED,
    PEEK_BURIED,
    RESERVE,
    RESERVE_TIMEOUT,
    DELETE,
    RELEASE,
    USE,
    WATCH,
    IGNORE,
    BURY,
    KICK,
    TOUCH,
    STATS,
    STATS_JOB,
    STATS_TUBE,
    LIST_TUBES,
    LIST_TUBE_USED,
    LIST_TUBES_WATCHED,
    PAUSE_TUBE,
    RESERVE_JOB,
    KICK_JOB,
    QUIT,
    PUT_BEGIN,  # put whose body is still under way: (PUT_BEGIN,)
    PUT_END,  # its body: (PUT_END, pri, delay, ttr, body)
    PUT_ABORT,  # its body did not end in CRLF
    REPLY,  # an answer that needs no engine: (REPLY, bytes)
    COUNTED_REPLY,  # the same, but the command counts: (COUNTED_REPLY, bytes, operation)
    COUNT,  # nothing to say yet, but the command counts: (COUNT, operation)
) = range(31)
COUNTED = PAUSE_TUBE + 1  # how many operations `stats` counts

# The words as the C server logs them with -VV, by operation.
WORDS = (
    "put ", "peek ", "peek-ready", "peek-delayed", "peek-buried", "reserve", "reserve-with-timeout ", "delete ", "release ",
    "use ", "watch ", "ignore ", "bury ", "kick ", "touch ", "stats", "stats-job ", "stats-tube ", "list-tubes",
    "list-tube-used", "list-tubes-watched", "pause-tube", "reserve-job ", "kick-job ", "quit",
)  # fmt: skip

Command = tuple[Any, ...]  # (operation, *arguments): a hot path, so a plain tuple

_BAD_FORMAT: Command = (REPLY, replies.BAD_FORMAT)
_UNKNOWN: Command = (REPLY, replies.UNKNOWN_COMMAND)
_BAD_PUT: Command = (COUNTED_REPLY, replies.BAD_FORMAT, PUT)
_BAD_PAUSE: Command = (COUNTED_REPLY, replies.BAD_FORMAT, PAUSE_TUBE)

_NAME_BYTES = rb"[A-Za-z0-9\-+/;.$_()]"
_NAME = re.compile(rb"(?!-)" + _NAME_BYTES + rb"{1,%d}\Z" % MAX_NAME)
_PUT = re.compile(rb" *([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+)(.*)\Z", re.DOTALL)
_NUMBER = re.compile(rb" *([0-9]+)")
_NUMBERS_1 = re.compile(rb" *([0-9]+)\Z")
_NUMBERS_2 = re.compile(rb" *([0-9]+) +([0-9]+)\Z")
_NUMBERS_3 = re.compile(rb" *([0-9]+) +([0-9]+) +([0-9]+)\Z")
_STRTOUL = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
_PAUSE = re.compile(rb" *(" + _NAME_BYTES + rb"+) *([0-9]+)\Z")

# Matched by prefix in this order, longer words first (which_cmd).
_PREFIXES: tuple[tuple[bytes, int], ...] = (
    (b"put ", PUT),
    (b"peek ", PEEK),
    (b"peek-ready", PEEK_READY),
    (b"peek-delayed", PEEK_DELAYED),
    (b"peek-buried", PEEK_BURIED),
    (b"reserve-with-timeout ", RESERVE_TIMEOUT),
    (b"reserve-job ", RESERVE_JOB),
    (b"reserve", RESERVE),
    (b"delete ", DELETE),
    (b"release ", RELEASE),
    (b"bury ", BURY),
    (b"kick-job ", KICK_JOB),
    (b"kick ", KICK),
    (b"touch ", TOUCH),
    (b"stats-job ", STATS_JOB),
    (b"stats-tube ", STATS_TUBE),
    (b"stats", STATS),
    (b"use ", USE),
    (b"watch ", WATCH),
    (b"ignore ", IGNORE),
    (b"list-tubes-watched", LIST_TUBES_WATCHED),
    (b"list-tube-used", LIST_TUBE_USED),
    (b"list-tubes", LIST_TUBES),
    (b"quit", QUIT),
    (b"pause-tube", PAUSE_TUBE),
)
_BY_ID = frozenset((PEEK, RESERVE_JOB, DELETE, TOUCH, KICK_JOB, STATS_JOB))
_BY_NAME = frozenset((USE, WATCH, IGNORE, STATS_TUBE))
_BARE: dict[bytes, Command] = {
    word: (operation,)
    for word, operation in _PREFIXES
    if operation
    in (
        PEEK_READY,
        PEEK_DELAYED,
        PEEK_BURIED,
        RESERVE,
        STATS,
        LIST_TUBES,
        LIST_TUBE_USED,
        LIST_TUBES_WATCHED,
    )
}
# Where the table has the space behind the word, and the word ends there, no other can match.
_WITH_ARGUMENTS: dict[bytes, int] = {
    word[:-1]: operation
    for word, operation in _PREFIXES
    if word.endswith(b" ") and operation != PUT
}
# Lines of put that were seen: pri, delay, ttr, size. Most producers say the same one again and
# again (0.7 us less of each put).
_SEEN: dict[bytes, tuple[int, int, int, int]] = {}
SEEN_MAX = 256  # of them are kept
_HOT_BY_ID = {b"touch": TOUCH, b"peek": PEEK, b"reserve-job": RESERVE_JOB, b"stats-job": STATS_JOB}


def word_of(line: bytes) -> str:
    """The command word of any line, well-formed or not, as the C server logs it."""
    for word, operation in _PREFIXES:
        if line.startswith(word):
            return WORDS[operation]
    return "<unknown>"


def parse_line(line: bytes) -> Command:
    """Any line but put's (without its CRLF) to its command, by the C server's table."""
    if b"\0" in line:
        return _BAD_FORMAT
    for word, operation in _PREFIXES:
        if line.startswith(word):
            return _arguments(operation, line[len(word) :])
    return _UNKNOWN


def _arguments(operation: int, rest: bytes) -> Command:
    if operation in _BY_ID:
        return _numbers(operation, _NUMBERS_1, rest)
    if operation in _BY_NAME:
        return (operation, rest) if _NAME.match(rest) else _BAD_FORMAT
    if operation == RELEASE:
        return _numbers(operation, _NUMBERS_3, rest, delay_at=3)
    if operation == BURY:
        return _numbers(operation, _NUMBERS_2, rest)
    if operation == RESERVE_TIMEOUT:
        return _reserve_timeout(rest)
    if operation == KICK:
        return _kick(rest)
    if operation == PAUSE_TUBE:
        return _pause(rest)
    if operation == QUIT:
        return (QUIT,)
    return _BAD_FORMAT if rest else (operation,)


def _numbers(
    operation: int, pattern: "re.Pattern[bytes]", rest: bytes, delay_at: int = 0
) -> Command:
    """An id (u64), then numbers of 32 bits; the delay among them becomes nanoseconds."""
    match = pattern.match(rest)
    if not match:
        return _BAD_FORMAT
    values = [int(group) for group in match.groups()]
    if values[0] > U64 or max(values[1:], default=0) > U32:
        return _BAD_FORMAT
    if delay_at:
        values[delay_at - 1] *= SECOND
    return (operation, *values)


def _reserve_timeout(rest: bytes) -> Command:
    match = _NUMBER.match(rest)
    if not match or int(match[1]) > MAX_TIMEOUT_S:
        return _BAD_FORMAT
    return (RESERVE_TIMEOUT, int(match[1]) * SECOND)


def _kick(rest: bytes) -> Command:
    """The bound is read with strtoul and cut to 32 bits: `kick -1` means 4294967295."""
    match = _STRTOUL.match(rest)
    if not match or int(match[2]) > U64:
        return _BAD_FORMAT
    bound = int(match[2])
    return (KICK, (-bound if match[1] == b"-" else bound) & U32)


def _pause(rest: bytes) -> Command:
    match = _PAUSE.match(rest)
    # The name takes all it can: a number glued to it leaves none for the delay.
    if not match or rest[match.end(1) : match.start(2)] == b"" or int(match[2]) > U32:
        return _BAD_FORMAT
    if not _NAME.match(match[1]):
        return _BAD_PAUSE
    return (PAUSE_TUBE, match[1], int(match[2]) * SECOND)


class Parser:
    """Cuts one client's bytes into commands.

    `max_job_size` (bytes) decides when a put is too big: its body is skipped, not kept.
    What is buffered is bounded: a line of 224 bytes and one body, plus what one `feed` brought.
    """

    __slots__ = (
        "_buffer",
        "_position",
        "_max_job_size",
        "_long_line",
        "_skip",
        "_missing",
        "_collected",
        "_put",
    )

    def __init__(self, max_job_size: int) -> None:
        self._buffer = b""
        self._position = 0
        self._max_job_size = max_job_size
        self._long_line = False  # inside a line that is too long already
        self._skip = 0  # bytes of a body too big, still to come
        self._missing = 0  # bytes of a body (CRLF included) still to come
        self._collected = bytearray()  # what has come of it
        self._put: tuple[int, int, int] = (0, 0, 0)  # its pri, delay, ttr

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet taken as commands."""
        return len(self._buffer) - self._position

    @property
    def between_commands(self) -> bool:
        """Whether the next byte begins a line."""
        return not (self._skip or self._missing or self._long_line)

    @property
    def next_line(self) -> bytes | None:
        """The line that the next command begins with, if it is here as a whole and one begins here:
        for who wants to show it.
        """
        if not self.between_commands:
            return None
        line, end, _ = self._buffer[self._position : self._position + MAX_LINE].partition(b"\r\n")
        return line if end else None

    def feed(self, data: bytes) -> None:
        self._buffer = self._buffer[self._position :] + data if self._buffer else data
        self._position = 0

    def next_command(self) -> Command | None:
        """The next whole command, or None when more bytes must come first."""
        buffer = self._buffer
        start = self._position
        if self._missing or self._skip or self._long_line:
            return self._go_on() or self._none()
        if start == len(buffer):  # as _none does it: every batch ends so
            self._buffer = b""
            self._position = 0
            return None
        end = buffer.find(b"\r\n", start, start + MAX_LINE)
        if end < 0:
            if len(buffer) - start >= MAX_LINE:
                self._long_line = True
                self._position = start + MAX_LINE - 1  # its last byte may be the CR
                return self._go_on() or self._none()
            return self._none()
        self._position = end + 2
        line = buffer[start:end]
        if line.startswith(b"delete "):
            digits = line[7:]
            if digits.isdigit():
                number = int(digits)
                return (DELETE, number) if number <= U64 else _BAD_FORMAT
            return parse_line(line)
        bare = _BARE.get(line)
        if bare is not None:
            return bare
        put = _SEEN.get(line)
        if put is not None and put[3] <= self._max_job_size:
            pri, delay, ttr, size = put
            body_end = end + 2 + size
            if buffer.startswith(b"\r\n", body_end):
                self._position = body_end + 2
                return (PUT, pri, delay, ttr, buffer[end + 2 : body_end])
            return self._body(pri, delay, ttr, size)
        words = line.split(b" ", 5)
        word = words[0]
        if word == b"put":
            # The plain form first (0.6 us); whatever differs goes the exact and slower way (1.9
            # us).
            if (
                len(words) == 5
                and words[1].isdigit()
                and words[2].isdigit()
                and words[3].isdigit()
                and words[4].isdigit()
            ):
                pri = int(words[1])
                delay = int(words[2])
                ttr = int(words[3])
                size = int(words[4])
                if pri <= U32 and delay <= U32 and ttr <= U32 and size <= self._max_job_size:
                    if len(_SEEN) >= SEEN_MAX:
                        _SEEN.clear()
                    _SEEN[line] = put = (pri, delay * SECOND, (ttr or 1) * SECOND, size)
                    return self._body(*put)
            return self._odd_put(line)
        operation = _HOT_BY_ID.get(word)
        if operation is not None and len(words) == 2 and words[1].isdigit():
            number = int(words[1])
            return (operation, number) if number <= U64 else _BAD_FORMAT
        operation = _WITH_ARGUMENTS.get(word)
        if operation is not None and len(words) > 1 and b"\0" not in line:
            return _arguments(operation, line[len(word) + 1 :])
        return parse_line(line)

    def _none(self) -> Command | None:
        """Nothing to take as yet. What was taken must not cost memory while the client is silent:
        it may have been 64 kB.
        """
        if self._position:
            self._buffer = self._buffer[self._position :]
            self._position = 0
        return None

    def _odd_put(self, line: bytes) -> Command | None:
        if b"\0" in line:
            return _BAD_FORMAT
        if not line.startswith(b"put "):
            return _UNKNOWN
        match = _PUT.match(line, 4)
        if not match:
            return _BAD_FORMAT
        pri, delay, ttr, size = (int(match[i]) for i in (1, 2, 3, 4))
        if max(pri, delay, ttr, size) > U32:
            return _BAD_FORMAT
        if size > self._max_job_size:
            self._skip = size + 2
            return (COUNT, PUT)
        if match[5]:
            return _BAD_PUT
        return self._body(pri, delay * SECOND, (ttr or 1) * SECOND, size)

    def _body(self, pri: int, delay: int, ttr: int, size: int) -> Command:
        """The body is here as a whole in most cases; otherwise it is collected."""
        buffer = self._buffer
        start = self._position
        end = start + size
        if len(buffer) >= end + 2:
            self._position = end + 2
            if buffer[end : end + 2] != b"\r\n":
                self._put = (pri, delay, ttr)
                self._missing = -1
                return (PUT_BEGIN,)
            return (PUT, pri, delay, ttr, buffer[start:end])
        self._put = (pri, delay, ttr)
        self._missing = size + 2
        return (PUT_BEGIN,)

    def _go_on(self) -> Command | None:
        """Inside a body, a body too big or a line too long."""
        if self._missing:
            return self._collect()
        if self._skip:
            taken = min(self._skip, len(self._buffer) - self._position)
            self._position += taken
            self._skip -= taken
            return None if self._skip else (REPLY, replies.JOB_TOO_BIG)
        end = self._buffer.find(b"\r\n", self._position)
        if end < 0:
            self._position = max(
                self._position,
                len(self._buffer) - 1 if self._buffer.endswith(b"\r") else len(self._buffer),
            )
            return None
        self._position = end + 2
        self._long_line = False
        return _BAD_FORMAT

    def _collect(self) -> Command | None:
        if self._missing < 0:  # it came as a whole, but without its CRLF
            self._missing = 0
            return (PUT_ABORT, replies.EXPECTED_CRLF)
        chunk = self._buffer[self._position : self._position + self._missing]
        if chunk:
            self._position += len(chunk)
            self._missing -= len(chunk)
            self._collected += chunk
        if self._missing:
            return None
        collected = self._collected
        self._collected = bytearray()
        if not collected.endswith(b"\r\n"):
            return (PUT_ABORT, replies.EXPECTED_CRLF)
        del collected[-2:]  # in place: a body may be a gigabyte
        return (PUT_END, *self._put, bytes(collected))
