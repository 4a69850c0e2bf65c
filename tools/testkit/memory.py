"""The memory of a queue in a test."""

from __future__ import annotations

from beanstalkd_py.queue.memory import PROBE_BYTES


def allocate_except_probes(nbytes: int) -> bytes:
    """For `MemoryReserve.allocate`: a reserve or a probe takes no memory and no time, so only the
    memory of jobs counts.
    """
    return b"" if nbytes == PROBE_BYTES else bytes(nbytes)
