"""What list-connections shows of a socket."""

from __future__ import annotations

import os
import socket

from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import PeerSnapshot
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.context import Context
from beanstalkd_py.server.peers import peer_snapshot
from beanstalkd_py.server.transport import PlainTransport

SECOND = 1_000_000_000


def connection(sock: socket.socket) -> Connection:
    dispatcher = Dispatcher(Queue())
    context = Context(
        dispatcher, print, lambda owner, fd: Session(dispatcher, owner), lambda fd: None
    )
    return Connection(context, PlainTransport(sock, context.poller.epoll))


def test_tcp_client_has_an_address() -> None:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            server = socket.create_server((host, 0), family=family)
        except OSError:
            assert family == socket.AF_INET6  # the machine has none
            continue
        with server, socket.create_connection(server.getsockname()[:2]) as client:
            ours = connection(server.accept()[0])
            ours.queued = 77
            port = client.getsockname()[1]
            shown = peer_snapshot(ours.session, boot_ns())
            address = f"127.0.0.1:{port}" if family == socket.AF_INET else f"[::1]:{port}"
            assert (shown.address, shown.user, shown.pending_bytes) == (address, "", 77)
            later = ours.transport.opened_at + 5 * SECOND
            assert peer_snapshot(ours.session, later).age_ns == 5 * SECOND
            ours.close()
            assert peer_snapshot(ours.session, later) == PeerSnapshot()


def test_client_of_a_unix_socket_has_a_user() -> None:
    client, sock = socket.socketpair()
    with client:
        ours = connection(sock)
        shown = peer_snapshot(ours.session, boot_ns())
        assert (shown.address, shown.user) == ("", str(os.getuid()))
        ours.close()
