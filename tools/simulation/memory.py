"""Memory that runs out. In one of four scenarios some allocations fail, at the places where the
server answers that with OUT_OF_MEMORY or does without: the buffer of a body, the record of a put,
its job, a reply to peek, and the buffers of a commit.

May know: the names that these places use. Promises: the failures are a function of the seed. A
start is not disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import beanstalkd_wal.committer as committer
from beanstalkd_wal.format import encode_frame
from testkit.memory import allocate_except_probes

from beanstalkd_py.binlog import putrecords
from beanstalkd_py.binlog.records import NEW_STRUCT, SHORT_STRUCT
from beanstalkd_py.protocol import bodies, replies
from beanstalkd_py.queue import state
from beanstalkd_py.queue.model import new_job

EVERY = 4  # scenarios
CHANCES = (0.02, 0.1, 0.5)  # of a failure at each allocation
LARGE_BODY = 40  # bytes; so many are allocated at once


class Memory:
    """short: whether this scenario has failures. failed: how many there were."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"memory {seed}")
        self.short = seed % EVERY == 1
        self.chance = self.rng.choice(CHANCES)
        self.failed = 0
        self._serving = False

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Commands are executed inside the block, so allocations may fail."""
        self._serving = self.short
        try:
            yield
        finally:
            self._serving = False

    def allocate(self, nbytes: int) -> bytes:
        self.check()
        return allocate_except_probes(nbytes)

    def check(self) -> None:
        """Called before each allocation while commands are executed. Raises MemoryError."""
        if self._serving:
            self.check_always()

    def check_always(self) -> None:
        if self.rng.random() < self.chance:
            self.failed += 1
            raise MemoryError

    def checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.check()
            return function(*arguments)

        return call

    def checked_always(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """For the log's threads."""

        def call(*arguments: Any) -> Any:
            self.check_always()
            return function(*arguments)

        return call


class _CheckedStruct:
    """In place of a struct."""

    def __init__(self, memory: Memory, real: Any) -> None:
        self._memory = memory
        self._real = real

    def pack(self, *fields: Any) -> Any:
        self._memory.check()
        return self._real.pack(*fields)


class _CheckedTemplate(bytes):
    """In place of a template. A compiled module accepts only bytes there."""

    memory: Memory

    def __mod__(self, fields: Any) -> bytes:
        self.memory.check()
        return super().__mod__(fields)


def _checked_template(memory: Memory, real: bytes) -> bytes:
    template = _CheckedTemplate(real)
    template.memory = memory
    return template


@contextmanager
def failing(memory: Memory) -> Iterator[None]:
    """Replaces the names for the time of a scenario."""
    if not memory.short:
        yield
        return
    replaced: list[tuple[Any, str, Any]] = [
        (bodies, "LARGE_BODY", LARGE_BODY),
        (state, "new_job", memory.checked(new_job)),
        (putrecords, "NEW_STRUCT", _CheckedStruct(memory, NEW_STRUCT)),
        (putrecords, "SHORT_STRUCT", _CheckedStruct(memory, SHORT_STRUCT)),
        (replies, "FOUND", _checked_template(memory, replies.FOUND)),
        (committer, "_join", memory.checked_always(committer._join)),
        (committer, "encode_frame", memory.checked_always(encode_frame)),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in replaced]
    for module, name, value in replaced:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
