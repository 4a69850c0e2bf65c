"""Mutants of the commands: priorities, times and the order of waiting clients, as in the C
server.
"""

from __future__ import annotations

from .invariants import Invariant
from .mutant import SIMULATION, Mutant

COMMANDS = (
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "ttr-early",
        "a TTR ends a second early",
        "beanstalkd_py/queue/state.py",
        "client.deadlines.first()) is not None and job.deadline_at <= now:\n",
        "client.deadlines.first()) is not None and job.deadline_at - MARGIN <= now:\n",
        (SIMULATION, "tests/wire/test_engine.py -k ttr"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "ttr-late",
        "a TTR ends half a second late",
        "beanstalkd_py/queue/state.py",
        "client.deadlines.first()) is not None and job.deadline_at <= now:\n",
        "client.deadlines.first()) is not None and job.deadline_at + MARGIN // 2 <= now:\n",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "ttr-never",
        "no timer is set for the end of a TTR",
        "beanstalkd_py/queue/state.py",
        "        if deadline_at < client.timer_at:\n            self._plan(client, deadline_at)\n",
        "",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "touch-does-nothing",
        "touch replies but does not extend the deadline",
        "beanstalkd_py/queue/queue.py",
        "        job.deadline_at = now + job.ttr\n"
        "        client.deadlines.push(job.deadline_at, id, len(client.reserved))\n",
        "",
        (SIMULATION, "tests/wire/test_engine.py -k ttr"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "priority-between-tubes",
        "reserve takes from the first watched tube, whatever the priorities",
        "beanstalkd_py/queue/state.py",
        "                if best is None or (job.pri, job.id) < (best.pri, best.id):\n",
        "                if best is None:\n",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "priority-in-a-tube",
        "jobs of one tube are reserved by id, whatever their priority",
        "beanstalkd_py/queue/state.py",
        "            tube.ready.add(job.pri, job.id, tube.ready_count)\n",
        "            tube.ready.add(job.pri // URGENT, job.id, tube.ready_count)\n",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "waiting-unfair",
        "the last waiting client is served first",
        "beanstalkd_py/queue/state.py",
        "            client = next(iter(waiting))\n",
        "            client = next(reversed(waiting))\n",
        (SIMULATION, "tests/wire/test_engine.py -k reserve"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "pause-ignored",
        "jobs of a paused tube can be reserved",
        "beanstalkd_py/queue/state.py",
        "            if tube.ready_count and not tube.paused_until:\n",
        "            if tube.ready_count:\n",
        (SIMULATION, "tests/wire/test_engine.py -k pause"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "delay-early",
        "delayed jobs become ready a second early",
        "beanstalkd_py/queue/state.py",
        "tube.delayed.first()) is not None and job.deadline_at <= now:\n",
        "tube.delayed.first()) is not None and job.deadline_at - MARGIN <= now:\n",
        (SIMULATION, "model --seed 2"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "kick-takes-delayed",
        "kick takes delayed jobs while there are buried jobs",
        "beanstalkd_py/queue/queue.py",
        "        buried = bool(tube.buried)\n",
        "        buried = bool(tube.buried) and not tube.delayed\n",
        (SIMULATION, "tests/wire/test_engine.py -k states"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "foreign-delete",
        "delete removes a job that another client has reserved",
        "beanstalkd_py/queue/queue.py",
        "        if job is None or (job.state == RESERVED and job.owner is not client):\n",
        "        if job is None:\n",
        (SIMULATION, "tests/wire/test_engine.py -k states"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "disconnect-keeps-jobs",
        "jobs of a disconnected client stay reserved",
        "beanstalkd_py/queue/state.py",
        "        for job in list(client.reserved.values()):\n            self.lose(job, now)\n",
        "",
        (
            SIMULATION,
            "tests/wire/test_connections.py::test_broken_connection_releases_its_jobs",
        ),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "split-body-loses-byte",
        "a body that arrives in pieces loses a byte",
        "beanstalkd_py/protocol/bodies.py",
        "        collected.truncate(size)\n",
        "        collected.truncate(size - 1)\n",
        (SIMULATION, "tests/wire/test_engine.py -k bodies"),
    ),
)
