"""The list of loads, and how each is run.

Each load has its own daemon, which is warmed up first. After the load the daemon must be as idle as
before. A Fault names the load.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from random import Random

from killtest.conversation import Conversation, put
from killtest.fault import Fault
from testkit.daemon import INSTALLED, Daemon

from .connection_churn import ACCEPT_PAUSED, connection_churn, few_descriptors
from .half_open import half_open
from .job_cycles import job_cycles
from .large_bodies import large_bodies
from .many_connections import many_connections
from .process_metrics import check_idle, check_serves, idle_metrics
from .scale import Scale
from .slow_readers import slow_readers
from .slow_writers import slow_writers

Load = Callable[[Daemon, Scale, Random], str]
LOADS: dict[str, Load] = {
    "many-connections": many_connections,
    "slow-readers": slow_readers,
    "half-open": half_open,
    "slow-writers": slow_writers,
    "connection-churn": connection_churn,
    "few-descriptors": few_descriptors,
    "job-cycles": job_cycles,
    "large-bodies": large_bodies,
}
# On a slow machine a client of any load may read late.
READS_LATE = (
    r"(?:\S+: a client from \S+ does not read: \d+ bytes of replies wait for it \(--max-pending\)"
    r"(?:; \d+ more since the last such line)?\n)*"
)
WARM_UP_JOBS = 5_000
WARM_UP_CLIENTS = 50


def run(name: str, scale: Scale, seed: int, with_log: bool, program: str = INSTALLED[0]) -> str:
    """Runs one load on a server with or without a log. Returns a summary. Raises Fault."""
    few = name == "few-descriptors"
    limit = ("prlimit", f"--nofile={scale.descriptors}:{scale.descriptors}") if few else ()
    about = f"{name} {'with' if with_log else 'without'} a log"
    with tempfile.TemporaryDirectory(prefix="load.") as directory:
        log = directory if with_log else None
        largest = ("-z", str(2 * scale.large_body))
        with Daemon(largest, directory=log, prefix=limit, program=(program,)) as daemon:
            try:
                daemon.start()
                _warm_up(daemon)
                before = idle_metrics(daemon)
                done = LOADS[name](daemon, scale, Random(seed))
                check_idle(daemon, before, (ACCEPT_PAUSED if few else "") + READS_LATE)
                if status := daemon.stop():
                    raise Fault(f"exit status {status}")
            except Exception as error:
                raise Fault(
                    f"{about}: {type(error).__name__}: {error}\n{daemon.errors()}"
                ) from error
    return f"{about}: {done}"


def _warm_up(daemon: Daemon) -> None:
    """Lets the process allocate everything that it keeps for its lifetime."""
    for _ in range(WARM_UP_CLIENTS):
        check_serves(daemon)
    with Conversation(daemon.connect()) as client:
        ids = [reply.id for reply in client.ask(*[put(bytes(100))] * WARM_UP_JOBS)]
        client.ask(*[b"delete %d" % id for id in ids])


def raise_limit() -> int:
    """Raises the limit of descriptors to the hard limit, and returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
