"""Generates the actions of several clients from a seed: connect, send, wait, half-close, close.

The generator knows the tracker, but no server. The same seed and the same replies give the same
actions. Two clients do not wait for the same tube, because the C server serves them in no defined
order, except in the profile `shared-tube`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from .actions import Action, Setting
from .commands import Ids, Ranges, command
from .constraints import violation
from .line_differences import line_difference
from .malformed import block as malformed_block
from .tracker import Client, Tracker

NAMES = "ABCDEFGH"
OBSERVER = "Z"  # inspects all jobs and tubes at the end
SMALL_BYTES = 3000  # the largest body in a sequence with a restart
MAX_MISSING_BYTES = 200_000  # a client with a larger incomplete body is closed
MAX_ACTIONS = {
    False: 850,
    True: 380,
}  # by `timed`: below the number at which fractions of a second add up to a whole one
LINE_DIFFERENCES = (
    0.002  # share of lines that the C server parses differently; they end the sequence
)
ATTEMPTS = 30  # to find an allowed block
JOBS_PER_BLOCK = 40  # commands in one block


@dataclass(frozen=True)
class Profile:
    """The probabilities and ranges of values of a sequence."""

    name: str
    clients: int = 4
    pipelined: float = 0.15  # blocks of several commands
    malformed: float = 0.0
    cut: float = 0.05  # a block is sent in several pieces
    churn: float = 0.03  # a client connects, closes, or half-closes
    timed: bool = False  # time passes between the actions
    shared_tube: bool = False
    drains: bool = False


PROFILES = (
    Profile("mixed", clients=5, drains=True),
    Profile("pipelines", clients=3, pipelined=0.7, cut=0.1),
    Profile("malformed", clients=4, malformed=0.3, cut=0.1, churn=0.06),
    Profile("timed", clients=5, pipelined=0.0, cut=0.02, timed=True),
    Profile("fragments", clients=3, cut=0.5, malformed=0.05),
    Profile("shared-tube", clients=8, pipelined=0.0, cut=0.0, churn=0.08, shared_tube=True),
)
_FAR = (0, 0, 0, 1000, 2000, 2**32 - 1)
_NEAR = (0, 0, 1, 1, 2, 3, 5)


def draw(rng: Random) -> tuple[Profile, Setting]:
    profile = rng.choice(PROFILES)
    logged = rng.random() < 0.3
    restarts = logged and rng.random() < 0.6
    return profile, Setting(
        max_job_size=200_000 if restarts else rng.choice((65535, 65535, 0, 1, 100, 300, 200_000)),
        logged=logged,
        restarts=restarts,
        unix=rng.random() < 0.3,
        timed=profile.timed,
        shared_tube=profile.shared_tube,
    )


class Generator:
    """One sequence. Its owner keeps `tracker` up to date."""

    def __init__(
        self,
        rng: Random,
        profile: Profile,
        setting: Setting,
        tracker: Tracker,
        c_version: str,
        commands: int,
    ) -> None:
        self._rng = rng
        self._profile = profile
        self._setting = setting
        self._tracker = tracker
        self._c_version = c_version
        self._commands = commands
        self._drain_at = rng.randrange(commands) if profile.drains else -1
        self._ranges = Ranges(
            delays=_NEAR if profile.timed else _FAR,
            ttrs=(1, 1, 2, 3, 5, 1000) if profile.timed else (0, 1, 2, 1000, 2**32 - 1),
            timeouts=(1, 2, 3) if profile.timed else (1, 1000, 2**31 - 1),
            max_job_size=SMALL_BYTES if setting.restarts else setting.max_job_size,
        )

    def actions(self) -> Iterator[Action]:
        most = MAX_ACTIONS[self._profile.timed]
        for number, action in enumerate(self._endless()):
            yield action
            if self._tracker.commands >= self._commands or number > most:
                break
        yield from self._inspect()
        if self._setting.restarts:
            yield Action("restart")
            yield Action("open", OBSERVER)
            yield from self._inspect_jobs()

    # --- actions of the clients

    def _endless(self) -> Iterator[Action]:
        while True:
            if 0 <= self._drain_at <= self._tracker.commands:
                self._drain_at = -1
                yield Action("drain")
            yield from self._next()

    def _next(self) -> Iterator[Action]:
        rng, clients = self._rng, self._tracker.clients
        idle = [name for name, client in clients.items() if not client.is_waiting]
        if len(clients) < self._profile.clients and (not idle or rng.random() < 0.3):
            yield Action("open", rng.choice([name for name in NAMES if name not in clients]))
        elif not idle or rng.random() < self._profile.churn:
            yield self._leave(rng.choice(sorted(clients)))
        elif self._profile.timed and rng.random() < 0.08:
            yield Action("wait", seconds=rng.choice((1, 1, 1, 2, 3)))
        else:
            name = rng.choice(sorted(clients) if rng.random() < 0.03 else idle)
            if clients[name].lines.missing > MAX_MISSING_BYTES:
                yield self._leave(name)
            else:
                yield from self._send(name, clients[name])

    def _leave(self, name: str) -> Action:
        """Closes or half-closes a client.

        A close before all replies have arrived may interrupt the commands at any point. Such a
        client is half-closed instead.
        """
        action = Action(self._rng.choice(("close", "close", "shutdown")), name)
        return (
            Action("shutdown", name) if violation(self._tracker, self._setting, action) else action
        )

    def _send(self, name: str, client: Client) -> Iterator[Action]:
        for _ in range(ATTEMPTS):
            data = self._block(client)
            if self._is_allowed(name, client, data):
                break
        else:
            yield self._leave(name)
            return
        for piece in self._pieces(data):
            if name not in self._tracker.clients:
                break
            yield Action("send", name, piece)

    def _block(self, client: Client) -> bytes:
        rng, profile = self._rng, self._profile
        chance = rng.random()
        if chance < profile.malformed:
            return malformed_block(rng)
        if client.lines.missing and chance < 0.8:  # the rest of the body
            return (
                rng.randbytes(max(client.lines.missing - 2, 0)) + b"\r\n"[-client.lines.missing :]
            )
        ids = Ids(client.reserved, self._tracker.ids)
        count = rng.randrange(2, 30) if chance < profile.malformed + profile.pipelined else 1
        return b"".join(command(rng, self._ranges, ids) for _ in range(count))

    def _pieces(self, data: bytes) -> list[bytes]:
        rng = self._rng
        if len(data) < 2 or rng.random() >= self._profile.cut:
            return [data]
        if len(data) <= 40 and rng.random() < 0.3:
            return [data[i : i + 1] for i in range(len(data))]
        places = sorted(
            {0, len(data), *(rng.randrange(1, len(data)) for _ in range(rng.randrange(1, 5)))}
        )
        return [data[a:b] for a, b in pairwise(places)]

    def _is_allowed(self, name: str, client: Client, data: bytes) -> bool:
        lines = client.lines.ahead(data)
        if (
            any(line_difference(line, self._c_version) for line in lines)
            and self._rng.random() > LINE_DIFFERENCES
        ):
            return False
        return not violation(self._tracker, self._setting, Action("send", name, data))

    # --- final inspection

    def _inspect(self) -> Iterator[Action]:
        """A new client requests all statistics."""
        yield Action("open", OBSERVER)
        yield Action("send", OBSERVER, b"stats\r\nlist-tubes\r\n")
        tubes = sorted(
            {client.used for client in self._tracker.clients.values()}
            | {b"default", b"a", b"b", b"c"}
        )
        yield Action("send", OBSERVER, b"".join(b"stats-tube %b\r\n" % name for name in tubes))
        yield from self._inspect_jobs()

    def _inspect_jobs(self) -> Iterator[Action]:
        for at in range(0, len(self._tracker.ids), JOBS_PER_BLOCK):
            yield Action(
                "send",
                OBSERVER,
                b"".join(
                    b"stats-job %d\r\npeek %d\r\n" % (id, id)
                    for id in self._tracker.ids[at : at + JOBS_PER_BLOCK]
                ),
            )
