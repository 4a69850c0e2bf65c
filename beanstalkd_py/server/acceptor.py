"""Accepts connections from the listening sockets, up to a limit. When no descriptor is left, it
pauses.

The listeners are in the same epoll object as the clients. So the server sees new and closed
connections in the order in which the clients opened and closed them.
"""

import errno
import os
import select
import socket
from collections.abc import Callable, Sized
from functools import partial
from typing import Any

from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.events import Report
from beanstalkd_py.server.admission import Admission
from beanstalkd_py.server.batchedio import Received

ACCEPTS = 64  # connections accepted per readiness event of a listener
PAUSE_S = 1.0  # of a pause, if no connection closes before
REPORT_NS = 60_000_000_000  # at least, between two reports of a pause

# By descriptor; called with flags of epoll and what was received.
Handlers = dict[int, Callable[[int, Received], None]]


class Acceptor:
    """admit: called with each accepted socket, which is non-blocking, and with the client's address
    ("" for a unix socket). admission: decides whether a client may stay. connections: the open
    connections. limit: for how many of them there are descriptors. handlers: the listeners'
    handlers are added to it. loop: gevent's.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        epoll: select.epoll,
        handlers: Handlers,
        loop: Any,
        admit: Callable[[socket.socket, str], None],
        admission: Admission,
        connections: Sized,
        limit: int,
        report: Report,
    ) -> None:
        self._listeners = listeners
        self._epoll = epoll
        self._handlers = handlers
        self._loop = loop
        self._admit = admit
        self._admission = admission
        self._connections = connections
        self._limit = limit
        self._report = report
        self._report_at = 0
        self._pause: Any = None  # the timer that ends it
        self._stopped = False

    def start(self) -> None:
        for listener in self._listeners:
            self._epoll.register(listener, select.EPOLLIN)
            self._handlers[listener.fileno()] = partial(self._on_readable, listener)

    def stop(self) -> None:
        """Accepts no more connections, ever. The listeners stay open."""
        self._stopped = True
        if self._pause is None:
            self._unregister()
        else:
            self._pause.stop()

    def _unregister(self) -> None:
        for listener in self._listeners:
            self._epoll.unregister(listener)
            del self._handlers[listener.fileno()]

    def connection_closed(self, fd: int) -> None:
        """The descriptor is free again."""
        self._admission.closed(fd)
        if self._pause is not None:
            self._loop.run_callback(self._resume)

    def _on_readable(self, listener: socket.socket, event: int, received: Received) -> None:
        for _ in range(ACCEPTS):
            if len(self._connections) >= self._limit:
                self._begin_pause(
                    f"{self._limit} connections: no descriptors for more, so others wait"
                )
                return
            try:
                sock, peer = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # the client has disconnected already
            except OSError as error:
                self._begin_pause(f"accept(): {error.strerror}")
                return
            except MemoryError:
                self._begin_pause(f"accept(): {os.strerror(errno.ENOMEM)}")
                return
            address: str = "" if sock.family == socket.AF_UNIX else peer[0]
            if not self._admission.admits(address):
                sock.close()
                continue
            sock.setblocking(False)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._admit(sock, address)
            except OSError as error:  # epoll has a limit of its own
                sock.close()
                self._begin_pause(f"epoll: {error.strerror}; see fs.epoll.max_user_watches")
                return

    def _begin_pause(self, why: str) -> None:
        """Stops accepting for PAUSE_S. Most likely no descriptor is left. New clients wait in the
        backlog, and the loop does not spin. The operator gets a report at most every REPORT_NS.
        """
        now = boot_ns()
        if now >= self._report_at:
            self._report_at = now + REPORT_NS
            self._report(why, event="accepting_paused")
        if self._pause is None:
            self._unregister()
            self._pause = self._loop.timer(PAUSE_S)
            self._pause.start(self._resume, update=True)

    def _resume(self) -> None:
        if self._pause is None or self._stopped:
            return
        self._pause.stop()
        self._pause = None
        self.start()
