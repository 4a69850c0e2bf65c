"""The bytes of one client that are not parsed yet: the buffer, bodies that come in pieces or are
skipped, and lines that are too long. `parser` takes the commands from them. No I/O, no clock.

Without memory for a body, or above the limit on memory, the body is read and dropped, and the reply
is OUT_OF_MEMORY.
"""

from collections.abc import Iterator
from io import SEEK_CUR, BytesIO
from operator import length_hint
from typing import Final

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.commands import PUT_ABORT, PUT_BEGIN, Command
from beanstalkd_py.protocol.known import RUN_START
from beanstalkd_py.protocol.lines import BAD_FORMAT
from beanstalkd_py.queue.memory import PROBED_BODY, MemoryReserve

MAX_LINE: Final = 224  # bytes, CRLF included (the C server's LINE_BUF_SIZE)
# The buffer of a body of this size is allocated at once, so that a lack of memory shows before it
# concerns other clients. The system gives the pages one by one, as they are written to. The buffers
# of smaller bodies grow.
LARGE_BODY: Final = 1 << 20

# What the next byte belongs to.
IN_LINE: Final = 0
LONG_LINE: Final = 1
SKIPPED_BODY: Final = 2
LOST_BODY: Final = 3
BODY: Final = 4
BAD_BODY: Final = 5


class Bodies:
    """Takes bytes in any pieces.

    `max_job_size` (bytes): the body of a larger put is skipped. The owner may change it at any
    time; a body that is being received goes on. The buffer is bounded: a line of 224 bytes, one
    body, and the data of one `feed`.

    runs: whether runs of commands are put into `ahead`. ahead: commands of the latest run that were
    not taken yet. They come before all other commands.

    unfinished: when all whole commands are taken, a number for the line or body that has begun,
    which no other line or body had before. 0 if nothing has begun.
    """

    __slots__ = (
        "_after", "_ahead_bytes", "_begun", "_buffer", "_collected", "_counted", "_left", "_memory",
        "_position", "_put", "_run_start", "_runs_before", "_within", "ahead", "max_job_size",
        "unfinished",
    )  # fmt: skip

    def __init__(
        self, max_job_size: int, memory: MemoryReserve | None = None, runs: bool = False
    ) -> None:
        self._buffer = b""
        self._position = 0
        self.max_job_size = max_job_size
        self._within = IN_LINE
        self._left = 0  # missing bytes of the body, CRLF included
        self._memory = MemoryReserve() if memory is None else memory
        self._collected: BytesIO | None = None  # of a body that comes in pieces
        self._counted = 0  # its bytes in `MemoryReserve.receiving`
        self._put: Command = ()  # without its body
        self._after: Command = ()  # follows a body that is skipped
        self.ahead: Iterator[Command] = iter(())
        self._ahead_bytes = 0  # of the latest run
        self._run_start = RUN_START if runs else 0
        self._runs_before = 0  # a run of commands may begin at a position below
        self._begun = 0  # lines and bodies that were unfinished
        self.unfinished = 0

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet taken as commands. A run counts as a whole until all its commands
        are taken.
        """
        ahead = self._ahead_bytes if length_hint(self.ahead) else 0
        return len(self._buffer) - self._position + ahead

    @property
    def between_commands(self) -> bool:
        """Whether the next byte begins a line."""
        return self._within == IN_LINE

    def feed(self, data: bytes) -> None:
        """More bytes from the client. After a MemoryError the bytes are not taken."""
        if self._buffer:
            if self._position:
                self.unfinished = 0  # commands were taken, but not yet all
            self._buffer = self._buffer[self._position :] + data
        else:
            self._buffer = data
        self._position = 0
        self._runs_before = self._run_start

    def _need_more(self) -> Command | None:
        """More bytes are needed. Drops the bytes that were parsed: while the client is silent, up
        to 64 kB would stay in memory.
        """
        if self._within == IN_LINE and (self._position or not self.unfinished):
            self._begin()
        if self._position:
            try:
                self._buffer = self._buffer[self._position :]
                self._position = 0
            except MemoryError:
                pass  # they stay until the next feed
        return None

    def _begin(self) -> None:
        """A line or a body has begun, and more bytes of it are needed."""
        self._begun += 1
        self.unfinished = self._begun

    def _skip(self, size: int, after: Command) -> None:
        """Skips a body of this size. `after` follows."""
        self._within = SKIPPED_BODY
        self._left = size + 2
        self._after = after
        self._begin()

    # --- what has begun

    def _continue(self) -> Command | None:
        within = self._within
        if within == BODY:
            return self._collect()
        if within == BAD_BODY:
            self._within = IN_LINE
            return (PUT_ABORT, replies.EXPECTED_CRLF)
        return self._skip_line() if within == LONG_LINE else self._skip_body()

    def _skip_body(self) -> Command | None:
        taken = min(self._left, len(self._buffer) - self._position)
        self._position += taken
        self._left -= taken
        if self._left:
            return None
        lost = self._within == LOST_BODY
        self._within = IN_LINE
        return (PUT_ABORT, replies.OUT_OF_MEMORY) if lost else self._after

    def _skip_line(self) -> Command | None:
        end = self._buffer.find(b"\r\n", self._position)
        if end < 0:
            length = len(self._buffer)
            kept = 1 if self._buffer.endswith(b"\r") else 0
            self._position = max(self._position, length - kept)
            return None
        self._position = end + 2
        self._within = IN_LINE
        return BAD_FORMAT

    def _has_buffer(self, nbytes: int) -> bool:
        """Makes the buffer of a body that comes in pieces. False if there is no memory for it."""
        memory = self._memory
        if memory.exceeds_limit(nbytes):
            return False
        if (memory.short or nbytes > PROBED_BODY) and not memory.has_room():
            return False
        try:
            # BytesIO takes over the bytes object without a copy, and gives it back without one.
            large = nbytes >= LARGE_BODY
            self._collected = BytesIO(memory.allocate(nbytes)) if large else BytesIO()
        except MemoryError:
            memory.refused += 1
            return False
        return True

    def _collect(self) -> Command | None:
        collected = self._collected
        assert collected is not None
        start = self._position
        try:
            chunk = self._buffer[start : start + self._left]
            collected.write(chunk)
            nbytes = len(chunk)
            self._position = start + nbytes
            self._left -= nbytes
            if not self._left:
                return self._end_of_body(collected)
        except MemoryError:
            self._memory.refuse()
            return self._lose_body()
        if not self._memory.may_receive(nbytes):
            return self._lose_body()
        self._counted += nbytes
        return None

    def _end_of_body(self, collected: BytesIO) -> Command:
        collected.seek(-2, SEEK_CUR)
        size = collected.tell()
        whole = collected.read(2) == b"\r\n"
        collected.truncate(size)
        command: Command = (PUT_ABORT, replies.EXPECTED_CRLF)
        if whole:
            command = (*self._put, collected.getvalue())
        self.drop_body()
        self._within = IN_LINE
        return command

    def drop_body(self) -> None:
        """Forgets the body that comes in pieces, if there is one: it is complete, lost, or its
        client is.
        """
        self._collected = None
        self._memory.receiving -= self._counted
        self._counted = 0

    def _lose_body(self) -> Command | None:
        """There is no memory for more of the body that is coming. The rest of it is skipped."""
        self.drop_body()
        self._within = LOST_BODY
        return self._skip_body()

    def _lose_whole_body(self) -> Command:
        """Memory ran out for a body that came in one piece, which is skipped already."""
        self._memory.refuse()
        self._left = 0
        self._within = LOST_BODY
        return (PUT_BEGIN,)
