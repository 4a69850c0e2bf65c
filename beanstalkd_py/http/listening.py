"""The TCP socket of the HTTP side: without a login, on a loopback address only."""

import socket

from beanstalkd_py.http.hosts import is_loopback_address
from beanstalkd_py.server.listen import ListenFailed, listen_tcp


def listen_http(where: str, has_login: bool, instead: str, option: str) -> socket.socket:
    """where: ADDR:PORT. instead: what can be used without a login. option: that gives one. Raises
    ListenFailed.
    """
    host, _, port = where.rpartition(":")
    listener = listen_tcp(host.strip("[]"), port)
    if not has_login and not is_loopback_address(listener.getsockname()[0]):
        listener.close()
        raise ListenFailed(
            f"--http {where}: not a loopback address: others could use it without a login; use "
            f"{instead}, or {option}"
        )
    return listener
