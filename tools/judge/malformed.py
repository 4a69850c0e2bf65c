"""Malformed input: blocks of the transcripts, mutated blocks, and random bytes. Seeded."""

from __future__ import annotations

from functools import cache
from random import Random

from .transcript import World, load

MAX_BYTES = 1500  # of a block to mutate
RARE = (
    b"quit",
    b"4294967295 ",
    b"4294967295\r",
    b"drain on",
)  # after these the server ignores or consumes all further input, so they are rare
RANDOM_BYTES = b"\r\n\r\n\r\n\0 \t0123456789-+abcdefghijklmnopqrstuvwxyz\x80\xff"
WORDS = (
    b"put ", b"put 0 0 60 2\r\n", b"0 0 1 0\r\n\r\n", b"peek ",
    b"peek-ready\r\n", b"peek-buried\r\n", b"reserve", b"reserve-with-timeout 0\r\n",
    b"reserve-job 1\r\n", b"delete 2\r\n",
    b"release 1 0 0\r\n", b"bury 1 0\r\n", b"kick 10\r\n", b"kick-job 2\r\n", b"touch 1\r\n",
    b"use a\r\n", b"watch a\r\n", b"ignore default\r\n", b"stats\r\n", b"stats-job 1\r\n",
    b"stats-tube a\r\n", b"list-tubes\r\n", b"list-tubes-watched\r\n", b"pause-tube a 0\r\n",
    b"pause-tube default 1\r\n", b"4294967296", b"18446744073709551616", b" ", b"\r\n", b"\r",
    b"\n", b"\0",
)  # fmt: skip
# Commands that the C server does not have.
EXTENSIONS = (
    b"ping\r\n",
    b"peek-tube a ready\r\n",
    b"kick-tube a 10\r\n",
    b"put-in-tube a 0 0 60 2\r\n",
    b"put-with 0 0 60 2 key=k\r\n",
    b"reserve-batch 2 0\r\n",
    b"list-jobs a ready 2 0.1\r\n",
)


@cache
def corpus(extensions: bool) -> tuple[bytes, ...]:
    blocks = {
        step.data(World())
        for transcript in load()
        if extensions or "c" in transcript.targets
        for step in transcript.steps
        if step.verb == "send"
    }
    return tuple(
        sorted(
            block
            for block in blocks
            if len(block) <= MAX_BYTES and not any(word in block for word in RARE)
        )
    )


def block(rng: Random, extensions: bool = False) -> bytes:
    """A block to send: from a transcript, mutated, or random. extensions: also of commands that the
    C server does not have.
    """
    words = WORDS + EXTENSIONS if extensions else WORDS
    kind = rng.random()
    if kind < 0.004:
        return rng.choice([b"quit\r\n", b"put 0 0 60 4294967295\r\n"])
    if kind < 0.35:
        return rng.choice(corpus(extensions))
    if kind < 0.75:
        return mutated(rng, rng.choice(corpus(extensions)), words, corpus(extensions))
    if kind < 0.95:
        return b"".join(rng.choice(words) for _ in range(rng.randrange(1, 12)))
    return bytes(rng.choice(RANDOM_BYTES) for _ in range(rng.randrange(1, 400)))


def mutated(rng: Random, data: bytes, words: tuple[bytes, ...], corpus: tuple[bytes, ...]) -> bytes:
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.randrange(1, 8))
        change = rng.randrange(5)
        if change == 0:
            data = data[:at] + bytes(rng.randrange(256) for _ in range(end - at)) + data[end:]
        elif change == 1:
            data = data[:at] + data[end:]
        elif change == 2:
            data = data[:at] + data[at:end] * rng.randrange(2, 40) + data[end:]
        elif change == 3:
            data = data[:at] + rng.choice(words) + data[at:]
        else:
            other = rng.choice(corpus)
            data = data[:at] + other[rng.randrange(len(other)) :]
    return data or b"\r\n"
