"""Chooses the next commands of the clients at random.

Everything that the protocol can do to a job happens, alone and pipelined. The number of jobs stays
near `jobs`.
"""

from __future__ import annotations

from random import Random

from .client import Client
from .knowledge import U32

SHARED = tuple(b"shared-%d" % number for number in range(4))
KEYS = 25  # of each tube
PUT_WITH = 0.25  # share of puts


class Mix:
    """jobs: the wanted number. largest: bytes of the largest body; typical: of most bodies.

    short_ttr: share of jobs with a TTR of one second. give_away_rate: how often a client releases,
    buries or deletes a reserved job.
    """

    def __init__(
        self,
        jobs: int = 2000,
        largest: int = 65535,
        typical: int = 200,
        short_ttr: float = 0.02,
        give_away_rate: float = 0.45,
    ) -> None:
        self.jobs = jobs
        self.largest = largest
        self.typical = typical
        self.short_ttr = short_ttr
        self.give_away_rate = give_away_rate

    def choose_command(self, client: Client) -> None:
        """Adds a command to the client."""
        chance = client.rng.random()
        fill = len(client.pool) / (client.share * self.jobs)
        if chance < self.give_away_rate and client.held:
            self._give_away(client, fill)
        elif chance > 0.999 and client.private is None:
            if client.rng.random() < 0.5:
                client.quit()
            else:
                client.reset()
        elif client.rng.random() < (0.6 if fill < 1 else 0.1 / fill**3):
            self._put(client)
        elif chance < 0.75:
            client.reserve(1 if client.rng.random() < 0.02 else 0)
        else:
            self._any_job(client, fill)

    def _put(self, client: Client) -> None:
        rng = client.rng
        if rng.random() < PUT_WITH:
            return self._put_with(client)
        tube = client.private.tube if client.private else SHARED[int(rng.random() * len(SHARED))]
        short = client.private is None and rng.random() < self.short_ttr
        ttr = (
            rng.choice((0, 1))
            if short
            else rng.choice((U32, 1 << 31, 600 + int(rng.random() * 1e6)))
        )
        client.put(
            tube,
            priority(rng),
            self._delay(client),
            ttr,
            client.knowledge.body(self._nbytes(rng)),
        )

    def _put_with(self, client: Client) -> None:
        """Mostly with a key. Its job comes early, so that the key is soon free again. The order in
        a private tube must be known, so no job is buried there when its attempts are used up.
        """
        rng = client.rng
        tube = client.private.tube if client.private else SHARED[int(rng.random() * len(SHARED))]
        chance = rng.random()
        key = b"key-%d" % int(rng.random() * KEYS) if chance < 0.7 else b""
        client.put_with(
            tube,
            int(rng.random() * 1000),
            rng.choice((0, 1)) if rng.random() < self.short_ttr and not client.private else 1 << 31,
            client.knowledge.body(self._nbytes(rng)),
            key,
            bool(key) and chance < 0.35,
            0 if client.private else rng.choice((0, 1, 2, 5)),
        )

    def _delay(self, client: Client) -> int:
        chance = client.rng.random()
        if chance < 0.7:
            return 0
        if client.private is not None:
            return client.long_delay()
        return 1 if chance < 0.8 else U32 if chance < 0.81 else 600 + int(chance * 1e7)

    def _nbytes(self, rng: Random) -> int:
        kind = rng.random()
        if kind < 0.05:
            nbytes = int(rng.random() * 9)
        elif kind < 0.9:
            nbytes = int(rng.random() * self.typical)
        elif kind < 0.99:
            nbytes = int(rng.random() * self.typical * 20)
        else:
            nbytes = self.largest - int(rng.random() * rng.random() * self.largest)
        return min(nbytes, self.largest)

    def _give_away(self, client: Client, fill: float) -> None:
        """A command that only the client with the reservation may use."""
        chance = client.rng.random()
        id = next(iter(client.held))
        if chance < 0.3 * fill * fill:
            client.send_for("delete", id)
        elif chance < 0.5:
            client.release(id, priority(client.rng), self._delay(client))
        elif chance < 0.75:
            client.bury(id, priority(client.rng))
        elif chance < 0.9:
            client.send_for("touch", id)
        else:
            client.send_for("stats-job", id)

    def _any_job(self, client: Client, fill: float) -> None:
        """A command that any client may use."""
        chance = client.rng.random()
        id = client.pool.choose(client.rng)
        if not id:
            return self._put(client)
        if chance < 0.2 * fill * fill:
            client.send_for("delete", id)
        elif chance < 0.3:
            client.send_for("kick-job", id)
        elif chance < 0.5:
            client.send_for("reserve-job", id)
        elif chance < 0.7:
            self._in_one_go(client, id)
        elif chance < 0.8:
            client.send_for("peek", id)
        elif client.private is None or chance < 0.9:
            client.send_for("stats-job", id)
        elif chance < 0.98:
            client.kick(1 + int(client.rng.random() * 4))
        else:
            client.pause(client.rng.choice((0, 0, 3600, U32)))

    def _in_one_go(self, client: Client, id: int) -> None:
        """Dependent commands, sent without waiting for replies."""
        client.send_for("reserve-job", id)
        if client.rng.random() < 0.3:
            client.send_for("stats-job", id)
        chance = client.rng.random()
        if chance < 0.4:
            client.release(id, priority(client.rng), self._delay(client))
        elif chance < 0.8:
            client.bury(id, priority(client.rng))
            if chance < 0.6:
                client.send_for("kick-job", id)
        else:
            client.send_for("delete", id)


def priority(rng: Random) -> int:
    kind = rng.random()
    return (
        int(rng.random() * 2048)
        if kind < 0.1
        else 0
        if kind < 0.12
        else U32
        if kind < 0.14
        else int(rng.random() * U32)
    )
