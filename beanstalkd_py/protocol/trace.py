"""What -VV prints: each command and each reply, in the format of the C server, which may change."""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.protocol.commands import Command
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.lines import word_of
from beanstalkd_py.protocol.parser import Parser
from beanstalkd_py.protocol.session import Session

# Replies whose first line is followed by a body.
_WITH_BYTES: Final = (b"RESERVED ", b"FOUND ", b"OK ")


class TracingSession(Session):
    """A session that prints its commands and replies. It is a separate class, so that tracing costs
    a plain session no time.
    """

    __slots__ = ("_fd", "_trace", "_traced")

    def __init__(
        self, dispatcher: Dispatcher, owner: object, fd: int, trace: Callable[[str], None]
    ) -> None:
        super().__init__(dispatcher, owner)
        self._fd = fd
        self._trace = trace
        self._traced = 0  # pieces at the head of `output` that were traced before
        self.parser = parser = Parser(dispatcher.max_job_size, dispatcher.queue.memory)  # no runs
        next_command = parser.next_command

        def traced() -> Command | None:
            line = parser.next_line
            command = next_command()
            if command is not None and line is not None and b"\0" not in line:
                trace(f"<{fd} command {word_of(line)}")
            return command

        self._next_command = traced

    def take_output(self) -> bytes:
        output = self.output
        while self._traced < len(output):
            self._traced += self._trace_reply(output[self._traced])
        data = super().take_output()
        self._traced = len(output)
        return data

    def _trace_reply(self, reply: bytes) -> int:
        """Returns the number of pieces of the reply. One with a long body has three."""
        first, _, rest = reply.partition(b"\r\n")
        line = first.decode("ascii", "replace")
        words = line.split()
        if words[0] == "INSERTED":
            self._trace(f"<{self._fd} job {words[1]}")
        self._trace(f">{self._fd} reply {line}")
        if not reply.startswith(_WITH_BYTES):
            return 1
        self._trace(f">{self._fd} job {words[1] if len(words) > 2 else 0}")
        return 1 if rest else 3
