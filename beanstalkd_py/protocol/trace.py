"""What -VV prints: each command and each reply, in the format of the C server, which may change."""

from collections.abc import Callable

from beanstalkd_py.protocol.commands import Command
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.lines import word_of
from beanstalkd_py.protocol.session import Session

_WITH_BYTES = (b"RESERVED ", b"FOUND ", b"OK ")  # replies whose first line is followed by a body


class TracingSession(Session):
    """A session that prints its commands and replies. It is a separate class, so that tracing costs
    a plain session no time.
    """

    __slots__ = ("_fd", "_trace")

    def __init__(
        self, dispatcher: Dispatcher, owner: object, fd: int, trace: Callable[[str], None]
    ) -> None:
        super().__init__(dispatcher, owner)
        self._fd = fd
        self._trace = trace
        parser = self.parser
        next_command = parser.next_command

        def traced() -> Command | None:
            line = parser.next_line
            command = next_command()
            if command is not None and line is not None and b"\0" not in line:
                trace(f"<{fd} command {word_of(line)}")
            return command

        self._next_command = traced

    def take_output(self) -> bytes:
        for reply in self._output:
            line = reply.partition(b"\r\n")[0].decode("ascii", "replace")
            words = line.split()
            if words[0] == "INSERTED":
                self._trace(f"<{self._fd} job {words[1]}")
            self._trace(f">{self._fd} reply {line}")
            if reply.startswith(_WITH_BYTES):
                self._trace(f">{self._fd} job {words[1] if len(words) > 2 else 0}")
        return super().take_output()
