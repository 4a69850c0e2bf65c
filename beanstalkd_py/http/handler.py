"""One HTTP connection: gevent's WSGIHandler, with the limits on time and size that it lacks.

A request is complete when its head (request line and headers) and its whole body have arrived. The
application is called only then. Without a complete request in time, the connection is closed
without an answer. A request that is malformed or too large gets an error status, and the connection
is closed.
"""

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any

import gevent
from gevent.pywsgi import WSGIHandler

IDLE_S = 75.0  # until a request begins, and between two requests of a connection
HEAD_S = 10.0  # for the head of a request, from its first byte on
BODY_S = 10.0  # for its body
SEND_S = 10.0  # without progress of a response: the client does not read
HEAD_BYTES = 16 << 10
BODY_BYTES = 1 << 20

BAD_REQUEST = "400 Bad Request"
TOO_LARGE = "413 Request Entity Too Large"
HEAD_TOO_LARGE = "431 Request Header Fields Too Large"
NOT_IMPLEMENTED = "501 Not Implemented"


class Rejected(ValueError):
    """A request that the application does not see. status: of the answer."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class Handler(WSGIHandler):  # type: ignore[misc]
    """server: a `Connections`, which has the application, `incomplete` and the gate."""

    _limit: Any = None

    def handle(self) -> None:
        """Serves the connection until its end. Raises nothing that the client can cause."""
        self.socket.settimeout(SEND_S)
        try:
            super().handle()
        except (gevent.Timeout, OSError):
            pass  # the client was too slow, or has disconnected
        finally:
            self._no_limit()
            self.server.incomplete.pop(self, None)

    def _limit_to(self, seconds: float) -> None:
        self._no_limit()
        self._limit = gevent.Timeout.start_new(seconds)

    def _no_limit(self) -> None:
        if self._limit is not None:
            self._limit.close()
            self._limit = None

    # --- the request

    def read_requestline(self) -> str:
        self.server.incomplete[self] = gevent.getcurrent()
        self.socket.settimeout(None)  # `_limit` counts
        self._limit_to(IDLE_S)
        if not self.rfile.peek(1):
            return ""
        self._limit_to(HEAD_S)
        self.server.gate.wait()
        line: str = super().read_requestline()
        return line

    def MessageClass(self, stream: Any, *arguments: Any) -> Any:
        return super().MessageClass(_Head(stream, HEAD_BYTES), *arguments)

    def read_request(self, raw_requestline: str) -> bool:
        super().read_request(raw_requestline)
        if self.request_version not in ("HTTP/1.0", "HTTP/1.1"):
            raise Rejected(BAD_REQUEST)
        if self.headers.defects or len(self.headers.get_all("host", ())) > 1:
            raise Rejected(BAD_REQUEST)
        if "transfer-encoding" in self.headers:
            raise Rejected(NOT_IMPLEMENTED)
        lengths = self.headers.get_all("content-length", ["0"])
        if len(lengths) != 1 or not re.fullmatch("[0-9]{1,15}", lengths[0], re.ASCII):
            raise Rejected(BAD_REQUEST)
        if int(lengths[0]) > BODY_BYTES:
            raise Rejected(TOO_LARGE)
        return True

    def _handle_client_error(self, error: Exception) -> tuple[str, bytes]:
        """pywsgi's hook for requests that cannot be read. The base class prints to stderr."""
        status = error.status if isinstance(error, Rejected) else BAD_REQUEST
        answer = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        return status, answer.encode()

    def get_environ(self) -> dict[str, Any]:
        """RAW_PATH: as the client sent it. A tube name may have a slash, which is %2F there."""
        environ: dict[str, Any] = super().get_environ()
        environ["RAW_PATH"] = self.path.partition("?")[0]
        return environ

    # --- the response

    def handle_one_response(self) -> None:
        self._limit_to(BODY_S)
        body = self.wsgi_input.read()
        self._no_limit()
        self.server.incomplete.pop(self, None)
        self.environ["wsgi.input"] = BytesIO(body)
        self.socket.settimeout(SEND_S)
        super().handle_one_response()

    def finalize_headers(self) -> None:
        """The base class would send the end of the chunks also after the head of a HEAD, where a
        client takes it for the next response.
        """
        super().finalize_headers()
        if self.command == "HEAD":
            self.response_use_chunked = False

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        """An error of the application. The base class would pass it to the hub, which ends the
        server.
        """
        not_sent = (self.code or 0) < 0  # the client has disconnected, or does not read
        if isinstance(error, Exception) and not not_sent:
            self.server.failed(f"{self.command} {self.path}", error)
        self.close_connection = True
        self._send_error_response_if_possible(500)


class _Head:
    """Reads the lines of a head, up to a number of bytes in total."""

    def __init__(self, stream: Any, nbytes: int) -> None:
        self._readline: Callable[[int], bytes] = stream.readline
        self._left = nbytes

    def readline(self, limit: int) -> bytes:
        line = self._readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise Rejected(HEAD_TOO_LARGE)
        return line
