"""sd_notify: tells the service manager the daemon's state, if NOTIFY_SOCKET is set.

A NOTIFY_SOCKET that cannot be reached is reported once and then ignored.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping


class Notify:
    """`notify(READY=1, STATUS="serving")` sends these assignments as in sd_notify(3). Without
    NOTIFY_SOCKET it does nothing.

    watchdog_s: within so many seconds the manager expects the next WATCHDOG=1, or it restarts the
    service (sd_watchdog_enabled(3)). 0: it expects none. ready: whether the manager was told that
    the service is ready, and not yet that it stops.
    """

    timeout_s = 1.0  # for a manager that does not read

    def __init__(self, environ: Mapping[str, str], report: Callable[[str], None]) -> None:
        self.path = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environ) if self.path else 0.0
        self.ready = False
        self._report = report

    def __call__(self, **state: str | int) -> None:
        self.ready = "STOPPING" not in state and (self.ready or "READY" in state)
        if not self.path:
            return
        text = "\n".join(f"{name}={value}" for name, value in state.items())
        # A leading @ means the zero byte of an abstract socket.
        address = "\0" + self.path[1:] if self.path.startswith("@") else self.path
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(self.timeout_s)
                sender.sendto(os.fsencode(text), address)
        except OSError as error:
            self._report(f"NOTIFY_SOCKET={self.path}: {error.strerror or error}")
            self.path = ""


def _watchdog_s(environ: Mapping[str, str]) -> float:
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isascii() or not usec.isdigit() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(usec) / 1e6
