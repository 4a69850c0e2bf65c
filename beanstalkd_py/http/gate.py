"""A gate that lets one greenlet pass in each turn of the loop.

A greenlet runs until it must wait. While the next request of its connection has already arrived, it
need not wait, so one connection could keep the loop from all commands. So each request, and each
receive, passes the gate first. All HTTP connections together then take a small share of the loop,
whatever they send.
"""

import gevent
from gevent.lock import Semaphore

# To sleep for this time gives the loop a turn. libev rounds it up to 1 ms, and does not wait if
# sockets have events.
TURN_S = 0.0005


class Gate:
    def __init__(self) -> None:
        self._lock = Semaphore(1)

    def wait(self) -> None:
        with self._lock:
            gevent.sleep(TURN_S)
