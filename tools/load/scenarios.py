"""Which loads there are, and what is the same about all: a daemon of its own, warmed up, and after
the load everything as before.

May know: everything here, the installed daemon. Promises: a Fault names the load.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable
from random import Random

from killtest.conversation import Conversation, put
from killtest.daemon import INSTALLED, Daemon
from killtest.world import Fault

from .comeandgo import come_and_go
from .crowd import crowd
from .drip import drip
from .halfopen import half_open
from .scale import Scale
from .slow import slow
from .storm import TOO_MANY, few_descriptors, storm
from .vitals import check_at_rest, check_right_answers, vitals_at_rest

Load = Callable[[Daemon, Scale, Random], str]
LOADS: dict[str, Load] = {
    "crowd": crowd,
    "slow": slow,
    "half-open": half_open,
    "drip": drip,
    "storm": storm,
    "few-descriptors": few_descriptors,
    "come-and-go": come_and_go,
}
WARM_UP_JOBS = 5_000
WARM_UP_CLIENTS = 50


def run(name: str, scale: Scale, seed: int, logged: bool, program: str = INSTALLED[0]) -> str:
    """One load on a server with a log or without. Returns what was done. Raises Fault."""
    few = name == "few-descriptors"
    limit = ("prlimit", f"--nofile={scale.descriptors}:{scale.descriptors}") if few else ()
    about = f"{name} {'with' if logged else 'without'} a log"
    with tempfile.TemporaryDirectory(prefix="load.") as directory:
        with Daemon(directory if logged else None, prefix=limit, program=(program,)) as daemon:
            try:
                daemon.start()
                _warm_up(daemon)
                before = vitals_at_rest(daemon)
                done = LOADS[name](daemon, scale, Random(seed))
                check_at_rest(daemon, before, TOO_MANY if few else "")
                if status := daemon.stop():
                    raise Fault(f"status {status} at the end")
            except Exception as error:
                raise Fault(
                    f"{about}: {type(error).__name__}: {error}\n{daemon.errors()}"
                ) from error
    return f"{about}: {done}"


def _warm_up(daemon: Daemon) -> None:
    """What a process needs from its first day on is there afterwards."""
    for _ in range(WARM_UP_CLIENTS):
        check_right_answers(daemon)
    with Conversation(daemon.connect()) as client:
        ids = [reply.id for reply in client.ask(*[put(bytes(100))] * WARM_UP_JOBS)]
        client.ask(*[b"delete %d" % id for id in ids])


def raise_limit() -> int:
    """As many descriptors as one is allowed to have. Returns how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
