"""Memory of the reading commands: one segment, and each job without its body, however large the log
is.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.daemon import ROOT

from tests.tools.beanstalkd_binlog.logs import put, write

MIB = 1 << 20
BODIES = 96 * MIB
LIMIT = 48 * MIB  # beyond what the program takes on an empty log


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs of 64 KiB, in segments of 1 MiB; nothing is deleted."""
    body = bytes(range(256)) * 256
    batches = [[put(id, body=body)] for id in range(1, BODIES // len(body) + 1)]
    return write(tmp_path_factory.mktemp("big"), *batches, segment_bytes=MIB)


def run(*words: object, limit: int = resource.RLIM_INFINITY) -> subprocess.CompletedProcess[bytes]:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    command = [
        sys.executable,
        "-c",
        "from beanstalkd_binlog.cli import main; main()",
        *map(str, words),
    ]
    return subprocess.run(
        command,
        cwd=ROOT / "tools",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=limited,
    )


@pytest.fixture(scope="module")
def idle_bytes(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Address space that reading an empty directory takes."""
    peak = (
        "import sys; from beanstalkd_binlog import cli; cli.run(sys.argv[1:]); "
        "peaks = [line for line in open('/proc/self/status') if line.startswith('VmPeak')]; "
        "print(peaks[0].split()[1])"
    )
    command = [sys.executable, "-c", peak, "jobs", str(tmp_path_factory.mktemp("empty"))]
    return (
        int(subprocess.run(command, cwd=ROOT / "tools", capture_output=True, check=True).stdout)
        * 1024
    )


COMMANDS = [
    ["verify"],
    ["ls"],
    ["stats"],
    ["jobs", "--json", "--full"],
    ["jobs", "--at", "900"],
    ["dump", "--json"],
    ["history", "7"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_memory_does_not_grow_with_the_log(big, idle_bytes, words):
    command, *options = words
    done = run(command, big, *options, limit=idle_bytes + LIMIT)
    assert (done.returncode, done.stderr) == (0, b"")


def test_memory_limit_is_too_small_for_the_bodies(idle_bytes):
    hog = subprocess.run(
        [sys.executable, "-c", f"bytes({BODIES})"],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_AS, (idle_bytes + LIMIT, idle_bytes + LIMIT)
        ),
    )
    assert b"MemoryError" in hog.stderr and os.name == "posix"
