"""Ways to cut the bytes of a client into the chunks that the server receives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random

# Blocks up to this length are cut at every place; longer ones whole, byte by byte and at random.
EVERY_PLACE = 1000
RANDOM_CUTS = 5


@dataclass(frozen=True)
class Cut:
    name: str
    chunks: Callable[[bytes], list[bytes]]

    def __str__(self) -> str:
        return self.name


def _in_two(place: int) -> Cut:
    def chunks(block: bytes) -> list[bytes]:
        if place >= len(block) or len(block) > EVERY_PLACE:
            return [block]
        return [block[:place], block[place:]]

    return Cut(f"cut in two at {place}", chunks)


def _at_random(seed: str) -> Cut:
    def chunks(block: bytes) -> list[bytes]:
        rng = Random(f"{seed}/{len(block)}")
        if len(block) < 2:
            return [block]
        places = sorted(
            {0, len(block), *(rng.randrange(1, len(block)) for _ in range(rng.randrange(8)))}
        )
        return [block[a:b] for a, b in pairwise(places)]

    return Cut(f"cut at random, seed {seed!r}", chunks)


WHOLE = Cut("whole", lambda block: [block])
BYTES = Cut("byte by byte", lambda block: [block[i : i + 1] for i in range(len(block))])


def every_cut(blocks: list[bytes], seed: str) -> Iterator[Cut]:
    """Whole, byte by byte, at random, and in two at every place of the shorter blocks."""
    yield WHOLE
    yield BYTES
    for number in range(RANDOM_CUTS):
        yield _at_random(f"{seed}/{number}")
    longest = max((len(block) for block in blocks if len(block) <= EVERY_PLACE), default=0)
    for place in range(1, longest):
        yield _in_two(place)
