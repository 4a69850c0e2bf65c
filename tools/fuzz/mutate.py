"""Seeded mutations of bytes and files: flip, cut, duplicate, move, overwrite with numbers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

SECTOR = 512
NUMBERS = (
    0,
    1,
    2,
    7,
    200,
    201,
    255,
    256,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)

Mutation = Callable[[Random, bytes], bytes]


def _range(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(
        len(data), start + rng.choice((1, 2, 4, 8, 48, 84, SECTOR, rng.randrange(1, 2000)))
    )


def flip(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) or 1)
    return (
        data[:at]
        + bytes(byte ^ (1 << rng.randrange(8)) for byte in data[at : at + 1])
        + data[at + 1 :]
    )


def number(rng: Random, data: bytes) -> bytes:
    """Overwrites bytes with a special number, little-endian."""
    nbytes = rng.choice((1, 2, 4, 8))
    at = rng.randrange(len(data) + 1)
    value = (rng.choice(NUMBERS) + rng.choice((0, 0, 1, -1))) % (1 << 8 * nbytes)
    return data[:at] + value.to_bytes(nbytes, "little")[: len(data) - at] + data[at + nbytes :]


def randomize(rng: Random, data: bytes) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def zero(rng: Random, data: bytes) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + bytes(end - start) + data[end:]


def truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def remove(rng: Random, data: bytes) -> bytes:
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def insert(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 3, 84, SECTOR))) + data[at:]


def duplicate(rng: Random, data: bytes) -> bytes:
    start, end = _range(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 20)) + data[end:]


def move(rng: Random, data: bytes) -> bytes:
    """Copies a range over another place, as a misdirected write does."""
    start, end = _range(rng, data)
    to = rng.randrange(len(data) + 1)
    return data[:to] + data[start:end] + data[to + end - start :]


def zero_sector(rng: Random, data: bytes) -> bytes:
    """Zeros a sector, as a torn write may."""
    at = rng.randrange(len(data) // SECTOR + 1) * SECTOR
    return data[:at] + bytes(min(SECTOR, max(len(data) - at, 0))) + data[at + SECTOR :]


MUTATIONS: tuple[Mutation, ...] = (
    flip,
    flip,
    number,
    number,
    randomize,
    zero,
    truncate,
    remove,
    insert,
    duplicate,
    move,
    zero_sector,
)


def mutated(rng: Random, data: bytes, times: int | None = None) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8)) if times is None else times):
        data = rng.choice(MUTATIONS)(rng, data)
    return data


def spliced(rng: Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another."""
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def files(rng: Random, before: dict[str, bytes]) -> dict[str, bytes]:
    """Mutates a directory: files are damaged, spliced, removed, swapped or copied."""
    after = dict(before)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _mutate_files(rng, after)
    return after


def _mutate_files(rng: Random, files: dict[str, bytes]) -> None:
    if not files:
        return
    one, other = rng.choice(sorted(files)), rng.choice(sorted(files))
    kind = rng.randrange(12)
    if kind == 0:
        del files[one]
    elif kind == 1:
        files[one], files[other] = files[other], files[one]
    elif kind == 2:
        files[_renumbered(rng, one)] = files[one]
    elif kind == 3:
        files[one] = spliced(rng, files[one], files[other])
    else:
        files[one] = mutated(rng, files[one])


def _renumbered(rng: Random, name: str) -> str:
    """A name of the same kind with another number: a near one, or a date."""
    digits = "".join(filter(str.isdigit, name))
    number = rng.choice((int(digits or 1) + rng.choice((-2, -1, 1, 2, 3)), 20260101, 99999999999))
    return name.replace(digits, f"{max(number, 0):0{len(digits)}}") if digits else name
