"""The example of docs/dramatiq.md, with dramatiq's command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from testkit.daemon import Daemon

PAGE = Path(__file__).parents[2] / "docs" / "dramatiq.md"
MOST_LINES = 15


def example() -> str:
    return PAGE.read_text().split("```python\n")[1].split("```")[0]


def test_example_of_the_broker_is_short() -> None:
    assert len([line for line in example().splitlines() if line]) <= MOST_LINES


def test_example_of_the_broker_runs(server: Daemon, tmp_path: Path) -> None:
    source = example().replace('("127.0.0.1", 11300)', repr(server.address))
    (tmp_path / "sums.py").write_text(source)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environ = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    subprocess.run([sys.executable, "-m", "sums"], env=environ, check=True)
    command = [sys.executable, "-m", "dramatiq", "--processes=1", "--threads=1", "sums"]
    with subprocess.Popen(
        command,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # which has what actors print
        start_new_session=True,
    ) as workers:
        try:
            assert workers.stdout is not None
            numbers = (line for line in workers.stdout if line.strip().isdigit())
            assert [next(numbers), next(numbers)] == [b"3\n", b"7\n"]
            workers.terminate()
            assert workers.wait() == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(workers.pid, signal.SIGKILL)
