"""What -V and -VV print: pid, sockets, and each command and reply. The format is the C server's, and as unstable as it says."""

from collections.abc import Callable

from . import protocol
from .engine import Engine
from .session import Session

_LONG = (b"RESERVED ", b"FOUND ", b"OK ")  # replies whose first line is followed by bytes


class TracingSession(Session):
    """A session that says what it is told and what it answers. Slower, and apart, so that the plain one pays nothing."""

    __slots__ = ("_fd", "_trace")

    def __init__(self, engine: Engine, owner: object, fd: int, trace: Callable[[str], None]) -> None:
        super().__init__(engine, owner)
        self._fd = fd
        self._trace = trace
        next_command = self.parser.next_command

        def traced() -> protocol.Command | None:
            command = next_command()
            if command is not None:
                operation = protocol.PUT if command[0] == protocol.PUT_BEGIN else command[0]
                if operation < len(protocol.WORDS):
                    trace(f"<{fd} command {protocol.WORDS[operation]}")
            return command

        self._next_command = traced

    def take_output(self) -> bytes:
        for reply in self._output:
            line = reply.partition(b"\r\n")[0].decode("ascii", "replace")
            self._trace(f">{self._fd} reply {line}")
            if reply.startswith(_LONG[:2]):
                self._trace(f">{self._fd} job {line.split()[1]}")
        return super().take_output()
