"""Starts an installed server as systemd does, and asks what an operator asks of it on the first
day: is it ready, is it healthy, and is a job still there after a kill?
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from testkit.client import Client
from testkit.daemon import Daemon
from testkit.waiting import HANG_S

from .command import Failed, run

BODY = b"kept"


def daemon(command: Sequence[str], http: str | Path, prefix: Sequence[str] = ()) -> Daemon:
    """The service, on a port that the kernel chooses: flags win over the file. http: path of the
    socket for HTTP, as the server sees it. prefix: what runs the command, such as chroot.
    """
    return Daemon(("--http", f"unix:{http}"), program=command, prefix=prefix)


def through_a_kill(server: Daemon, ping: Sequence[str | Path], http: Path) -> None:
    """Puts a job, kills the server, starts it again, takes the job. Leaves a job and a killed
    server behind. http: the socket for HTTP, as this process sees it. Raises Failed or DidNotStart.
    """
    server.start()
    put(server)
    http_answers(http)
    run([*ping, "ping", "--address", f"127.0.0.1:{server.port}"])
    server.kill()
    take(server.start())
    put(server)
    server.kill()


def http_answers(path: Path) -> None:
    """HTTP has libraries of its own, which may be older than those of the tests."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(HANG_S)
        connection.connect(str(path))
        connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        _expect(connection.recv(4096).partition(b" ")[2], b"200 ")


def put(server: Daemon) -> None:
    with Client(server.connect()) as client:
        _expect(client.ask(b"put 0 0 60 %d\r\n%b\r\n" % (len(BODY), BODY)), b"INSERTED ")


def take(server: Daemon) -> None:
    """Deletes the job that `put` has left."""
    with Client(server.connect()) as client:
        reply = client.ask(b"reserve-with-timeout 0\r\n")
        _expect(reply, b"RESERVED ")
        _expect(client.ask(b"delete %b\r\n" % reply.split()[1]), b"DELETED")


def _expect(reply: bytes, begin: bytes) -> None:
    if not reply.startswith(begin):
        raise Failed(f"the server replied {reply!r} in place of {begin!r}")
