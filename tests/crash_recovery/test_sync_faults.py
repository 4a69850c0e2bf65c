"""Syncs that fail or are interrupted below the server, in the C library's calls."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from killtest.conversation import Conversation, put
from testkit.daemon import Daemon, DidNotStart
from testkit.sync_faults import environment

Faults = Callable[..., dict[str, str]]

SYNC = """
import sys
from beanstalkd_wal.fs import FileSystem
fs = FileSystem()
try:
    fs.sync(fs.create(sys.argv[1]))
except OSError as error:
    print(error)
else:
    print("synced")
"""


@pytest.fixture
def faults(compiler: None) -> Faults:
    return environment


# --- a directory that cannot be synced


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EOPNOTSUPP])
def test_directory_that_cannot_be_synced_is_a_warning(directory, faults, error):
    environ = faults(FSYNC_OF_DIRECTORY=error)
    with Daemon(("-s", "65536"), directory=directory, environ=environ) as daemon:
        for started in range(2):
            daemon.start()
            with Conversation(daemon.connect()) as client:
                for _ in range(3):  # rotations sync the directory too
                    client.ask(put(bytes(50_000)))
                assert client.stats()["current-jobs-ready"] == str(3 * started + 3)
            daemon.kill()
            (line,) = daemon.errors().splitlines()
            assert line.startswith(
                f"beanstalkd-py: {directory}: the file system cannot sync directories"
            )


@pytest.mark.parametrize(
    ("error", "status", "helps"),
    [(errno.EIO, 74, ""), (errno.ENOMEM, 71, "; allow more memory (ulimit -v, LimitAS=)")],
)
def test_failed_sync_of_a_directory_is_final(directory, faults, error, status, helps):
    environ = faults(FSYNC_OF_DIRECTORY=error)
    with (
        Daemon(directory=directory, environ=environ) as daemon,
        pytest.raises(DidNotStart) as caught,
    ):
        daemon.start()
    assert caught.value.status == status
    assert caught.value.said == (
        f"beanstalkd-py: {directory}: failed: errno {error}: {os.strerror(error)}{helps}\n"
    )


# --- an interrupted sync


def sync_once(faults: Faults, folder: Path, error: int) -> tuple[str, int]:
    """What a sync by the log's file system says, and how often fdatasync was called."""
    calls = folder / "calls"
    environ = faults(FDATASYNC=error, FDATASYNC_CALLS=str(calls))
    said = subprocess.run(
        [sys.executable, "-c", SYNC, str(folder / "file")],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return said.stdout.strip(), calls.stat().st_size


def test_interrupted_sync_is_called_again(faults, tmp_path):
    """EINTR: the call did not finish, and no error of the disk was reported."""
    assert sync_once(faults, tmp_path, errno.EINTR) == ("synced", 3)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EAGAIN])
def test_failed_sync_is_never_called_again(faults, tmp_path, error):
    path = tmp_path / "file"
    said = f"[Errno {error}] {os.strerror(error)}: '{path}'"
    assert sync_once(faults, tmp_path, error) == (said, 1)
