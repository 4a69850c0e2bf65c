"""Who says what next: several clients that come, talk, wait, break off and go, drawn from a seed.

May know: the book of what was said and answered. Knows no server. The same seed and the same
answers give the same moves. What the C server leaves open, in which order clients are served that
wait for the same tube, is left out, unless the manner is `crowd`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from .book import Book, Client
from .commands import Ids, Taste, command
from .moves import Move, Setting
from .noise import block as noise
from .quirks import quirk
from .rules import objection

NAMES = "ABCDEFGH"
WITNESS = "Z"  # looks at everything in the end
SMALL_BYTES = 3000  # the largest bodies of a sequence with a restart
DEAF_BYTES = 200_000  # who announced more than that is given up
MOST_MOVES = {
    False: 850,
    True: 380,
}  # timed or not: fewer than it takes until parts of a second add up to whole ones
QUIRKS = (
    0.002  # how many lines are said that the C server reads in another way: they end the sequence
)
TRIES = 30  # to find something that may be said
LOOK_AT_ONCE = 40  # questions in one block


@dataclass(frozen=True)
class Manner:
    """How a sequence is: odds, and what its numbers are drawn from."""

    name: str
    clients: int = 4
    pipelined: float = 0.15  # blocks of several commands
    noisy: float = 0.0
    cut: float = 0.05  # a block is sent in pieces
    restless: float = 0.03  # a client comes, goes, or shuts down its side
    timed: bool = False  # time passes, and things fall due
    crowd: bool = False
    drains: bool = False


MANNERS = (
    Manner("talk", clients=5, drains=True),
    Manner("pipelines", clients=3, pipelined=0.7, cut=0.1),
    Manner("noise", clients=4, noisy=0.3, cut=0.1, restless=0.06),
    Manner("time", clients=5, pipelined=0.0, cut=0.02, timed=True),
    Manner("pieces", clients=3, cut=0.5, noisy=0.05),
    Manner("crowd", clients=8, pipelined=0.0, cut=0.0, restless=0.08, crowd=True),
)
_FAR = (0, 0, 0, 1000, 2000, 2**32 - 1)
_NEAR = (0, 0, 1, 1, 2, 3, 5)


def draw(rng: Random) -> tuple[Manner, Setting]:
    manner = rng.choice(MANNERS)
    logged = rng.random() < 0.3
    restarts = logged and rng.random() < 0.6
    return manner, Setting(
        max_job_size=200_000 if restarts else rng.choice((65535, 65535, 0, 1, 100, 300, 200_000)),
        logged=logged,
        restarts=restarts,
        unix=rng.random() < 0.3,
        timed=manner.timed,
        crowd=manner.crowd,
    )


class Talk:
    """One sequence. `book` is kept by who plays it."""

    def __init__(
        self,
        rng: Random,
        manner: Manner,
        setting: Setting,
        book: Book,
        c_version: str,
        commands: int,
    ) -> None:
        self._rng = rng
        self._manner = manner
        self._setting = setting
        self._book = book
        self._c_version = c_version
        self._commands = commands
        self._drain_at = rng.randrange(commands) if manner.drains else -1
        self._taste = Taste(
            delays=_NEAR if manner.timed else _FAR,
            ttrs=(1, 1, 2, 3, 5, 1000) if manner.timed else (0, 1, 2, 1000, 2**32 - 1),
            timeouts=(1, 2, 3) if manner.timed else (1, 1000, 2**31 - 1),
            max_job_size=SMALL_BYTES if setting.restarts else setting.max_job_size,
        )

    def moves(self) -> Iterator[Move]:
        most = MOST_MOVES[self._manner.timed]
        for number, move in enumerate(self._talk()):
            yield move
            if self._book.commands >= self._commands or number > most:
                break
        yield from self._look()
        if self._setting.restarts:
            yield Move("restart")
            yield Move("open", WITNESS)
            yield from self._look_at_jobs()

    # --- the talk

    def _talk(self) -> Iterator[Move]:
        while True:
            if 0 <= self._drain_at <= self._book.commands:
                self._drain_at = -1
                yield Move("drain")
            yield from self._next()

    def _next(self) -> Iterator[Move]:
        rng, clients = self._rng, self._book.clients
        idle = [name for name, client in clients.items() if not client.waits]
        if len(clients) < self._manner.clients and (not idle or rng.random() < 0.3):
            yield Move("open", rng.choice([name for name in NAMES if name not in clients]))
        elif not idle or rng.random() < self._manner.restless:
            yield self._leave(rng.choice(sorted(clients)))
        elif self._manner.timed and rng.random() < 0.08:
            yield Move("wait", seconds=rng.choice((1, 1, 1, 2, 3)))
        else:
            name = rng.choice(sorted(clients) if rng.random() < 0.03 else idle)
            if clients[name].lines.missing > DEAF_BYTES:
                yield self._leave(name)
            else:
                yield from self._say(name, clients[name])

    def _leave(self, name: str) -> Move:
        """Who closes amid commands that are not answered may break them off anywhere; a shutdown
        does not.
        """
        move = Move(self._rng.choice(("close", "close", "shutdown")), name)
        return Move("shutdown", name) if objection(self._book, self._setting, move) else move

    def _say(self, name: str, client: Client) -> Iterator[Move]:
        for _ in range(TRIES):
            data = self._block(client)
            if self._is_fit(name, client, data):
                break
        else:
            yield self._leave(name)
            return
        for piece in self._pieces(data):
            if name not in self._book.clients:
                break
            yield Move("send", name, piece)

    def _block(self, client: Client) -> bytes:
        rng, manner = self._rng, self._manner
        chance = rng.random()
        if chance < manner.noisy:
            return noise(rng)
        if client.lines.missing and chance < 0.8:  # the rest of its body
            return (
                rng.randbytes(max(client.lines.missing - 2, 0)) + b"\r\n"[-client.lines.missing :]
            )
        ids = Ids(client.held, self._book.ids)
        count = rng.randrange(2, 30) if chance < manner.noisy + manner.pipelined else 1
        return b"".join(command(rng, self._taste, ids) for _ in range(count))

    def _pieces(self, data: bytes) -> list[bytes]:
        rng = self._rng
        if len(data) < 2 or rng.random() >= self._manner.cut:
            return [data]
        if len(data) <= 40 and rng.random() < 0.3:
            return [data[i : i + 1] for i in range(len(data))]
        places = sorted(
            {0, len(data), *(rng.randrange(1, len(data)) for _ in range(rng.randrange(1, 5)))}
        )
        return [data[a:b] for a, b in pairwise(places)]

    def _is_fit(self, name: str, client: Client, data: bytes) -> bool:
        lines = client.lines.ahead(data)
        if any(quirk(line, self._c_version) for line in lines) and self._rng.random() > QUIRKS:
            return False
        return not objection(self._book, self._setting, Move("send", name, data))

    # --- the last look

    def _look(self) -> Iterator[Move]:
        """Everything that can be seen, by somebody new."""
        yield Move("open", WITNESS)
        yield Move("send", WITNESS, b"stats\r\nlist-tubes\r\n")
        tubes = sorted(
            {client.used for client in self._book.clients.values()} | {b"default", b"a", b"b", b"c"}
        )
        yield Move("send", WITNESS, b"".join(b"stats-tube %b\r\n" % name for name in tubes))
        yield from self._look_at_jobs()

    def _look_at_jobs(self) -> Iterator[Move]:
        for at in range(0, len(self._book.ids), LOOK_AT_ONCE):
            yield Move(
                "send",
                WITNESS,
                b"".join(
                    b"stats-job %d\r\npeek %d\r\n" % (id, id)
                    for id in self._book.ids[at : at + LOOK_AT_ONCE]
                ),
            )
