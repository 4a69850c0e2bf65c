"""A series of runs on one disk: perhaps a run without a fault, then a run with one fault, then runs
without a fault.

May know: workloads, faults. Promises: the outcome is checked against "a failed write or sync is
final". An error ends the log at once and for good. Everything promised before the error, and
everything that the later runs promise, is there. If space or descriptors are missing while
headroom is prepared, nothing ends and nothing is refused except puts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

import beanstalkd_wal as wal

from ..disk import MemoryDisk
from ..violation import Violation
from .fault import NO_SPACE, Fault
from .process import Mode
from .workload import Workload

STEPS_AFTER = 15  # of each run after the one with the fault


class Plan(NamedTuple):
    """steps: of the run with the fault, and of the run before it."""

    before: Mode | None  # of a run before that has no fault and ends in a kill or a power cut
    killed: bool
    mode: Mode  # of the run with the fault
    after: tuple[Mode, ...]
    steps: int

    def __str__(self) -> str:
        before = ""
        if self.before is not None:
            end = "killed" if self.killed else "without power"
            before = f"{self.before.flags} {end}, then "
        after = ", then ".join(mode.flags for mode in self.after)
        return f"{before}{self.mode.flags}, then {after}"


def run_with_fault(workload: Workload, plan: Plan, fault: Fault) -> bool:
    """False if the run had fewer calls than `fault.nth`. Raises Violation."""
    headroom_lost = plan.before is not None and _run_before(workload, plan.before, plan)
    workload.begin(plan.mode)
    fault.begin(workload.disk)
    failure = _run(workload, plan.steps, fault, headroom_lost)
    fault.end()
    if not fault.failed:
        return False
    _check_outcome(workload, fault, failure)
    workload.sweep.fail()
    for mode in plan.after:
        workload.end(killed=True)
        _run_after(workload, mode)
    return True


def _run_before(workload: Workload, mode: Mode, plan: Plan) -> bool:
    """Returns whether headroom was lost with the power. What a put allocates at once is not synced,
    so the log does not promise that it survives a power cut.
    """
    workload.begin(mode)
    workload.start()
    workload.work(plan.steps)
    before = _spare_bytes(workload.disk)
    workload.end(plan.killed)
    return not plan.killed and _spare_bytes(workload.disk) < before


def _spare_bytes(disk: MemoryDisk) -> int:
    return sum(len(file.data) for path, file in disk.names.items() if "/spare." in path)


def _run_after(workload: Workload, mode: Mode) -> None:
    workload.disk.fail_writeback()
    workload.begin(mode)
    workload.start()
    workload.work(STEPS_AFTER)
    workload.sweep.fail()


def _run(
    workload: Workload, steps: int, fault: Fault, headroom_lost: bool
) -> wal.LogFailed | OSError | None:
    """Returns the error that ended the run."""
    try:
        workload.start()
        workload.work(steps)
        if fault.failed:
            fault.end()
            workload.check_serves_again(headroom_lost or fault.hides_headroom)
        workload.stop()
    except (wal.LogFailed, OSError) as failure:
        return failure
    return None


def _check_outcome(
    workload: Workload, fault: Fault, failure: wal.LogFailed | OSError | None
) -> None:
    log = workload.opened_log
    if failure is None:
        if not _may_go_on(fault):
            raise Violation(f"expected the log to fail with errno {fault.error}, got nothing")
        return
    if failure.errno != fault.error:
        raise Violation(f"expected errno {fault.error}, got {failure}")
    if not _named_files(failure) & set(fault.failed_files):
        raise Violation(f"expected the name of the file that failed, got {failure}")
    if log is None:
        _check_closed(workload.disk)
    elif fault.expected:
        raise Violation(f"expected to go on, got {failure}")
    else:
        _check_final(workload.disk, log)


def _may_go_on(fault: Fault) -> bool:
    """A missing resource, or the last close of a file whose contents are durable or not needed."""
    return fault.error in NO_SPACE or fault.failed[0].startswith(("close spare", "close log"))


def _named_files(failure: wal.LogFailed | OSError) -> set[str]:
    """The file that the operator's line names."""
    path = failure.path if isinstance(failure, wal.LogFailed) else failure.filename
    return {os.path.basename(str(path))}


def _check_final(disk: MemoryDisk, log: wal.Log) -> None:
    """The failed log promises and writes nothing more, and every use of it raises."""
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
            raise Violation("expected a failed log to raise, got nothing")
    log.sync(at=1)
    log.write_watermark(at=1)
    log.preallocate(1 << 20)
    log.trim(0)
    log.retire(1 << 30)
    with suppress(wal.LogFailed):
        log.close(at=1)
    if log.promised_lsn != promised or _contents(disk) != before:
        raise Violation(
            "expected a failed log to do nothing more, got another promise, or other files"
        )
    _check_closed(disk)


def _check_closed(disk: MemoryDisk) -> None:
    if disk.handles:
        paths = sorted(path for path, _ in disk.handles.values())
        raise Violation(f"expected all files to be closed, got {paths}")


def _contents(disk: MemoryDisk) -> dict[str, bytes]:
    return {path: bytes(file.data) for path, file in disk.names.items()}
