"""Mixes extension commands into what the clients of our server send. The replies to the commands of
the C server must stay as they are.

Mixed in are commands that change nothing which a command of the C server shows: queries, malformed
lines, policies without an effect, and commands on jobs or tubes that do not exist. A client that
has said `capabilities` gets further keys at the end of stats replies; these are cut off.

The module knows the protocol, but no server. A mixer is a function of its seed and of what is sent.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from random import Random

from beanstalkd_py.protocol.commands import QUIT

from .commands import TUBES
from .lines import Lines
from .tracker import UNANSWERED

SHARE = 0.3  # of commands that an extension command precedes
STATES = (b"ready", b"delayed", b"buried", b"reserved")
LARGE = 4_000_000_000
POLICIES = (
    b"max-jobs=%d" % LARGE, b"max-bytes=%d" % LARGE, b"max-reserved=%d" % LARGE,
    b"max-attempts=%d dead-tube=d" % LARGE, b"dead-tube=d", b"expire=%d" % LARGE,
    b"max-jobs= max-bytes=0 max-reserved= max-attempts=0 dead-tube= expire=0",
)  # fmt: skip
PLAIN = (
    b"capabilities", b"ping", b"ping ", b"pingpong", b"drain status", b"drain now",
    b"list-connections", b"stats-conn", b"stats-conn 1", b"stats-conn 4294967295", b"stats-conn x",
    b"stats-tube-all", b"reserve-batch 0 0", b"reserve-batch 501 0", b"reserve-batch 1",
    b"put-with", b"put-with 0 0 1 x key=k", b"put-with 0 0 60 4 kay=k\r\nbody",
    b"put-with 0 0 60 4 key=k key=k\r\nquit", b"put-with 0 1 60 4 at=1\r\n\r\n\r\n",
    b"put-in-tube -a 0 0 60 6\r\nping\r\n", b"put-in-tube a 0 0 60", b"list-jobs a", b"truncate",
    b"move-job 18446744073709551615 a", b"move-job 1", b"set-tube a max-jobs", b"set-tube a",
    b"truncate nowhere", b"kick-tube nowhere 10", b"move-jobs nowhere ready a 10",
)  # fmt: skip
_ON_TUBES: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    lambda rng, state, tube: b"list-jobs %b %b" % (tube[:100], state),
    lambda rng, state, tube: b"list-jobs %b %b %d 3.1" % (tube[:100], state, rng.choice((1, 1000))),
    lambda rng, state, tube: b"peek-tube %b %b" % (tube, state),
    lambda rng, state, tube: b"kick-tube %b 0" % tube,
    lambda rng, state, tube: b"truncate %b reserved" % tube,
    lambda rng, state, tube: b"move-jobs %b %b %b 100" % (tube[:50], state, tube[:50]),
    lambda rng, state, tube: b"move-jobs %b %b nowhere 0" % (tube, state),
    lambda rng, state, tube: b"set-tube %b %b" % (tube[:99], rng.choice(POLICIES)),
    lambda rng, state, tube: b"set-tube %b %b" % (tube[:99], rng.choice(POLICIES)),
)
_LAST_KEY = re.compile(rb"\n(?:kicks|pause-time-left|platform): [^\n]*\n")  # of the C server


class Mixer:
    """For one connection. mixed: the commands so far."""

    def __init__(self, seed: str, max_job_size: int) -> None:
        self.mixed: list[bytes] = []
        self._rng = Random(seed)
        self._lines = Lines(max_job_size)
        self._is_theirs: deque[bool] = deque()  # of each reply to come: the C server sends it too
        self._quits = False

    def send(self, data: bytes) -> bytes:
        """What to send to our server in place of this."""
        sent = []
        at = 0
        while at < len(data) and not self._quits:
            if self._lines.is_between and self._rng.random() < SHARE:
                sent.append(self._command())
            end = self._lines.end_of_piece(data, at)
            sent.append(data[at:end])
            self._note(data[at:end])
            at = end
        return b"".join([*sent, data[at:]])

    def _note(self, piece: bytes) -> None:
        for line in self._lines.feed(piece):
            self._quits = self._quits or line.command[0] == QUIT
            if line.command[0] not in UNANSWERED:
                self._is_theirs.append(True)

    def _command(self) -> bytes:
        rng = self._rng
        line = (
            rng.choice(PLAIN)
            if rng.random() < 0.5
            else rng.choice(_ON_TUBES)(rng, rng.choice(STATES), rng.choice(TUBES))
        )
        self.mixed.append(line)
        self._is_theirs.append(False)
        return line + b"\r\n"

    def take(self, reply: bytes) -> bytes:
        """As the C server sends it; b"" if it does not."""
        if not self._is_theirs:
            return reply  # one too many
        return without_extensions(reply) if self._is_theirs.popleft() else b""


def without_extensions(reply: bytes) -> bytes:
    """A reply to stats without the keys behind those of the C server."""
    found = _LAST_KEY.search(reply) if reply.startswith(b"OK ") else None
    if found is None:
        return reply
    data = reply[reply.index(b"\r\n") + 2 : found.end()]
    return b"OK %d\r\n%b\r\n" % (len(data), data)
