"""Server-sent events: one sampler, one message for all listeners.

The sampler works while there are listeners. Each of them sends the newest message when its client
has taken the one before. So a slow client misses messages and uses no memory for them.
"""

import json
from collections.abc import Callable, Iterator
from time import time
from typing import Any

import gevent
from gevent.event import Event

from beanstalkd_py.http.api.errors import ApiError
from beanstalkd_py.http.api.render import rendered
from beanstalkd_py.http.api.source import Source
from beanstalkd_py.http.api.turns import Turns

INTERVAL_S = 1.0
LISTENERS = 20  # of the connections, some are left for other requests
MOST_TUBES = 1000  # in a message
RETRY = b"retry: 2000\n\n"


class Events:
    """failed: called with an internal error."""

    def __init__(
        self, source: Source, turns: Turns, failed: Callable[[str, Exception], None]
    ) -> None:
        self._source = source
        self._turns = turns
        self._failed = failed
        self._listeners = 0
        self._runs = False
        self._message = b""
        self._number = 0  # of the message; 0: there is none
        self._changed = Event()

    def listen(self) -> Iterator[bytes]:
        """Raises ApiError."""
        if self._listeners >= LISTENERS:
            raise ApiError(503, "busy", f"There are {LISTENERS} listeners; no more can be served.")
        return self._listen()

    def _listen(self) -> Iterator[bytes]:
        self._listeners += 1
        try:
            if not self._runs:
                self._runs = True
                gevent.spawn(self._sample)
            yield RETRY
            sent = 0
            while True:
                if sent == self._number:
                    self._changed.wait()
                sent = self._number
                if not self._message:
                    return
                yield self._message
        finally:
            self._listeners -= 1

    def _sample(self) -> None:
        """No error may leave a greenlet: it would end the server."""
        try:
            while self._listeners:
                self._set(self._event())
                gevent.sleep(INTERVAL_S)
        except Exception as error:
            self._failed("the sampler", error)
            self._set(b"")
        finally:
            self._runs = False
            self._number = 0

    def _set(self, message: bytes) -> None:
        self._message = message
        self._number += 1
        changed, self._changed = self._changed, Event()
        changed.set()

    def _event(self) -> bytes:
        try:
            return b"event: sample\ndata: " + self._data() + b"\n\n"
        except ApiError as error:
            return f"event: trouble\ndata: {json.dumps(error.as_json())}\n\n".encode()

    def _data(self) -> bytes:
        tubes, left_out = self._source.tubes()
        left_out += max(len(tubes) - MOST_TUBES, 0)
        sample: dict[str, Any] = {
            "at": time(), "stats": self._source.stats(), "tubes": tubes[:MOST_TUBES],
            "left_out": left_out,
        }  # fmt: skip
        with self._turns.work():
            return b"".join(rendered(sample, self._turns))
