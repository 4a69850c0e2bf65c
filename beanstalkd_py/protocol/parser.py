"""The parser: one client's bytes in, commands out. No I/O, no clock, no knowledge of jobs.

`Parser.feed` takes bytes in any pieces; `Parser.next_command` gives the next whole command or None.
The commands are the same however the bytes are split. A command is a tuple: its operation (an
integer of `commands`), then its arguments. An error of the client is a command too (`REPLY` with
the bytes to send), so nothing here raises.

Source: beanstalkd 1.13, doc/protocol.txt and prot.c: lines of at most 224 bytes. One difference: a
line ends at the first CRLF, also after a lone CR.
"""

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.commands import (
    COMMANDS,
    COUNT,
    DELETE,
    ID,
    PUT,
    PUT_ABORT,
    PUT_BEGIN,
    PUT_END,
    REPLY,
    SECOND,
    U32,
    U64,
    Command,
    Form,
)
from beanstalkd_py.protocol.lines import (
    BAD_FORMAT,
    BAD_PUT,
    parse_arguments,
    parse_line,
    parse_put,
)

MAX_LINE = 224  # bytes, CRLF included (the C server's LINE_BUF_SIZE)

_D = ord("d")
# What the next byte belongs to.
_LINE, _LONG_LINE, _SKIPPED_BODY, _BODY, _BAD_BODY = range(5)

# Lines whose command is looked up without parsing: the lines of commands without arguments, and a
# cache of lines of put, as (PUT, pri, delay, ttr, size). Most producers repeat one line, which
# saves 0.7 us per put.
_EXACT: dict[bytes, Command] = {
    row.word: (operation,)
    for operation, row in enumerate(COMMANDS)
    if not row.arguments and row.form is Form.PLAIN
}
_KNOWN: dict[bytes, Command] = dict(_EXACT)
KNOWN_MAX = 256  # lines in `_KNOWN`, which is then cleared
# By the word without the space at its end.
_BY_ID: dict[bytes, int] = {
    row.word[:-1]: operation for operation, row in enumerate(COMMANDS) if row.arguments == (ID,)
}
_WITH_ARGUMENTS: dict[bytes, int] = {
    row.word[:-1]: operation
    for operation, row in enumerate(COMMANDS)
    if row.word.endswith(b" ") and row.form is not Form.PUT
}


