"""Malformed input in random pieces, for the parser alone and for sessions with a queue.

However a stream is cut, the commands are the same, and the parser holds at most a line and a body.
The reference server gives the same replies. At the end all clients are gone.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

from judge.malformed import block
from model.pair import MAX_JOB_SIZE, SECOND, Pair

from beanstalkd_py.protocol.bodies import MAX_LINE
from beanstalkd_py.protocol.commands import PUT, PUT_BEGIN, PUT_END, Command
from beanstalkd_py.protocol.parser import Parser
from beanstalkd_py.queue.memory import MemoryReserve

from .bounds import bounded
from .count import Count

BLOCKS = 40  # of a stream
STEPS = 60  # of several clients
LARGEST = 1 << 30  # bytes of a body, with the largest -z


def run(seed: int, count: Count) -> None:
    """Generates and checks some inputs from the seed."""
    rng = Random(f"parser {seed}")
    for max_job_size in (MAX_JOB_SIZE, 500, LARGEST):
        stream = b"".join(block(rng, extensions=True) for _ in range(BLOCKS))
        count.input(len(stream))
        check_cuts(rng, stream, max_job_size)
    clients(rng, count)


def check_cuts(rng: Random, stream: bytes, max_job_size: int) -> None:
    whole = bounded(len(stream), lambda: commands([stream], max_job_size))
    for pieces in (singly(stream), cut(rng, stream, 3), cut(rng, stream, 100)):
        again = bounded(len(stream), lambda pieces=pieces: commands(pieces, max_job_size))  # type: ignore[misc]
        assert again == whole, _first_difference(again, whole)


def commands(pieces: list[bytes], max_job_size: int) -> list[Command]:
    """The commands that the parser finds.

    A put whose body arrived with it is written like one whose body arrived later.
    """
    # A probe and the buffer of a large body take address space, but no memory.
    parser = Parser(max_job_size, MemoryReserve(lambda nbytes: b""), runs=True)
    found: list[Command] = []
    for piece in pieces:
        parser.feed(piece)
        while (first := parser.next_command()) is not None:
            for command in (first, *parser.ahead):
                if command[0] == PUT:
                    found += [(PUT_BEGIN,), (PUT_END, *command[1:])]
                else:
                    found.append(command)
        assert parser.buffered < MAX_LINE, f"{parser.buffered} bytes are buffered"
    return found


def singly(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def cut(rng: Random, stream: bytes, times: int) -> list[bytes]:
    places = sorted({0, len(stream), *(rng.randrange(len(stream) + 1) for _ in range(times))})
    return [stream[start:end] for start, end in pairwise(places)]


def _first_difference(got: list[Command], expected: list[Command]) -> str:
    place = next(
        (n for n, (one, other) in enumerate(zip(got, expected, strict=False)) if one != other),
        min(len(got), len(expected)),
    )
    return f"command {place} is {got[place : place + 1]}, not {expected[place : place + 1]}"


def clients(rng: Random, count: Count) -> None:
    pair = Pair(rng.choice(("memory", "memory", "binlog")))
    for step in range(STEPS):
        name = rng.randrange(4)
        if name not in pair.sessions:
            pair.connect(name)
        what = rng.random()
        if what < 0.88:
            data = block(rng, extensions=True)
            count.input(len(data))
            for piece in cut(rng, data, rng.choice((0, 1, 5))):
                if name in pair.sessions:
                    pair.send(name, piece)
        elif what < 0.94:
            pair.advance(rng.choice((0, SECOND // 10, SECOND, 30 * SECOND, 5000 * SECOND)))
        else:
            rng.choice((pair.half_close, pair.end, pair.lose))(name)
        if pair.binlog is not None and step % 20 == 19:
            pair.restart(rng.choice((0, SECOND)), clean=rng.random() < 0.5)
    count.add("commands", sum(pair.dispatcher.counts))
    pair.finish()
