"""Measures how long the server's garbage collections take with many jobs.

    PYTHONPATH=.:wal:tools .venv/bin/python -m bench.collector [JOBS]

Puts JOBS jobs (three million if not given) through the session, leaving a cycle of garbage before
each collection, with 10 and with 1000 clients connected. Prints the longest pause, the CPU time per
put, and whether every cycle was freed.
"""

from __future__ import annotations

import sys
import time
import weakref

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.collector import LIMIT, Collector

JOBS = 3_000_000
CONNECTIONS = (10, 1000)
PUTS = b"put 0 0 60 10\r\n0123456789\r\n" * 100


class Garbage:
    def __init__(self) -> None:
        self.itself = self


def main(jobs: int) -> None:
    dispatcher = Dispatcher(Queue())
    producer = Session(dispatcher)
    collector = Collector()
    collector.begin()
    clients: list[Session] = []
    for count, share in zip(CONNECTIONS, (jobs // 2, jobs), strict=True):
        clients += [Session(dispatcher) for _ in range(count - len(clients))]
        pauses: list[float] = []
        garbage: list[weakref.ref[Garbage]] = []
        before = len(dispatcher.queue.jobs)
        while len(dispatcher.queue.jobs) < share:
            garbage.append(weakref.ref(Garbage()))
            for _ in range(LIMIT // 100):
                producer.receive(PUTS, time.monotonic_ns())
                producer.take_output()
            began = time.process_time()
            visited = collector.collect()
            pauses.append(time.process_time() - began)
        puts = len(dispatcher.queue.jobs) - before
        print(
            f"{len(clients)} clients, {len(dispatcher.queue.jobs)} jobs: "
            f"{len(pauses)} collections, the last one visited {visited} objects, "
            f"longest {max(pauses) * 1e3:.1f} ms, {sum(pauses) / puts * 1e6:.3f} us a put, "
            f"{sum(each() is None for each in garbage)} of {len(garbage)} cycles freed"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else JOBS)