class Parser:
    """Splits one client's bytes into commands.

    `max_job_size` (bytes): the body of a larger put is skipped. The buffer is bounded: a line of
    224 bytes, one body, and the data of one `feed`.
    """

    __slots__ = ("_buffer", "_collected", "_left", "_max_job_size", "_position", "_put", "_within")

    def __init__(self, max_job_size: int) -> None:
        self._buffer = b""
        self._position = 0
        self._max_job_size = max_job_size
        self._within = _LINE
        self._left = 0  # missing bytes of the body, CRLF included
        self._collected = bytearray()  # of a body that comes in pieces
        self._put: tuple[int, int, int] = (0, 0, 0)  # its pri, delay, ttr

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet taken as commands."""
        return len(self._buffer) - self._position

    @property
    def between_commands(self) -> bool:
        """Whether the next byte begins a line."""
        return self._within == _LINE

    @property
    def next_line(self) -> bytes | None:
        """The line of the next command, for a trace. None if it is not complete, or if a body comes
        first.
        """
        if self._within != _LINE:
            return None
        line, end, _ = self._buffer[self._position : self._position + MAX_LINE].partition(b"\r\n")
        return line if end else None

    def feed(self, data: bytes) -> None:
        """More bytes from the client."""
        self._buffer = self._buffer[self._position :] + data if self._buffer else data
        self._position = 0

    def next_command(self) -> Command | None:
        """Returns the next whole command, or None if more bytes are needed."""
        if self._within:
            return self._continue() or self._need_more()
        buffer = self._buffer
        start = self._position
        if start == len(buffer):  # as in _need_more, without the call: frequent
            self._buffer = b""
            self._position = 0
            return None
        end = buffer.find(b"\r\n", start, start + MAX_LINE)
        if end < 0:
            if len(buffer) - start >= MAX_LINE:
                self._within = _LONG_LINE
                self._position = start + MAX_LINE - 1  # its last byte may be the CR
                return self._continue() or self._need_more()
            return self._need_more()
        self._position = end + 2
        line = buffer[start:end]
        if buffer[start] == _D and line.startswith(b"delete "):
            digits = line[7:]
            if digits.isdigit():
                number = int(digits)
                return (DELETE, number) if number <= U64 else BAD_FORMAT
            return parse_line(line)
        known = _KNOWN.get(line)
        if known is not None:
            if known[0] != PUT:
                return known
            operation, pri, delay, ttr, size = known
            if size <= self._max_job_size:
                body_end = end + 2 + size
                if buffer.startswith(b"\r\n", body_end):
                    self._position = body_end + 2
                    return (operation, pri, delay, ttr, buffer[end + 2 : body_end])
                return self._body(pri, delay, ttr, size)
        words = line.split(b" ", 5)
        word = words[0]
        if word == b"put":
            return self._plain_put(line, words) or self._unusual_put(line)
        operation = _BY_ID.get(word)
        if operation is not None and len(words) == 2 and words[1].isdigit():
            number = int(words[1])
            return (operation, number) if number <= U64 else BAD_FORMAT
        operation = _WITH_ARGUMENTS.get(word)
        if operation is not None and len(words) > 1 and b"\0" not in line:
            return parse_arguments(operation, line[len(word) + 1 :])
        return parse_line(line)

    def _need_more(self) -> Command | None:
        """More bytes are needed. Drops the bytes that were parsed: while the client is silent, up
        to 64 kB would stay in memory.
        """
        if self._position:
            self._buffer = self._buffer[self._position :]
            self._position = 0
        return None

    # --- put --------------------------------------------------------------------------------------

    def _plain_put(self, line: bytes, words: list[bytes]) -> Command | None:
        """The usual form of a put line: four numbers, with one space before each. None if the line
        has another form. This takes 0.6 us; `parse_put` takes 1.9 us.
        """
        if not (
            len(words) == 5
            and words[1].isdigit()
            and words[2].isdigit()
            and words[3].isdigit()
            and words[4].isdigit()
        ):
            return None
        pri = int(words[1])
        delay = int(words[2])
        ttr = int(words[3])
        size = int(words[4])
        if pri > U32 or delay > U32 or ttr > U32 or size > self._max_job_size:
            return None
        delay *= SECOND
        ttr = (ttr or 1) * SECOND
        if len(_KNOWN) >= KNOWN_MAX:
            _KNOWN.clear()
            _KNOWN.update(_EXACT)
        _KNOWN[line] = (PUT, pri, delay, ttr, size)
        return self._body(pri, delay, ttr, size)

    def _unusual_put(self, line: bytes) -> Command:
        command = parse_put(line)
        if command[0] == REPLY:
            return command
        size: int = command[-1]
        if size > self._max_job_size:
            self._within = _SKIPPED_BODY
            self._left = size + 2
            return (COUNT, PUT)
        if command[0] != PUT:
            return BAD_PUT
        _, pri, delay, ttr, _ = command
        return self._body(pri, delay, ttr, size)

    def _body(self, pri: int, delay: int, ttr: int, size: int) -> Command:
        """Takes the body if it is complete, as in most cases; else begins to collect it."""
        buffer = self._buffer
        start = self._position
        end = start + size
        if len(buffer) < end + 2:
            self._within = _BODY
            self._left = size + 2
        else:
            self._position = end + 2
            if buffer[end : end + 2] == b"\r\n":
                return (PUT, pri, delay, ttr, buffer[start:end])
            self._within = _BAD_BODY
        self._put = (pri, delay, ttr)
        return (PUT_BEGIN,)

    # --- bodies in pieces, and lines that are too long --------------------------------------------

    def _continue(self) -> Command | None:
        within = self._within
        if within == _BODY:
            return self._collect()
        if within == _BAD_BODY:
            self._within = _LINE
            return (PUT_ABORT, replies.EXPECTED_CRLF)
        return self._skip_body() if within == _SKIPPED_BODY else self._skip_line()

    def _skip_body(self) -> Command | None:
        taken = min(self._left, len(self._buffer) - self._position)
        self._position += taken
        self._left -= taken
        if self._left:
            return None
        self._within = _LINE
        return (REPLY, replies.JOB_TOO_BIG)

    def _skip_line(self) -> Command | None:
        end = self._buffer.find(b"\r\n", self._position)
        if end < 0:
            length = len(self._buffer)
            kept = 1 if self._buffer.endswith(b"\r") else 0
            self._position = max(self._position, length - kept)
            return None
        self._position = end + 2
        self._within = _LINE
        return BAD_FORMAT

    def _collect(self) -> Command | None:
        chunk = self._buffer[self._position : self._position + self._left]
        if chunk:
            self._position += len(chunk)
            self._left -= len(chunk)
            self._collected += chunk
        if self._left:
            return None
        self._within = _LINE
        collected = self._collected
        self._collected = bytearray()
        if not collected.endswith(b"\r\n"):
            return (PUT_ABORT, replies.EXPECTED_CRLF)
        del collected[-2:]  # in place: a body may be a gigabyte
        return (PUT_END, *self._put, bytes(collected))
