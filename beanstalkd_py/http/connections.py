"""The connections of the HTTP side: accepted, counted, and each served by a greenlet of its own.

There are at most CONNECTIONS of them. One more takes the place of the connection whose request has
been incomplete for the longest time. So neither idle clients nor slow ones keep out a client that
sends a request. If all have complete requests, the new connection is closed at once.

No error of a request may reach gevent's hub: there, every error ends the server.
"""

import os
import socket
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import gevent.socket
from gevent.pywsgi import WSGIServer

from beanstalkd_py.host.events import Report
from beanstalkd_py.http.gate import Gate
from beanstalkd_py.http.handler import Handler

READ = 1
CONNECTIONS = 64
ACCEPTS = 16  # at once, while there are no commands
REST_S = 0.001  # after each accept, while commands are served
PAUSE_S = 1.0  # when no descriptor is left

Application = Callable[[dict[str, Any], Any], Any]


class Connections(WSGIServer):  # type: ignore[misc]
    """incomplete: the handlers that wait for a whole request, with their greenlets; the one that
    has waited the longest comes first. report: called with a line for the operator.

    gevent's class is used for what `Handler` needs of it. It does not accept connections here: its
    way to handle an error is to pass it to the hub.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        application: Application,
        report: Report,
    ) -> None:
        # With SERVER_NAME, gevent does not look up the name of the host.
        super().__init__(
            listeners[0], application, log=None, error_log=None, handler_class=Handler,
            environ={"SERVER_NAME": "", "SERVER_PORT": ""},
        )  # fmt: skip
        self.incomplete: dict[Handler, Any] = {}
        self.gate = Gate()
        self._greenlets: set[Any] = set()
        self._report = report
        self._accepting = [self.loop.io(listener.fileno(), READ) for listener in listeners]
        self._listeners = listeners
        self._pause: Any = None  # the timer that ends a pause
        # Whether commands are served. During a replay the loop has few turns, and no commands.
        self.serves = True

    def begin(self) -> None:
        """Accepts connections."""
        for watcher, listener in zip(self._accepting, self._listeners, strict=True):
            watcher.start(self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(1 if self.serves else ACCEPTS):
            try:
                accepted, address = listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except (OSError, MemoryError):  # no descriptor is left, most likely
                self._pause_for(PAUSE_S)
                return
            if self.serves:
                self._pause_for(REST_S)
            self._admit(accepted, address)

    def _pause_for(self, seconds: float) -> None:
        """Accepts nothing for this time. Otherwise the loop would spin, or only accept."""
        for watcher in self._accepting:
            watcher.stop()
        # A new one: a timer that has fired would fire again at once.
        self._pause = self.loop.timer(seconds)
        self._pause.start(self.begin, update=True)

    def _admit(self, accepted: socket.socket, address: Any) -> None:
        if len(self._greenlets) >= CONNECTIONS and not self._make_place():
            accepted.close()
            return
        self._greenlets.add(gevent.spawn(self._serve, accepted, address))

    def _make_place(self) -> bool:
        """Closes the connection whose request has been incomplete for the longest time."""
        for handler, greenlet in self.incomplete.items():
            del self.incomplete[handler]
            self._greenlets.remove(greenlet)  # now, because it ends later
            greenlet.kill(block=False)
            return True
        return False

    def _serve(self, accepted: socket.socket, address: Any) -> None:
        try:
            with _Connection(self.gate, accepted) as connection:
                self.handle(connection, address)
        except Exception as error:
            self.failed("a request", error)
        finally:
            self._greenlets.discard(gevent.getcurrent())

    def failed(self, what: str, error: Exception) -> None:
        """Tells the operator of an error that is not the client's."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}, line {place.lineno}"
        message = f"http: {what[:100]!r} failed: {error!r} ({where}); please report it"
        self._report(message, event="http_failed")


class _Connection(gevent.socket.socket):  # type: ignore[misc]
    """Takes over the descriptor of an accepted socket. Each receive first passes the gate, when
    there is something to receive.
    """

    def __init__(self, gate: Gate, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        self._gate = gate

    def recv_into(self, *arguments: Any) -> Any:
        self._wait(self._read_event)
        self._gate.wait()
        return super().recv_into(*arguments)
