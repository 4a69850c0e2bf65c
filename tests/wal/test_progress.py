"""What the log's threads report."""

from __future__ import annotations

from errno import ENOMEM

import pytest
from beanstalkd_wal import progress
from beanstalkd_wal.progress import Progress


@pytest.mark.sources
def test_failure_is_recorded_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise its thread would end, and the owner would wait for it for ever."""

    def no_memory(error: Exception, path: str, offset: int) -> None:
        raise MemoryError

    monkeypatch.setattr(progress, "failure_of", no_memory)
    found = Progress(0, 0, 0, lambda: None)
    found.fail("a file", 0, OSError(5, "EIO"))
    assert found.failure is not None and found.failure.errno == ENOMEM
