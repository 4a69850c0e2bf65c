"""A trial: a life or none, one with a fault, and others without.

May know: lives, faults. Promises: what is right after an error is judged by law 4 alone: an error
ends the log, at once and for good, and what was promised by then is there, and what those promise
who come behind; want of space or descriptors while room is prepared ends nothing, and refuses
nothing but puts.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple, Protocol

import beanstalkd_wal as wal
from beanstalkd_wal.fs import NO_ROOM

from ..disk import MemoryDisk
from ..violation import Violation
from .crash_points import Sweep
from .fault import Fault
from .process import Mode

AFTER = 15  # acts of each life behind the fault


class Plan(NamedTuple):
    """acts: of the life with the fault, and of the one before."""

    before: Mode | None  # of a life that ends without a fault, by a kill or without power
    killed: bool
    mode: Mode  # of the life with the fault
    after: tuple[Mode, ...]
    acts: int

    def __str__(self) -> str:
        before = (
            ""
            if self.before is None
            else f"{self.before.flags} {'killed' if self.killed else 'without power'}, then "
        )
        return (
            f"{before}{self.mode.flags}, then {', then '.join(mode.flags for mode in self.after)}"
        )


class Life(Protocol):
    """What is tried."""

    disk: MemoryDisk
    sweep: Sweep

    @property
    def opened_log(self) -> wal.Log | None:
        """None until the start has opened it."""

    def begin(self, mode: Mode) -> None: ...
    def start(self) -> None: ...
    def work(self, acts: int) -> None: ...
    def stop(self) -> None: ...
    def end(self, killed: bool) -> bool: ...

    def check_revived(self, blind: bool) -> None:
        """A while after the error has gone: raises Violation if anything was refused that must not be,
        or is still.

        blind: see `Fault.blinding`.
        """


def attempt(life: Life, plan: Plan, fault: Fault) -> bool:
    """False if the call that was to fail never came. Raises Violation."""
    if plan.before is not None and not _live_before(life, plan.before, plan):
        return False
    life.begin(plan.mode)
    fault.begin(life.disk)
    failure = _live(life, plan.acts, fault)
    fault.end()
    if not fault.failed:
        return False
    _judge(life, fault, failure)
    life.sweep.fail()
    for mode in plan.after:
        if not life.end(killed=True):
            break
        _live_after(life, mode)
    return True


def _live_before(life: Life, mode: Mode, plan: Plan) -> bool:
    """False if the next one may refuse what is left."""
    life.begin(mode)
    life.start()
    life.work(plan.acts)
    return life.end(plan.killed)


def _live_after(life: Life, mode: Mode) -> None:
    life.disk.fail_writeback()
    life.begin(mode)
    life.start()
    life.work(AFTER)
    life.sweep.fail()


def _live(life: Life, acts: int, fault: Fault) -> wal.LogFailed | OSError | None:
    """What it ended with."""
    try:
        life.start()
        life.work(acts)
        if fault.failed:
            fault.end()
            life.check_revived(fault.blinding)
        life.stop()
    except (wal.LogFailed, OSError) as failure:
        return failure
    return None


def _judge(life: Life, fault: Fault, failure: wal.LogFailed | OSError | None) -> None:
    log = life.opened_log
    if failure is None:
        if not _may_be_overlooked(fault):
            raise Violation(f"expected the log to fail with errno {fault.error}, got nothing")
        return
    if failure.errno != fault.error:
        raise Violation(f"expected errno {fault.error}, got {failure}")
    if log is None:
        _check_released(life.disk)
    elif fault.expected:
        raise Violation(f"expected to go on, got {failure}")
    else:
        _check_final(life.disk, log)


def _may_be_overlooked(fault: Fault) -> bool:
    """Want of room, and the last close of a file whose contents are safe or mean nothing."""
    return fault.error in NO_ROOM or fault.failed[0].startswith(("close spare", "close log"))


def _check_final(disk: MemoryDisk, log: wal.Log) -> None:
    """Nothing more is promised or written, and everybody is told."""
    promised, before = log.promised_lsn, _contents(disk)
    for use in (
        lambda: log.append(b"x"),
        lambda: log.commit(at=1),
        log.collect,
        lambda: log.ensure_headroom(1),
        lambda: log.drain(at=1),
    ):
        with suppress(wal.LogFailed, ValueError):  # ValueError: it is closed
            use()
            raise Violation("expected a log that failed to say so, got nothing")
    log.sync(at=1)
    log.write_watermark(at=1)
    log.preallocate(1 << 20)
    log.trim(0)
    log.retire(1 << 30)
    with suppress(wal.LogFailed):
        log.close(at=1)
    if log.promised_lsn != promised or _contents(disk) != before:
        raise Violation(
            "expected a log that failed to do nothing more, got another promise, or other files"
        )
    _check_released(disk)


def _check_released(disk: MemoryDisk) -> None:
    if disk.handles:
        raise Violation(
            f"expected no file to be left open, got {sorted(path for path, _ in disk.handles.values())}"
        )


def _contents(disk: MemoryDisk) -> dict[str, bytes]:
    return {path: bytes(file.data) for path, file in disk.names.items()}
