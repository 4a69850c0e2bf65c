"""The parser: one client's bytes in, commands out. No I/O, no clock, no knowledge of jobs.

`Parser.feed` takes bytes in any pieces; `Parser.next_command` gives the next whole command or None.
The commands are the same however the bytes are split. If the client pipelines, more commands may be
in `Parser.ahead` afterwards. A command is a tuple: its operation (an integer of `commands`), then
its arguments. An error of the client is a command too (`REPLY` with the bytes to send), so nothing
here raises.

Source: beanstalkd 1.13, doc/protocol.txt and prot.c: lines of at most 224 bytes. One difference: a
line ends at the first CRLF, also after a lone CR.
"""

from typing import Final

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.bodies import (
    BAD_BODY,
    BODY,
    IN_LINE,
    LONG_LINE,
    LOST_BODY,
    MAX_LINE,
    Bodies,
)
from beanstalkd_py.protocol.commands import (
    COMMANDS,
    COUNT,
    DELETE,
    ID,
    OTHER_PUT_BEGIN,
    OTHER_PUT_END,
    OTHER_PUTS,
    PUT,
    PUT_BEGIN,
    PUT_END,
    REPLY,
    U64,
    Command,
    Form,
)
from beanstalkd_py.protocol.known import KNOWN, plain_put, run_of_commands
from beanstalkd_py.protocol.lines import (
    BAD_FORMAT,
    BAD_PUT,
    parse_arguments,
    parse_line,
    parse_put,
    size_in,
)

_D: Final = ord("d")

# By the word without the space at its end.
_BY_ID: dict[bytes, int] = {
    row.word[:-1]: operation for operation, row in enumerate(COMMANDS) if row.arguments == (ID,)
}
_WITH_ARGUMENTS: dict[bytes, int] = {
    row.word.rstrip(): operation
    for operation, row in enumerate(COMMANDS)
    if row.arguments and row.form not in (Form.PUT, Form.STRICT, Form.OPTIONS)
}


class Parser(Bodies):
    """Splits one client's bytes into commands."""

    __slots__ = ()

    @property
    def next_line(self) -> bytes | None:
        """The line of the next command, for a trace. None if it is not complete, or if a body comes
        first.
        """
        if self._within != IN_LINE:
            return None
        line, end, _ = self._buffer[self._position : self._position + MAX_LINE].partition(b"\r\n")
        return line if end else None

    def next_command(self) -> Command | None:
        """Returns the next whole command, or None if more bytes are needed. The caller first takes
        all of `ahead`.
        """
        if self._within:
            return self._continue() or self._need_more()
        buffer = self._buffer
        start = self._position
        if start == len(buffer):  # as in _need_more, without the call: frequent
            self._buffer = b""
            self._position = 0
            self.unfinished = 0
            return None
        if 0 < start < self._runs_before and self._find_run(start):
            for command in self.ahead:
                return command
        end = buffer.find(b"\r\n", start, start + MAX_LINE)
        if end < 0:
            if len(buffer) - start >= MAX_LINE:
                self._within = LONG_LINE
                self._begin()
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
        known = KNOWN.get(line)
        if known is not None:
            if known[0] != PUT:
                return known
            operation, pri, delay, ttr, size = known
            if size <= self.max_job_size:
                body_end = end + 2 + size
                if buffer.startswith(b"\r\n", body_end):
                    self._position = body_end + 2
                    try:
                        return (operation, pri, delay, ttr, buffer[end + 2 : body_end])
                    except MemoryError:
                        return self._lose_whole_body()
                return self._body(pri, delay, ttr, size)
        words = line.split(b" ", 5)
        word = words[0]
        if word == b"put":
            known = plain_put(line, words, self.max_job_size)
            if known is None:
                return self._unusual_put(line)
            _, pri, delay, ttr, size = known
            return self._body(pri, delay, ttr, size)
        operation = _BY_ID.get(word)
        if operation is not None and len(words) == 2 and words[1].isdigit():
            number = int(words[1])
            return (operation, number) if number <= U64 else BAD_FORMAT
        operation = _WITH_ARGUMENTS.get(word)
        if operation is not None and len(words) > 1 and b"\0" not in line:
            return parse_arguments(operation, line[len(word) + 1 :])
        operation = OTHER_PUTS.get(word)
        return parse_line(line) if operation is None else self._other_put(operation, line)

    def _find_run(self, start: int) -> bool:
        """Puts a run of commands into `ahead`. False if there is none at `start`."""
        try:
            commands, end = run_of_commands(self._buffer, start, self.max_job_size)
        except MemoryError:
            commands, end = [], start
        self._runs_before = len(self._buffer) if commands else 0
        self._position = end
        self._ahead_bytes = end - start
        self.ahead = iter(commands)
        return bool(commands)

    # --- put --------------------------------------------------------------------------------------

    def _unusual_put(self, line: bytes) -> Command:
        command = parse_put(line)
        if command[0] == REPLY:
            return command
        size: int = command[-1]
        if size > self.max_job_size:
            self._skip(size, (REPLY, replies.JOB_TOO_BIG))
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
            self._left = size + 2
            self._begin()
            self._within = BODY if self._has_buffer(size + 2) else LOST_BODY
        else:
            self._position = end + 2
            if buffer[end : end + 2] == b"\r\n":
                try:
                    return (PUT, pri, delay, ttr, buffer[start:end])
                except MemoryError:
                    return self._lose_whole_body()
            self._within = BAD_BODY
        self._put = (PUT_END, pri, delay, ttr)
        return (PUT_BEGIN,)

    def _other_put(self, operation: int, line: bytes) -> Command | None:
        """A put of an extension. The body of a malformed line is skipped too, if the line has the
        size of one.
        """
        command = parse_line(line)
        if command[0] == operation:
            size: int = command[-1]
            if size > self.max_job_size:
                self._skip(size, (REPLY, replies.JOB_TOO_BIG))
                return (COUNT, operation)
            self._put = (OTHER_PUT_END, *command[:-1])
            self._left = size + 2
            self._begin()
            self._within = BODY if self._has_buffer(size + 2) else LOST_BODY
            return (OTHER_PUT_BEGIN, operation)
        skipped = size_in(operation, line)
        if skipped is None:
            return command
        self._skip(skipped, command)
        return self._continue() or self._need_more()
