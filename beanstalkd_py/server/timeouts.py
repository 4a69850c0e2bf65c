"""The limits on time: --idle-timeout and --input-timeout. Also tells about --max-pending.

There is no timer per client or command. `check` looks at all connections once a second. It notes
what it finds and closes a client that has not changed for too long. So a client is closed up to two
seconds late, and never early. If the process was stopped or the machine suspended, a client may
have sent bytes meanwhile that were not received yet. So the time between two checks counts
LONGEST_NS at most.

A client that is closed gets no answer, because it would take it for the reply to its next command.
Replies that wait for a client are limited by `Connection`: above --max-pending, it executes no
further commands of the client. If the client then reads nothing at all, that is reported here.
"""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.server.admission import INSIDE
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.context import Context
from beanstalkd_py.server.life import PAUSED, READING
from beanstalkd_py.server.limit_reports import LimitReports

TIMEOUT_CHECK_S: Final = 1.0  # between two calls of `check`
_SECOND: Final = 1_000_000_000  # ns
LONGEST_NS: Final = 2 * _SECOND
_REPORTED: Final = -1


class Timeouts:
    """connections: by descriptor. address: returns the address of a client, by its descriptor.

    idle_s, input_s: the limits in seconds; 0 without a limit. idle_closed, input_closed, stalled:
    how often a client was closed, or has read nothing.
    """

    def __init__(
        self,
        connections: dict[int, Connection],
        context: Context,
        reports: LimitReports,
        address: Callable[[int], str],
    ) -> None:
        self.idle_s = self.input_s = 0
        self.idle_closed = self.input_closed = self.stalled = 0
        self._connections = connections
        self._context = context
        self._reports = reports
        self._address = address
        self._checked_at = 0
        self._time = 0  # ns, as it counts

    def set(self, idle_s: int, input_s: int) -> None:
        """New limits. A limit that was 0 begins to count now."""
        for connection in self._connections.values():
            connection.active = connection.active or not self.idle_s
            connection.unfinished = connection.unfinished if self.input_s else 0
        self.idle_s = idle_s
        self.input_s = input_s

    def check(self, now: int) -> None:
        """To be called every TIMEOUT_CHECK_S. now: boot time, ns."""
        self._time += min(now - self._checked_at, LONGEST_NS)
        self._checked_at = now
        if self._context.paused:
            self._check_paused()
        if not self.idle_s and not self.input_s:
            return
        for connection in list(self._connections.values()):
            if connection.gone:  # closed by a close before it
                continue
            if self.idle_s and self._is_idle(connection, self._time):
                self.idle_closed += 1
                self._close(connection, f"it was idle for {self.idle_s} s", "--idle-timeout")
            elif self.input_s and self._is_slow(connection, self._time):
                self.input_closed += 1
                why = f"it took over {self.input_s} s for one line or body"
                self._close(connection, why, "--input-timeout")

    def _is_idle(self, connection: Connection, now: int) -> bool:
        client = connection.session.client
        # A reply that waits for the log, or a kick that goes on, is work of the server.
        works = (connection.queued or connection.session.held) and not connection.stalled
        if connection.active or works or client.waiting or client.reserved:
            connection.active = False
            connection.idle_since = now
            return False
        is_over = now - connection.idle_since >= self.idle_s * _SECOND
        return is_over and self._address(connection.fd) != INSIDE

    def _is_slow(self, connection: Connection, now: int) -> bool:
        session = connection.session
        receives = connection.life is READING and not session.client.waiting
        unfinished = session.parser.unfinished if receives else 0
        if not unfinished or unfinished != connection.unfinished:
            connection.unfinished = unfinished
            connection.unfinished_since = now
            return False
        return now - connection.unfinished_since >= self.input_s * _SECOND

    def _close(self, connection: Connection, why: str, option: str) -> None:
        self._reports.reached(option, f"{self._client(connection.fd)} was closed: {why}")
        connection.close()

    def _check_paused(self) -> None:
        """Reports clients that have read nothing since the latest check."""
        paused = self._context.paused
        for fd, queued in list(paused.items()):
            connection = self._connections.get(fd)
            if connection is None or connection.life is not PAUSED:
                del paused[fd]
            elif not connection.stalled or queued == _REPORTED:
                continue
            elif queued != connection.queued:
                paused[fd] = connection.queued
            else:
                paused[fd] = _REPORTED
                self.stalled += 1
                text = f"{self._client(fd)} does not read: {queued} bytes of replies wait for it"
                self._reports.reached("--max-pending", text)

    def _client(self, fd: int) -> str:
        return f"a client from {self._address(fd) or 'a unix socket'}"
