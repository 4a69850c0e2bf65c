"""Random commands: mostly valid, with limits of numbers, all legal bytes in names, all bytes in
bodies; some are corrupted.

The module knows the protocol, but no server and no replies, except the ids that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

TUBES = (b"default", b"default", b"a", b"b", b"c", b"d-e", b"123", b"a" * 200)
NAME_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-+/;.$_()"
LIMITS = (
    0,
    1,
    1023,
    1024,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    10**30,
)
PRIORITIES = (0, 1, 2, 5, 1023, 1024, 2**31, 2**32 - 1)
BOUNDS = (b"-1", b"+2", b"\t3", b"4294967296", b"4294967297x", b"18446744073709551615")
TIMEOUTS = (
    b" 0",
    b" 000",
    b"  0x",
    b" 0.9",
    b" -1",
    b" x",
    b"",
    b" 2147483648",
    b" 18446744073709551616",
)
CORRUPTION_BYTES = b" 0123456789-+abcdefghijklmnopqrstuvwxyzA:/\t\0\n\x80\xff"
U32 = 2**32 - 1


@dataclass(frozen=True)
class Ranges:
    """The ranges of the numbers. Times are in seconds."""

    delays: Sequence[int]
    ttrs: Sequence[int]
    timeouts: Sequence[int]
    max_job_size: int


Maker = Callable[[Random, Ranges, "Ids"], bytes]


@dataclass
class Ids:
    """Job ids to choose from: those that the client has reserved, and all known ids."""

    reserved: Sequence[int]
    known: Sequence[int]

    def one(self, rng: Random) -> int:
        chance = rng.random()
        if self.reserved and chance < 0.6:
            return rng.choice(self.reserved[-4:])
        if self.known and chance < 0.95:
            return rng.choice(self.known[-12:]) if chance < 0.85 else rng.choice(self.known)
        return rng.choice((0, len(self.known) + 1, 10**6, 2**64 - 1))


def tube(rng: Random) -> bytes:
    if rng.random() < 0.95:
        return rng.choice(TUBES)
    name = bytes(rng.choice(NAME_BYTES) for _ in range(rng.choice((1, 2, 10, 199, 200, 201))))
    return name


def body(rng: Random, ranges: Ranges) -> bytes:
    chance = rng.random()
    if chance < 0.6:
        return rng.choice(
            (
                b"",
                b"x",
                b"hello",
                b"a\r\nb",
                b"\r\n",
                b"\0\xff",
                b"delete 1\r\npeek 1",
                bytes(range(256)),
            )
        )[: ranges.max_job_size + 1]
    if chance < 0.9:
        return rng.randbytes(rng.randrange(min(300, ranges.max_job_size + 2)))
    most = ranges.max_job_size
    return rng.randbytes(rng.choice((max(most - 1, 0), most, most + 1, most // 2)))


def put(rng: Random, ranges: Ranges, ids: Ids) -> bytes:
    content = body(rng, ranges)
    size = len(content)
    if rng.random() < 0.04:
        size = max(0, size + rng.choice((-3, -2, -1, 1, 2)))
    return b"put %d %d %d %d\r\n%b" % (
        _priority(rng),
        rng.choice(ranges.delays),
        rng.choice(ranges.ttrs),
        size,
        content,
    )


def _priority(rng: Random) -> int:
    return rng.choice(PRIORITIES) if rng.random() < 0.8 else rng.randrange(U32 + 1)


def _number(rng: Random) -> int:
    return rng.choice(LIMITS)


MAKERS: tuple[tuple[int, Maker], ...] = (
    (22, put),
    (16, lambda rng, ranges, ids: b"reserve-with-timeout 0"),
    (4, lambda rng, ranges, ids: b"reserve-with-timeout %d" % rng.choice(ranges.timeouts)),
    (3, lambda rng, ranges, ids: b"reserve"),
    (5, lambda rng, ranges, ids: b"reserve-job %d" % ids.one(rng)),
    (
        9,
        lambda rng, ranges, ids: (
            b"release %d %d %d" % (ids.one(rng), _priority(rng), rng.choice(ranges.delays))
        ),
    ),
    (8, lambda rng, ranges, ids: b"bury %d %d" % (ids.one(rng), _priority(rng))),
    (7, lambda rng, ranges, ids: b"delete %d" % ids.one(rng)),
    (4, lambda rng, ranges, ids: b"touch %d" % ids.one(rng)),
    (5, lambda rng, ranges, ids: b"kick %d" % rng.choice((0, 1, 2, 3, 10, 2**32 - 1))),
    (4, lambda rng, ranges, ids: b"kick-job %d" % ids.one(rng)),
    (3, lambda rng, ranges, ids: b"peek %d" % ids.one(rng)),
    (4, lambda rng, ranges, ids: b"peek-" + rng.choice((b"ready", b"delayed", b"buried"))),
    (7, lambda rng, ranges, ids: b"use " + tube(rng)),
    (7, lambda rng, ranges, ids: b"watch " + tube(rng)),
    (6, lambda rng, ranges, ids: b"ignore " + tube(rng)),
    (4, lambda rng, ranges, ids: b"pause-tube %b %d" % (tube(rng), rng.choice(ranges.delays))),
    (3, lambda rng, ranges, ids: b"list-tubes"),
    (3, lambda rng, ranges, ids: b"list-tubes-watched"),
    (1, lambda rng, ranges, ids: b"list-tube-used"),
    (6, lambda rng, ranges, ids: b"stats-job %d" % ids.one(rng)),
    (6, lambda rng, ranges, ids: b"stats-tube " + tube(rng)),
    (3, lambda rng, ranges, ids: b"stats"),
)
# Numbers at their limits, and invalid lines.
UNUSUAL: tuple[Maker, ...] = (
    lambda rng, ranges, ids: (
        b"put %d %d %d 1\r\nx"
        % (_number(rng), rng.choice((0, 10**4, U32, U32 + 1)), rng.choice((1000, U32, U32 + 1)))
    ),
    lambda rng, ranges, ids: b"put 0 0 1000 %d" % rng.choice((U32 + 1, 2**63, 2**64, 10**30)),
    lambda rng, ranges, ids: b"put %b1  %b0   1000 %b3\r\nabc" % ((b"0" * rng.randrange(30),) * 3),
    lambda rng, ranges, ids: b"put 0 0 1000 1 \r\nx",
    lambda rng, ranges, ids: b"kick " + rng.choice((*BOUNDS, b"%d" % _number(rng))),
    lambda rng, ranges, ids: (
        rng.choice((b"peek", b"delete", b"touch", b"kick-job", b"stats-job", b"reserve-job"))
        + b" %d" % _number(rng)
    ),
    lambda rng, ranges, ids: (
        b"release %d %d %d" % (ids.one(rng), _number(rng), rng.choice((0, U32 + 1, 2**64)))
    ),
    lambda rng, ranges, ids: (
        b"bury %b%d %d" % (b"0" * rng.randrange(100), ids.one(rng), _number(rng))
    ),
    lambda rng, ranges, ids: (
        b"pause-tube%b%b %d"
        % (b" " * rng.randrange(3), tube(rng), rng.choice((0, 0, U32 + 1, 2**64)))
    ),
    lambda rng, ranges, ids: b"reserve-with-timeout" + rng.choice(TIMEOUTS),
    lambda rng, ranges, ids: (
        rng.choice((b"watch ", b"ignore ", b"use ", b"stats-tube "))
        + bytes(rng.randrange(256) for _ in range(rng.randrange(8)))
    ),
    lambda rng, ranges, ids: bytes(rng.randrange(256) for _ in range(rng.randrange(30))),
    lambda rng, ranges, ids: (
        b"x" * rng.choice((221, 222, 223, 224, 225, 300, 446, 447, 448, 1000, 5000))
    ),
    lambda rng, ranges, ids: (
        rng.choice((b"peek-ready", b"stats", b"use", b"quit", b"kick 1", b"put"))
        + rng.choice((b" ", b"x", b"\0", b"\n", b"\t"))
    ),
    lambda rng, ranges, ids: b"",
)
_WEIGHTS = [weight for weight, _ in MAKERS]


def command(rng: Random, ranges: Ranges, ids: Ids) -> bytes:
    """One command with its CRLF; a put includes its body."""
    chance = rng.random()
    if chance < 0.07:
        return rng.choice(UNUSUAL)(rng, ranges, ids) + b"\r\n"
    ((_, make),) = rng.choices(MAKERS, _WEIGHTS)
    line = make(rng, ranges, ids)
    if chance < 0.12 and not line.startswith(b"put"):
        line = corrupted(rng, line)
    return line + b"\r\n"


def corrupted(rng: Random, line: bytes) -> bytes:
    """Inserts, removes or changes one byte."""
    at = rng.randrange(len(line))
    more = bytes([rng.choice(CORRUPTION_BYTES)]) if rng.random() < 0.7 else b""
    return line[:at] + more + line[at + rng.randrange(2) :]
