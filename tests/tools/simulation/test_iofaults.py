"""The short form of simulation.iofaults, and a test that every call of the seam is failed."""

from __future__ import annotations

import errno
from collections import Counter

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import preparer
from beanstalkd_wal.directory import Directory
from beanstalkd_wal.progress import Progress
from beanstalkd_wal.replay import SegmentInfo
from simulation.iofaults import fail_each
from simulation.sweep.fault import Fault
from simulation.sweep.log_workload import LogWorkload
from simulation.sweep.process import MODES, Mode
from simulation.sweep.queue_workload import TAKES_SPACE, QueueWorkload
from simulation.sweep.trial import Plan, run_with_fault
from simulation.sweep.workload import Workload
from simulation.violation import Violation

from beanstalkd_py.protocol.commands import COMMANDS

SYNCED, WINDOW, NEVER = MODES
PLANS = {
    "-f0": Plan(None, False, SYNCED, (SYNCED,), 20),
    "-f0 without power, -f0": Plan(SYNCED, False, SYNCED, (SYNCED,), 15),
    "-F killed, -f 50": Plan(NEVER, True, WINDOW, (SYNCED,), 15),
    "-f0 killed, -F": Plan(SYNCED, True, NEVER, (NEVER, SYNCED), 15),
}
ERRORS = {"EIO": (errno.EIO, 1), "ENOSPC": (errno.ENOSPC, 40), "EMFILE": (errno.EMFILE, 3)}
NOT_CALLED_BY_THE_LOG = {"lock", "lock_directory", "locked", "is_open", "urandom"}

plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
error = pytest.mark.parametrize("error, span", ERRORS.values(), ids=ERRORS)


def fail_all(
    subject: type[LogWorkload] | type[QueueWorkload],
    plan: Plan,
    error: int,
    span: int,
    first: int = 1,
    step: int = 1,
) -> int:
    """How many calls failed."""
    counts: Counter[str] = Counter()

    def workload(mode: Mode) -> Workload:
        return subject(1, (mode,), counts, tries=1)

    fail_each(workload, plan, error, span, counts, first, step)
    return counts["calls failed"]


@error
@plan
def test_log_keeps_promises_whatever_call_fails(plan, error, span):
    assert fail_all(LogWorkload, plan, error, span) > 30


@error
@plan
def test_queue_keeps_promises_whatever_call_fails(plan, error, span):
    """With fewer steps, and each third call, in each plan another third: a start of the queue alone
    makes fifty calls. The test above fails each call of the log.
    """
    first = 1 + list(PLANS.values()).index(plan) % 3
    plan = plan._replace(steps=plan.steps * 3 // 5)
    assert fail_all(QueueWorkload, plan, error, span, first, step=3) > 10


def test_log_takes_a_limit_on_the_size_of_files_for_a_full_disk():
    assert fail_all(LogWorkload, PLANS["-f0 without power, -f0"], errno.EFBIG, 40) > 30


@pytest.mark.parametrize("subject", [LogWorkload, QueueWorkload])
def test_every_call_of_the_seam_is_failed(subject):
    seen = set()

    class RecordingFault(Fault):
        def __call__(self, call: str, path: str) -> None:
            seen.add(call)

    for steps in (1, 120):  # after one step the last segment has no records, and is replaced
        plan = PLANS["-f0 without power, -f0"]._replace(steps=steps)
        assert not run_with_fault(
            subject(1, MODES[:1], Counter(), tries=0), plan, RecordingFault(1, errno.EIO)
        )
    assert (
        seen
        == {call for call in vars(wal.FileSystem) if not call.startswith("_")}
        - NOT_CALLED_BY_THE_LOG
    )


# --- the check can fail


def violation(plan: Plan, error: int) -> str:
    with pytest.raises(Violation) as caught:
        fail_all(QueueWorkload, plan, error, 1)
    return str(caught.value)


def test_log_that_goes_on_after_an_error_is_caught(monkeypatch):
    monkeypatch.setattr(Progress, "fail", lambda self, path, offset, error: None)
    assert "expected the log to fail with errno 5, got nothing" in violation(
        PLANS["-f0"], errno.EIO
    )


def test_log_that_ends_without_descriptors_is_caught(monkeypatch):
    monkeypatch.setattr(preparer, "NO_SPACE", frozenset())
    assert "expected to go on, got" in violation(PLANS["-f0"], errno.EMFILE)


def test_start_that_trusts_a_sync_after_a_failed_one_is_caught(monkeypatch):
    monkeypatch.setattr(wal.recover, "_seal", seal_without_a_write)
    assert "power failure" in violation(PLANS["-f0"], errno.EIO)


def seal_without_a_write(directory: Directory, info: SegmentInfo, last: bool, durable: bool) -> int:
    handle = directory.fs.open(info.path)
    if last:
        directory.fs.truncate(handle, info.used_bytes)
    directory.fs.sync(handle)
    directory.fs.close(handle)
    return info.used_bytes if last else info.file_bytes


def test_failure_that_names_another_file_is_caught(monkeypatch):
    def failure_of(error: OSError, path: str, offset: int) -> wal.LogFailed:
        return wal.LogFailed("/log/another", 0, error.errno or 0)

    monkeypatch.setattr(wal.recover, "failure_of", failure_of)
    assert "expected the name of the file that failed, got /log/another" in violation(
        PLANS["-f0"], errno.EIO
    )


def test_full_disk_may_refuse_every_put_and_every_move() -> None:
    """move-jobs was once taken for a command that it never refuses."""
    words = {row.name.encode() for row in COMMANDS}
    assert TAKES_SPACE == {word for word in words if word.startswith((b"put", b"move-"))}
