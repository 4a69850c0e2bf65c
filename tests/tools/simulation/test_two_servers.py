"""The short form of the world with a second writer; and that it can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from simulation.disk import MemoryDisk
from simulation.second_writer import run
from simulation.violation import Violation

SEEDS = range(60)
Break = Callable[[pytest.MonkeyPatch], None]


def test_second_writer_destroys_nothing() -> None:
    counts: Counter[str] = Counter()
    for seed in SEEDS:
        run(seed, counts)
    assert counts["second writers"] > 5
    assert counts["second starts refused"] > 5
    assert counts["directories with two branches"] > 5


def renames_replace(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryDisk, "rename", MemoryDisk.replace)


def lock_is_never_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("beanstalkd_wal.locking.Lock.check", lambda self: None)


def directory_is_not_locked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryDisk, "lock_directory", lambda self, directory: -1)


@pytest.mark.parametrize("broken", [lock_is_never_lost, directory_is_not_locked])
def test_broken_lock_is_detected(broken: Break, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch)
    with pytest.raises(Violation):
        for seed in SEEDS:
            run(seed, Counter())
