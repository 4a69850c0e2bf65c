"""How much of everything. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Scale(NamedTuple):
    idle: int  # connections that do nothing
    busy: int  # connections that put, reserve and delete
    turns: int  # of each busy one
    slow: int  # clients that ask for much and read nothing
    half: int  # of each kind of half-open connection
    drip: int  # clients that send a byte now and then
    drip_s: float  # between two bytes of one
    storm: int  # connections that come and go
    descriptors: int  # of a server that has few
    jobs: int  # that come and go
    cycles: int  # how often


LONG = Scale(10_000, 1_000, 20, 200, 500, 3_000, 1.0, 20_000, 256, 1_000_000, 10)
SHORT = Scale(500, 100, 5, 15, 20, 200, 0.02, 1_000, 128, 40_000, 2)
SPARE = 200  # descriptors that a process needs beside those of its connections


def within(scale: Scale, descriptors: int) -> Scale:
    """As many idle connections as there are descriptors for."""
    return scale._replace(idle=max(0, min(scale.idle, descriptors - scale.busy - SPARE)))
