"""Compiles and runs beanload, the load generator, and returns its measurements as a Sample.

beanload checks every reply. A wrong reply fails the run.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from .pipeline import make_tubes
from .rows import Load
from .servers import Running

SOURCE = Path(__file__).with_name("beanload.c")
WARM_UP_DIVISOR = 20  # a warm-up with this fraction of the jobs precedes each run
WARM_UP_MAX_JOBS = 5_000


class Sample(NamedTuple):
    """The result of one run.

    user_us, system_us: CPU time of the server per job. Latencies run from write to reply, in us;
    nan if the load does not use the command.
    """

    per_s: float
    user_us: float
    system_us: float
    put_p50_us: float = math.nan
    put_p99_us: float = math.nan
    put_p999_us: float = math.nan
    delete_p50_us: float = math.nan
    delete_p99_us: float = math.nan
    delete_p999_us: float = math.nan


class BeanloadError(Exception):
    """beanload cannot be compiled. The message says why."""


class Beanload:
    """The compiled program."""

    def __init__(self, source: Path, directory: Path) -> None:
        if not source.exists():
            raise BeanloadError(f"{source} does not exist: name it with --beanload")
        if not shutil.which("cc"):
            raise BeanloadError("a C compiler (cc) is needed to build beanload")
        self._program = directory / "beanload"
        subprocess.run(["cc", "-O2", "-o", str(self._program), str(source)], check=True)

    def run(
        self,
        server: Running,
        producers: int,
        consumers: int,
        depth: int,
        jobs: int,
        body: int = 100,
        more: tuple[str, ...] = (),
    ) -> Sample:
        """One run of beanload. more: further options of beanload.

        Raises subprocess.CalledProcessError after a wrong or missing reply, or a lost job.
        """
        options = {
            "-p": server.port,
            "-P": producers,
            "-C": consumers,
            "-d": depth,
            "-n": jobs,
            "-s": body,
        }
        before = server.cpu()
        command = [
            str(self._program),
            *(str(word) for option in options.items() for word in option),
            *more,
        ]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        used = server.cpu().since(before)
        return _sample(json.loads(output), used.user / jobs * 1e6, used.system / jobs * 1e6)


def _sample(found: dict[str, object], user_us: float, system_us: float) -> Sample:
    latencies: dict[str, float] = {}
    for command in ("put", "delete"):
        measured = found.get(f"{command}_us", {})
        assert isinstance(measured, dict)
        latencies.update(
            {
                f"{command}_{key}_us": measured[key]
                for key in ("p50", "p99", "p999")
                if key in measured
            }
        )
    jobs, seconds = found["jobs"], found["seconds"]
    assert isinstance(jobs, int) and isinstance(seconds, float)
    return Sample(jobs / max(seconds, 1e-3), user_us, system_us, **latencies)


def measure(beanload: Beanload, server: Running, load: Load, jobs: int) -> Sample:
    """One run of a load on a fresh server."""
    make_tubes(server, load.tubes)
    warm_up = max(1, min(jobs // WARM_UP_DIVISOR, WARM_UP_MAX_JOBS))
    if load.preloaded:
        beanload.run(server, 50, 0, 50, jobs + warm_up)
    depth = min(load.depth, jobs)
    beanload.run(server, load.producers, load.consumers, min(depth, warm_up), warm_up, load.body)
    return beanload.run(server, load.producers, load.consumers, depth, jobs, load.body)
