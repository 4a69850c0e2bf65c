"""The same commands to the engine and to the C server, one at a time: the same replies.

What the transcripts do not think of. The commands are drawn at random, with a seed that is part of the test's name;
`WIRE_FUZZ=500` tries more of them. Left out is what may differ: blocking reserves (the order of waiting clients), what is
shown of time, and quotes, which Debian's C server does not write.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from random import Random

import pytest
from judge.cuts import WHOLE
from judge.live_peer import LivePeer
from judge.transcript import World

from .engine_peer import EnginePeer
from .reference import need_c_server
from .servers import Kind

SEEDS = range(int(os.environ.get("WIRE_FUZZ", "20")))
COMMANDS = 400
CLIENTS = 3
TUBES = (b"default", b"a", b"b", b"c")

Maker = Callable[[Random, int], bytes]  # of a command; the number is a job's id


def _tube(rng: Random) -> bytes:
    return rng.choice(TUBES)


def _delay(rng: Random) -> int:
    return rng.choice([0, 0, 1000, 2000, 3000])


def _put(rng: Random, id: int) -> bytes:
    body = rng.choice([b"", b"x", b"hello", b"a\r\nb", b"\0\xff"])
    size = len(body) - (rng.random() < 0.05)  # never more: the C server shows a job that is still being uploaded
    return b"put %d %d %d %d\r\n%b" % (rng.choice([0, 1, 5, 1023, 1024, 2**32 - 1]), _delay(rng), rng.choice([100, 200]), max(size, 0), body)


MAKERS: tuple[tuple[int, Maker], ...] = (
    (20, _put),
    (18, lambda rng, id: b"reserve-with-timeout 0"),
    (5, lambda rng, id: b"reserve-job %d" % id),
    (9, lambda rng, id: b"release %d %d %d" % (id, rng.randrange(4), _delay(rng))),
    (9, lambda rng, id: b"bury %d %d" % (id, rng.randrange(4))),
    (6, lambda rng, id: b"delete %d" % id),
    (3, lambda rng, id: b"touch %d" % id),
    (5, lambda rng, id: b"kick %d" % rng.randrange(4)),
    (3, lambda rng, id: b"kick-job %d" % id),
    (2, lambda rng, id: b"peek %d" % id),
    (3, lambda rng, id: b"peek-" + rng.choice([b"ready", b"delayed", b"buried"])),
    (8, lambda rng, id: b"use " + _tube(rng)),
    (8, lambda rng, id: b"watch " + _tube(rng)),
    (6, lambda rng, id: b"ignore " + _tube(rng)),
    (3, lambda rng, id: b"pause-tube %b %d" % (_tube(rng), rng.choice([0, 0, 1000]))),
    (3, lambda rng, id: b"list-tubes"),
    (3, lambda rng, id: b"list-tubes-watched"),
    (1, lambda rng, id: b"list-tube-used"),
    (6, lambda rng, id: b"stats-job %d" % id),
    (6, lambda rng, id: b"stats-tube " + _tube(rng)),
    (3, lambda rng, id: b"stats"),
)
SPOILERS = b" 0123456789-+abcdefghijklmnopqrstuvwxyzA:/\t\0\x80\xff"


def command(rng: Random, held: list[int]) -> bytes:
    """One command of a client that got these jobs; now and then it is spoiled by a byte more, less or other."""
    ((_, make),) = rng.choices(MAKERS, [weight for weight, _ in MAKERS])
    line = make(rng, rng.choice(held) if held and rng.random() < 0.6 else rng.randrange(1, 30))
    if rng.random() < 0.1 and not line.startswith((b"put", b"reserve")):
        line = spoiled(rng, line)
    return line + b"\r\n"


def spoiled(rng: Random, line: bytes) -> bytes:
    at = rng.randrange(len(line))
    more = bytes([rng.choice(SPOILERS)]) if rng.random() < 0.7 else b""
    spoilt = line[:at] + more + line[at + rng.randrange(2) :]
    return b"peek" if spoilt.startswith((b"reserve", b"quit", b"put ")) else spoilt


def comparable(reply: bytes) -> bytes:
    """Without what may differ between the two servers."""
    if not reply.startswith(b"OK "):
        return reply
    reply = re.sub(rb"^OK \d+", b"OK", reply).replace(b'"', b"")
    reply = re.sub(rb"(?m)^(age|time-left|pause-time-left): -?\d+$", rb"\1: T", reply)
    return re.sub(rb"(?s)total-connections:.*", b"...", reply)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_engine_answers_as_the_c_server_does(seed: int) -> None:
    with Kind("c", (need_c_server(),), is_c=True).running({}) as daemon:
        engine, c = EnginePeer({}, WHOLE, polite=True), LivePeer(daemon, World(), WHOLE)
        try:
            play_both(Random(seed), engine, c)
        finally:
            c.stop()


def play_both(rng: Random, engine: EnginePeer, c: LivePeer) -> None:
    ours = [engine.open() for _ in range(CLIENTS)]
    theirs = [c.open() for _ in range(CLIENTS)]
    held: list[list[int]] = [[] for _ in range(CLIENTS)]
    said: list[tuple[int, bytes]] = []
    for _ in range(COMMANDS):
        name = rng.randrange(CLIENTS)
        line = command(rng, held[name][-4:])
        said.append((name, line))
        ours[name].send(line)
        theirs[name].send(line)
        got = ours[name].read(0)
        wanted = theirs[name].read(len(got))
        assert list(map(comparable, got)) == list(map(comparable, wanted)), f"after {said[-12:]}"
        held[name] += [int(reply.split()[1]) for reply in got if reply.startswith(b"RESERVED ")]
    for name in range(CLIENTS):
        assert (name, theirs[name].rest()) == (name, b"")
