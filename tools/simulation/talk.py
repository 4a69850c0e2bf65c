"""What clients say: a random command of some client, most of them sensible, some of them not.

May know: the shadow, to choose ids that mean something. Promises: a function of the dice and what
the shadow knows; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from random import Random

from .shadow import Shadow

TUBES = (b"default", b"a", b"b", b"mail/outgoing")
PRIORITIES = (0, 1, 1023, 1024, 5000, 4294967295)
DELAYS = (0, 0, 0, 1, 3, 100, 100_000)
TTRS = (0, 1, 2, 5, 60, 60)
TIMEOUTS = (0, 0, 1, 2, 30)
PAUSES = (0, 1, 3, 100)
NONSENSE = (
    *(
        b"",
        b"put",
        b"put 1 2 3",
        b"put x 0 60 1",
        b"put 0 0 60 1 1",
        b"reserve now",
        b"reserve-with-timeout -1",
        b"peek",
        b"peek 1 ",
        b"PEEK 1",
    ),
    *(
        b"delete 99999999999999999999",
        b"use -tube",
        b"watch " + b"w" * 201,
        b"kick",
        b"kick -1",
        b"pause-tube default",
        b"pause-tube -x 1",
    ),
    *(
        b"x" * 300,
        b"stats-job 0",
        b"touch 0",
        b"list-tubes\r",
        b"release 1 2",
        b"bury 1",
        b"quitfoo\0",
        b"stats\0",
    ),
)


class Talk:
    """Each world has its own way of talking. largest: bytes of a body that is not too big."""

    def __init__(self, dice: Random, max_job_size: int, largest: int) -> None:
        self._dice = dice
        self._max_job_size = max_job_size
        self.largest = largest
        self._sizes = dice.choice(
            ([0, 1, 50, largest // 10, largest // 10, largest], [0, largest, largest, largest])
        )
        self._wanted = dice.choice((3, 10, 40))  # jobs; when there are more, more are deleted
        ways: list[tuple[Callable[[Shadow, Hashable], bytes], float]] = [
            (self._put, 6),
            (self._reserve, 5),
            (self._reserve_job, 3),
            (self._delete, 3),
            (self._release, 5),
            (self._bury, 2),
            (self._touch, 1),
            (self._kick, 1.5),
            (self._use, 2),
            (self._pause, 1),
            (self._look, 2),
            (self._nonsense, 0.7),
            (self._bad_put, 0.4),
            (lambda shadow, name: b"quit\r\n", 0.1),
        ]
        self._ways = [way for way, _ in ways]
        # Some worlds do a thing often, some never.
        self._weights = [weight * dice.choice((0, 0.3, 1, 1, 3)) for _, weight in ways]
        self._weights[0] += 1

    def command(self, shadow: Shadow, name: Hashable) -> bytes:
        """With its CRLF."""
        if len(shadow.jobs) > self._wanted and self._dice.random() < 0.3:
            return self._delete(shadow, name)
        return self._dice.choices(self._ways, self._weights)[0](shadow, name)

    def _any(self, shadow: Shadow) -> int:
        """Mostly one that is there."""
        return self._dice.choice([*shadow.jobs, shadow.next_id, 1])

    def _mine(self, shadow: Shadow, name: Hashable) -> int:
        client = shadow.clients.get(name)
        held = [] if client is None else [job.id for job in shadow.held(client)]
        return self._dice.choice(held) if held and self._dice.random() < 0.9 else self._any(shadow)

    def _put(self, shadow: Shadow, name: Hashable) -> bytes:
        dice = self._dice
        size = dice.choice(self._sizes)
        body = dice.randbytes(min(size, 30)) * (size // 30 + 1)
        head = b"put %d %d %d %d\r\n" % (
            dice.choice(PRIORITIES),
            dice.choice(DELAYS),
            dice.choice(TTRS),
            size,
        )
        return head + body[:size] + b"\r\n"

    def _bad_put(self, shadow: Shadow, name: Hashable) -> bytes:
        """Too big, or without the CRLF behind its body."""
        if self._dice.random() < 0.5:
            size = self._max_job_size + self._dice.choice((1, 100))
            return b"put 0 0 60 %d\r\n%b\r\n" % (size, b"b" * size)
        return b"put 0 0 60 4\r\nfour--\r\n"

    def _reserve(self, shadow: Shadow, name: Hashable) -> bytes:
        return self._dice.choice(
            (b"reserve\r\n", b"reserve-with-timeout %d\r\n" % self._dice.choice(TIMEOUTS))
        )

    def _reserve_job(self, shadow: Shadow, name: Hashable) -> bytes:
        return b"reserve-job %d\r\n" % self._any(shadow)

    def _delete(self, shadow: Shadow, name: Hashable) -> bytes:
        return b"delete %d\r\n" % self._dice.choice((self._any(shadow), self._mine(shadow, name)))

    def _release(self, shadow: Shadow, name: Hashable) -> bytes:
        return b"release %d %d %d\r\n" % (
            self._mine(shadow, name),
            self._dice.choice(PRIORITIES),
            self._dice.choice(DELAYS),
        )

    def _bury(self, shadow: Shadow, name: Hashable) -> bytes:
        return b"bury %d %d\r\n" % (self._mine(shadow, name), self._dice.choice(PRIORITIES))

    def _touch(self, shadow: Shadow, name: Hashable) -> bytes:
        return b"touch %d\r\n" % self._mine(shadow, name)

    def _kick(self, shadow: Shadow, name: Hashable) -> bytes:
        return self._dice.choice(
            (
                b"kick %d\r\n" % self._dice.choice((0, 1, 2, 100)),
                b"kick-job %d\r\n" % self._any(shadow),
            )
        )

    def _use(self, shadow: Shadow, name: Hashable) -> bytes:
        return (
            self._dice.choice((b"use ", b"watch ", b"ignore ")) + self._dice.choice(TUBES) + b"\r\n"
        )

    def _pause(self, shadow: Shadow, name: Hashable) -> bytes:
        return b"pause-tube %b %d\r\n" % (self._dice.choice(TUBES), self._dice.choice(PAUSES))

    def _look(self, shadow: Shadow, name: Hashable) -> bytes:
        id, tube = self._any(shadow), self._dice.choice(TUBES)
        lines = (
            b"peek %d" % id,
            b"stats-job %d" % id,
            b"stats-tube %b" % tube,
            b"stats",
            b"list-tubes",
            b"list-tube-used",
        )
        return (
            self._dice.choice(
                (*lines, b"list-tubes-watched", b"peek-ready", b"peek-delayed", b"peek-buried")
            )
            + b"\r\n"
        )

    def _nonsense(self, shadow: Shadow, name: Hashable) -> bytes:
        return self._dice.choice(NONSENSE) + b"\r\n"
