"""What the clients do next: chances, and nothing else.

May know: clients and their random numbers. Promises: everything the protocol can do to a job comes
up, alone and one behind the other in one packet; the number of jobs stays near `jobs`.
"""

from __future__ import annotations

from random import Random

from .client import Client
from .world import U32

SHARED = tuple(b"shared-%d" % number for number in range(4))


class Mix:
    """jobs: how many there should be. largest: bytes of the largest body; usual: of most.

    short_ttr: the share of jobs with a TTR of a second. haste: how soon what was reserved is given
    away.
    """

    def __init__(
        self,
        jobs: int = 2000,
        largest: int = 65535,
        usual: int = 200,
        short_ttr: float = 0.02,
        haste: float = 0.45,
    ) -> None:
        self.jobs = jobs
        self.largest = largest
        self.usual = usual
        self.short_ttr = short_ttr
        self.haste = haste

    def think(self, client: Client) -> None:
        """Gives the client something to do."""
        chance = client.chance.random()
        crowd = len(client.pool) / (client.share * self.jobs)
        if chance < self.haste and client.held:
            self._give_away(client, crowd)
        elif chance > 0.999 and client.den is None:
            if client.chance.random() < 0.5:
                client.quit()
            else:
                client.vanish()
        elif client.chance.random() < (0.6 if crowd < 1 else 0.1 / crowd**3):
            self._put(client)
        elif chance < 0.75:
            client.reserve(1 if client.chance.random() < 0.02 else 0)
        else:
            self._any_job(client, crowd)

    def _put(self, client: Client) -> None:
        chance = client.chance
        tube = client.den.tube if client.den else SHARED[int(chance.random() * len(SHARED))]
        short = client.den is None and chance.random() < self.short_ttr
        ttr = (
            chance.choice((0, 1))
            if short
            else chance.choice((U32, 1 << 31, 600 + int(chance.random() * 1e6)))
        )
        client.put(
            tube,
            priority(chance),
            self._delay(client),
            ttr,
            client.world.body(self._nbytes(chance)),
        )

    def _delay(self, client: Client) -> int:
        chance = client.chance.random()
        if chance < 0.7:
            return 0
        if client.den is not None:
            return client.long_delay()
        return 1 if chance < 0.8 else U32 if chance < 0.81 else 600 + int(chance * 1e7)

    def _nbytes(self, chance: Random) -> int:
        kind = chance.random()
        if kind < 0.05:
            nbytes = int(chance.random() * 9)
        elif kind < 0.9:
            nbytes = int(chance.random() * self.usual)
        elif kind < 0.99:
            nbytes = int(chance.random() * self.usual * 20)
        else:
            nbytes = self.largest - int(chance.random() * chance.random() * self.largest)
        return min(nbytes, self.largest)

    def _give_away(self, client: Client, crowd: float) -> None:
        """Something only the holder can do."""
        chance = client.chance.random()
        id = next(iter(client.held))
        if chance < 0.3 * crowd * crowd:
            client.about("delete", id)
        elif chance < 0.5:
            client.release(id, priority(client.chance), self._delay(client))
        elif chance < 0.75:
            client.bury(id, priority(client.chance))
        elif chance < 0.9:
            client.about("touch", id)
        else:
            client.about("stats-job", id)

    def _any_job(self, client: Client, crowd: float) -> None:
        """Something anybody may try."""
        chance = client.chance.random()
        id = client.pool.choose(client.chance)
        if not id:
            return self._put(client)
        if chance < 0.2 * crowd * crowd:
            client.about("delete", id)
        elif chance < 0.3:
            client.about("kick-job", id)
        elif chance < 0.5:
            client.about("reserve-job", id)
        elif chance < 0.7:
            self._in_one_go(client, id)
        elif chance < 0.8:
            client.about("peek", id)
        elif client.den is None or chance < 0.9:
            client.about("stats-job", id)
        elif chance < 0.98:
            client.kick(1 + int(client.chance.random() * 4))
        else:
            client.pause(client.chance.choice((0, 0, 3600, U32)))

    def _in_one_go(self, client: Client, id: int) -> None:
        """Commands that hang on each other, none of them answered yet."""
        client.about("reserve-job", id)
        if client.chance.random() < 0.3:
            client.about("stats-job", id)
        chance = client.chance.random()
        if chance < 0.4:
            client.release(id, priority(client.chance), self._delay(client))
        elif chance < 0.8:
            client.bury(id, priority(client.chance))
            if chance < 0.6:
                client.about("kick-job", id)
        else:
            client.about("delete", id)


def priority(chance: Random) -> int:
    kind = chance.random()
    return (
        int(chance.random() * 2048)
        if kind < 0.1
        else 0
        if kind < 0.12
        else U32
        if kind < 0.14
        else int(chance.random() * U32)
    )
