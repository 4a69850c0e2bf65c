"""What the judge knows of each client: what it sent, what is answered, what it watches, whether it
waits, which jobs it got.

May know: the protocol. Knows nothing of servers: it is told what was sent and what was answered.
Promises: `owed` and `waits` are exact; `held` and `ids` are what an attentive client would believe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import combinations

from beanstalkd_py.protocol.parser import (
    COUNT,
    IGNORE,
    PUT_BEGIN,
    QUIT,
    RESERVE,
    RESERVE_TIMEOUT,
    USE,
    WATCH,
    Command,
)

from .lines import Line, Lines

_UNANSWERED = (PUT_BEGIN, COUNT, QUIT)


class Client:
    """One connection."""

    def __init__(self, max_job_size: int) -> None:
        self.lines = Lines(max_job_size)
        self.pending: deque[Command] = deque()  # sent as a whole, not answered
        self.watched = [b"default"]
        self.used = b"default"
        self.held: list[int] = []
        self.quits = False  # its last line says so
        self.shut = False  # it has shut down its side
        self.wait_is_known = False
        self.stale = (
            False  # the C server still has the timeout of its last reserve in mind (row lost-ttr)
        )

    @property
    def waits(self) -> bool:
        """The next answer comes when a job does, or the time is up."""
        return bool(self.pending) and may_wait(self.pending[0])

    @property
    def owed(self) -> int:
        """Answers that should be here at once."""
        return 0 if self.waits else len(self.pending)

    @property
    def is_through(self) -> bool:
        """The server must have closed the connection."""
        return self.shut or (self.quits and not self.pending)

    @property
    def reach(self) -> frozenset[bytes]:
        """The tubes that it may wait for, as far as it has spoken. Empty if it does not wait."""
        return reach(self.watched, self.pending)

    def sends(self, data: bytes) -> list[Line]:
        """Returns the lines that end in this."""
        lines = self.lines.feed(data)
        for line in lines:
            if self.quits:
                break
            self.quits = line.command[0] == QUIT
            if line.command[0] not in _UNANSWERED:
                self.pending.append(line.command)
        return lines

    def hears(self, reply: bytes) -> Command | None:
        """One answer. Returns the command that it answers, if there is one."""
        if not self.pending:
            return None
        command = self.pending.popleft()
        self.wait_is_known = False
        words = reply.split(None, 2)
        if words[0] in (b"RESERVED", b"TIMED_OUT", b"DEADLINE_SOON"):
            self.stale = words[0] == b"DEADLINE_SOON" and (
                self.stale or command[0] == RESERVE_TIMEOUT
            )
        if words[0] == b"RESERVED":
            self.held.append(int(words[1]))
        elif words[0] in (b"DELETED", b"RELEASED", b"BURIED") and command[1] in self.held:
            self.held.remove(command[1])
        elif words[0] == b"WATCHING":
            self._watches(command)
        elif words[0] == b"USING" and command[0] == USE:
            self.used = command[1]
        return command

    def _watches(self, command: Command) -> None:
        if command[0] == WATCH and command[1] not in self.watched:
            self.watched.append(command[1])
        elif command[0] == IGNORE and command[1] in self.watched:
            self.watched.remove(command[1])


def may_wait(command: Command) -> bool:
    return command[0] == RESERVE or (command[0] == RESERVE_TIMEOUT and bool(command[1]))


def reach(watched: list[bytes], commands: Iterable[Command]) -> frozenset[bytes]:
    """The tubes that a client may wait for who watches these and says that."""
    commands = list(commands)
    if not any(map(may_wait, commands)):
        return frozenset()
    return frozenset(watched).union(command[1] for command in commands if command[0] == WATCH)


class Book:
    def __init__(self, max_job_size: int) -> None:
        self.max_job_size = max_job_size
        self.clients: dict[str, Client] = {}
        self.ids: list[int] = []  # of all jobs ever put
        self.commands = 0  # lines sent by anybody

    def opens(self, name: str) -> None:
        self.clients[name] = Client(self.max_job_size)

    def leaves(self, name: str) -> None:
        self.clients.pop(name, None)

    def sends(self, name: str, data: bytes) -> list[Line]:
        lines = self.clients[name].sends(data)
        self.commands += sum(1 for line in lines if line.data)
        return lines

    def hears(self, name: str, reply: bytes) -> Command | None:
        if reply.startswith(b"INSERTED "):
            self.ids.append(int(reply.split()[1]))
        client = self.clients.get(name)
        return client.hears(reply) if client else None

    def crowded(self) -> bool:
        """Whether two clients may wait for the same tube."""
        return any(one.reach & other.reach for one, other in combinations(self.clients.values(), 2))
