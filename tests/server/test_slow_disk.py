"""A real server on a disk whose syncs take as long as the test wants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testkit.slow_disk import SlowDisk
from testkit.start import Start
from testkit.waiting import wait_until

needs_compiler = pytest.mark.usefixtures("compiler")


@needs_compiler
def test_stop_does_not_wait_for_preallocation(start: Start, log: str, tmp_path: Path) -> None:
    """Preallocation of two segments takes 32 syncs. One of them is under way at the stop."""
    disk = SlowDisk(tmp_path, threads=True)
    disk.stop()
    daemon = start("-b", log, environ=disk.environ)
    wait_until(lambda: disk.calls == 1, "the preparer waits for its first sync")
    daemon.terminate()
    wait_until(lambda: disk.calls == 2, "the committer waits for the sync of the stop")
    disk.go_on()
    assert daemon.wait_end() == 0
    assert disk.calls == 2


@needs_compiler
def test_hanging_sync_is_reported_while_it_hangs(start: Start, log: str, tmp_path: Path) -> None:
    """With a single client, the loop itself waits in the sync."""
    disk = SlowDisk(tmp_path)
    daemon = start("-b", log, environ=disk.environ)
    client = daemon.client()
    client.put()
    disk.stop()
    client.say(b"put 0 0 60 1\r\nx\r\n")
    wait_until(daemon.slow_disk_lines, "the first line")
    disk.go_on()
    assert client.hear() == [b"INSERTED 2\r\n"]
    wait_until(lambda: len(daemon.slow_disk_lines()) > 1, "the second line")
    first, second = daemon.slow_disk_lines()[:2]
    name = f"beanstalkd-py: {log}(?:/[a-z0-9.]+)?"  # a file, or the directory of a new spare
    assert re.fullmatch(rf"{name}: a sync has not returned for [\d.]+ s, and clients .*\n", first)
    assert re.fullmatch(rf"{name}: the sync took [\d.]+ s\n", second)
    assert daemon.stop() == 0
