"""Tracks what each client of the judge has sent, and what the servers replied.

The tracker knows the protocol, but no server: its owner reports what was sent and received.
`replies_due` and `is_waiting` are exact. `reserved` and `ids` are what a client concludes from the
replies it has received.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import combinations

from beanstalkd_py.protocol.commands import (
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

UNANSWERED = (PUT_BEGIN, COUNT, QUIT)


class Client:
    """One connection."""

    def __init__(self, max_job_size: int) -> None:
        self.lines = Lines(max_job_size)
        self.pending: deque[Command] = deque()  # complete commands without a reply
        self.watched = [b"default"]
        self.used = b"default"
        self.reserved: list[int] = []
        self.quits = False
        self.half_closed = False  # its sending side is shut down
        self.wait_is_known = False
        self.has_stale_timeout = (
            False  # the C server may still use the timeout of its last reserve (row lost-ttr)
        )

    @property
    def is_waiting(self) -> bool:
        """The next reply comes with a job or at the end of the timeout."""
        return bool(self.pending) and may_wait(self.pending[0])

    @property
    def replies_due(self) -> int:
        """The number of replies that the server sends without waiting."""
        return 0 if self.is_waiting else len(self.pending)

    @property
    def must_be_closed(self) -> bool:
        """The server must have closed the connection."""
        return self.half_closed or (self.quits and not self.pending)

    @property
    def waiting_tubes(self) -> frozenset[bytes]:
        """The tubes that the client may wait for; empty if it does not wait."""
        return waiting_tubes(self.watched, self.pending)

    def sent(self, data: bytes) -> list[Line]:
        """Returns the lines that end in `data`."""
        lines = self.lines.feed(data)
        for line in lines:
            if self.quits:
                break
            self.quits = line.command[0] == QUIT
            if line.command[0] not in UNANSWERED:
                self.pending.append(line.command)
        return lines

    def received(self, reply: bytes) -> Command | None:
        """Handles one reply. Returns the command that it belongs to, if there is one."""
        if not self.pending:
            return None
        command = self.pending.popleft()
        self.wait_is_known = False
        words = reply.split(None, 2)
        if words[0] in (b"RESERVED", b"TIMED_OUT", b"DEADLINE_SOON"):
            self.has_stale_timeout = words[0] == b"DEADLINE_SOON" and (
                self.has_stale_timeout or command[0] == RESERVE_TIMEOUT
            )
        if words[0] == b"RESERVED":
            self.reserved.append(int(words[1]))
        elif words[0] in (b"DELETED", b"RELEASED", b"BURIED") and command[1] in self.reserved:
            self.reserved.remove(command[1])
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


def waiting_tubes(watched: list[bytes], commands: Iterable[Command]) -> frozenset[bytes]:
    """The tubes that a client may wait for, given its watch list and its next commands."""
    commands = list(commands)
    if not any(map(may_wait, commands)):
        return frozenset()
    return frozenset(watched).union(command[1] for command in commands if command[0] == WATCH)


class Tracker:
    def __init__(self, max_job_size: int) -> None:
        self.max_job_size = max_job_size
        self.clients: dict[str, Client] = {}
        self.ids: list[int] = []  # of all jobs
        self.commands = 0  # lines sent by all clients

    def opened(self, name: str) -> None:
        self.clients[name] = Client(self.max_job_size)

    def closed(self, name: str) -> None:
        self.clients.pop(name, None)

    def sent(self, name: str, data: bytes) -> list[Line]:
        lines = self.clients[name].sent(data)
        self.commands += sum(1 for line in lines if line.data)
        return lines

    def received(self, name: str, reply: bytes) -> Command | None:
        if reply.startswith(b"INSERTED "):
            self.ids.append(int(reply.split()[1]))
        client = self.clients.get(name)
        return client.received(reply) if client else None

    def is_tube_shared(self) -> bool:
        """Whether two clients may wait for the same tube."""
        return any(
            one.waiting_tubes & other.waiting_tubes
            for one, other in combinations(self.clients.values(), 2)
        )
