"""Starts an installed server as systemd does, and asks what an operator asks of it on the first
day: is it ready, is it healthy, and is a job still there after a kill?
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testkit.client import Client
from testkit.daemon import Daemon

from .command import Failed, run

BODY = b"kept"


def daemon(command: Sequence[str], prefix: Sequence[str] = ()) -> Daemon:
    """The service, on a port that the kernel chooses: flags win over the file. prefix: what runs
    the command, such as chroot.
    """
    return Daemon(program=command, prefix=prefix)


def through_a_kill(server: Daemon, ping: Sequence[str | Path]) -> None:
    """Puts a job, kills the server, starts it again, takes the job. Leaves a job and a killed
    server behind. Raises Failed or DidNotStart.
    """
    server.start()
    put(server)
    run([*ping, "ping", "--address", f"127.0.0.1:{server.port}"])
    server.kill()
    take(server.start())
    put(server)
    server.kill()


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
