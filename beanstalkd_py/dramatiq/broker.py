"""The broker: messages become jobs. What it promises is in docs/dramatiq.md."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

import greenstalk
from dramatiq.broker import Broker
from dramatiq.common import xq_name
from dramatiq.errors import BrokerError, ConnectionClosed, QueueJoinTimeout, QueueNotFound
from dramatiq.message import Message
from dramatiq.middleware import Middleware

from .client import Address, Client
from .consumer import BeanstalkdConsumer, Delivery, Queue

T = TypeVar("T")

MOST_BYTES_OF_A_TUBE_NAME: Final = 200
# Of an actor with priority 0, and of other clients that use greenstalk's default.
PRIORITY_OF_0: Final = greenstalk.DEFAULT_PRIORITY
LARGEST_PRIORITY: Final = 2**32 - 1


class BeanstalkdBroker(Broker):
    """address: (host, port) or the path of a unix socket.
    prefix: of the names of all tubes.
    ttr_s: after so many seconds, the message of a worker that hangs goes to another worker. The
        messages of a worker that ended do so at once.
    max_attempts: after so many deliveries a message is a dead letter; 0: never. Retries by dramatiq
        do not count.
    """

    queues: dict[str, Queue]

    def __init__(
        self,
        address: Address = ("127.0.0.1", 11300),
        *,
        middleware: list[Middleware] | None = None,
        prefix: str = "dramatiq.",
        ttr_s: int = 60,
        max_attempts: int = 20,
    ) -> None:
        super().__init__(middleware)
        if ttr_s < 2:  # in the last second of a TTR, a reserve gets DEADLINE_SOON
            raise ValueError(f"ttr_s must be at least 2, not {ttr_s}")
        self.address = address
        self.prefix = prefix
        self.ttr_s = ttr_s
        self.max_attempts = max_attempts
        # Connections for everything except consumers. A thread has one as long as it uses it.
        self._free: deque[Client] = deque()
        self._pid = os.getpid()

    def close(self) -> None:
        """Closes the connections that no thread uses. The next command opens a new one."""
        while self._free:
            self._free.pop().close()

    def declare_queue(self, queue_name: str) -> None:
        if queue_name in self.queues:
            return
        tube, dead_tube = self.prefix + queue_name, self.prefix + xq_name(queue_name)
        if len(dead_tube) > MOST_BYTES_OF_A_TUBE_NAME:
            raise ValueError(
                f"the name of the tube {dead_tube} is longer than {MOST_BYTES_OF_A_TUBE_NAME} bytes"
            )
        self.emit_before("declare_queue", queue_name)
        self.queues[queue_name] = Queue(tube, dead_tube, self.ttr_s, self._priority)
        self.emit_after("declare_queue", queue_name)

    def _queue(self, queue_name: str) -> Queue:
        try:
            return self.queues[queue_name]
        except KeyError:
            raise QueueNotFound(queue_name) from None

    def _priority(self, message: Any) -> int:
        """dramatiq and the server agree: the smallest number comes first."""
        actor = self.actors.get(message.actor_name) if message else None
        return min(max(PRIORITY_OF_0 + (actor.priority if actor else 0), 0), LARGEST_PRIORITY)

    def consume(
        self, queue_name: str, prefetch: int = 1, timeout: int = 30000
    ) -> BeanstalkdConsumer:
        queue = self._queue(queue_name)
        client = Client(self.address)
        dead_tube = queue.dead_tube if self.max_attempts else ""
        try:
            with client.in_step():
                client.set_tube(queue.tube, max_attempts=self.max_attempts, dead_tube=dead_tube)
        except greenstalk.OutOfMemoryError:  # a worker must not wait until others make space
            self.logger.warning("Disk full: the limit of attempts of %s is not set.", queue.tube)
        return BeanstalkdConsumer(client, queue, prefetch, timeout)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """delay: in milliseconds; the server rounds it up to seconds. Raises BrokerError."""
        queue = self._queue(message.queue_name)
        delay_s = max(0, math.ceil((delay or 0) / 1000))
        self.emit_before("enqueue", message, delay)
        try:
            self._put(queue, message, delay_s)
        except BaseException:
            if isinstance(message, Delivery):  # a retry: dramatiq only logs the error, and acks
                message.put_back_s = delay_s
            raise
        self.emit_after("enqueue", message, delay)
        return message

    def _put(self, queue: Queue, message: Message[Any], delay_s: int) -> None:
        body, priority = message.encode(), self._priority(message)
        try:
            self._ask(lambda client: client.put_in(queue.tube, body, priority, delay_s, self.ttr_s))
        except greenstalk.Error as error:
            raise BrokerError(
                f"{queue.tube}: the server refused a message of {len(body)} bytes: {error!r}"
            ) from error

    def flush(self, queue_name: str) -> None:
        """Drops its messages and its dead letters, except those that workers have received."""
        queue = self._queue(queue_name)
        self._ask(lambda client: client.truncate(queue.tube))
        self._ask(lambda client: client.truncate(queue.dead_tube))

    def flush_all(self) -> None:
        for queue_name in list(self.queues):
            self.flush(queue_name)

    def join(self, queue_name: str, *, interval: int = 100, timeout: int | None = None) -> None:
        """Returns when the queue has no message, not even a delayed or received one."""
        tube = self._queue(queue_name).tube
        give_up_at = math.inf if timeout is None else time.monotonic() + timeout / 1000
        while self._ask(lambda client: client.unfinished(tube)):
            if time.monotonic() >= give_up_at:
                raise QueueJoinTimeout(queue_name)
            time.sleep(interval / 1000)

    def _ask(self, command: Callable[[Client], T]) -> T:
        """Runs the command on a free connection. If that is lost, for example because the server
        was started again, the command is sent once more: a message may be there twice then.
        """
        client = self._take()
        if client is not None:
            try:
                return self._ask_on(client, command)
            except ConnectionClosed:
                self.close()  # the others are as old
        return self._ask_on(Client(self.address), command)

    def _take(self) -> Client | None:
        if self._pid != os.getpid():  # after a fork, the parent uses the same connections
            self.close()
            self._pid = os.getpid()
        try:
            return self._free.pop()
        except IndexError:
            return None

    def _ask_on(self, client: Client, command: Callable[[Client], T]) -> T:
        try:
            with client.in_step():
                result = command(client)
        except greenstalk.Error:
            self._free.append(client)
            raise
        self._free.append(client)
        return result
