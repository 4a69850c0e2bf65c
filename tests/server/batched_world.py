"""Connections on real sockets, and poll batches as the server runs them."""

from __future__ import annotations

import socket

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.context import Context, SessionOwner
from beanstalkd_py.server.transport import PlainTransport


class World:
    """Runs poll batches as the server does."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher(Queue())
        self.connections: dict[int, Connection] = {}
        self.context = Context(
            self.dispatcher, print, self._make_session, lambda fd: self.connections.pop(fd)
        )
        self.clients: list[socket.socket] = []

    def _make_session(self, owner: SessionOwner, fd: int) -> Session:
        return Session(self.dispatcher, owner)

    def connect(self) -> tuple[Connection, socket.socket]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection = Connection(self.context, PlainTransport(ours, self.context.poller.epoll))
        self.connections[connection.fd] = connection
        self.clients.append(theirs)
        return connection, theirs

    def batch(self) -> None:
        """One poll batch. All its input is received before its first command is executed."""
        for fd, event, received in self.context.poller.poll():
            if fd in self.connections:
                self.connections[fd].on_event(event, received)
        self.end_batch()

    def end_batch(self) -> bool:
        return self.context.outbox.end_of_batch()

    def settle(self) -> None:
        """Iterations until nothing is left to do."""
        more = True
        while more or self.context.later or not self.context.outbox.empty:
            self.batch()
            self.context.run_later()
            more = self.end_batch()

    def receivable(self, connection: Connection) -> bool:
        return bool(self.context.poller.receivable[connection.fd])

    def hear(self, theirs: socket.socket, nbytes: int) -> bytes:
        """What the client reads, while the server goes on."""
        heard = b""
        for _ in range(1000):
            try:
                heard += theirs.recv(1 << 20)
            except BlockingIOError:
                if len(heard) >= nbytes:
                    break
            self.settle()
        return heard
