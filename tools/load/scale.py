"""The sizes of the loads."""

from __future__ import annotations

from typing import NamedTuple


class Scale(NamedTuple):
    idle: int  # connections that do nothing
    busy: int  # connections that put, reserve and delete
    rounds: int  # of each busy connection
    slow_readers: int  # clients that request much and read nothing
    half_open: int  # connections of each kind of half-open connection
    slow_writers: int  # clients that send one byte at a time
    write_interval_s: float  # between two bytes of a slow writer
    connection_churn: int  # connections that are opened and closed
    descriptors: int  # limit of the server in few-descriptors
    jobs: int  # per cycle of job-cycles
    cycles: int
    large_body: int  # bytes


LONG = Scale(10_000, 1_000, 20, 200, 500, 3_000, 1.0, 20_000, 256, 1_000_000, 10, 200 << 20)
# With fewer jobs in a cycle the server may see too little free memory to return it
# (GROWTH_BYTES in server/memory.py).
SHORT = Scale(500, 100, 5, 15, 20, 200, 0.02, 1_000, 128, 40_000, 2, 32 << 20)
SPARE = 200  # descriptors for everything except connections


def within(scale: Scale, descriptors: int) -> Scale:
    """Limits the idle connections to the available descriptors."""
    return scale._replace(idle=max(0, min(scale.idle, descriptors - scale.busy - SPARE)))
