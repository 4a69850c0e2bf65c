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
    """

    timeout_s = 1.0  # for a manager that does not read

    def __init__(self, environ: Mapping[str, str], report: Callable[[str], None]) -> None:
        self.path = environ.get("NOTIFY_SOCKET", "")
        self._report = report

    def __call__(self, **state: str | int) -> None:
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
