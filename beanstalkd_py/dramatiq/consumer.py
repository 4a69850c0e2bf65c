"""The messages of one queue for one worker process, on one connection.

A consumer reserves jobs, touches those that are not finished, and ends them. Three facts:

1. The server executes no other command of a connection that waits in a reserve. So a consumer only
   waits in a reserve while it holds no job. Else it asks without waiting, at least every POLL_S.
2. Worker threads end jobs (ack, nack) while the consumer thread reserves others. A lock lets one
   thread at a time use the connection.
3. A lost connection releases its jobs, while worker threads go on with their messages. Such a job
   comes back to a later consumer of the same queue, which then holds it and does not return its
   message a second time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, RLock, Thread
from typing import Any, TypeGuard

import greenstalk
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.errors import BrokerConnectionError, ConnectionClosed, DecodeError
from dramatiq.logging import get_logger
from dramatiq.message import Message

from .client import MOST_PER_BATCH, Client

# Each empty reply doubles the time from the first to the longest.
FIRST_POLL_S, POLL_S = 0.005, 0.1
TOUCHES_PER_TTR = 3

Job = greenstalk.Job[bytes]


class Delivery(MessageProxy):
    """A message and its job.

    consumer: whose connection has reserved the job; None if none of this process has.
    put_back_s: a retry could not be enqueued. The job is released with this delay, not deleted.
    """

    def __init__(self, message: Message[Any], job: Job, consumer: BeanstalkdConsumer) -> None:
        super().__init__(message)
        self.job = job
        self.consumer: BeanstalkdConsumer | None = consumer
        self.put_back_s: int | None = None


@dataclass
class Queue:
    """deliveries: the messages that this process has received and not finished, by id of the job.
    priority: of the job of a message.
    """

    tube: str
    dead_tube: str
    ttr_s: int
    priority: Callable[[Any], int]
    deliveries: dict[int, Delivery] = field(default_factory=dict)

    def has(self, delivery: Delivery) -> bool:
        return self.deliveries.get(delivery.job.id) is delivery

    def forget(self, delivery: Delivery) -> None:
        if self.has(delivery):
            del self.deliveries[delivery.job.id]


class BeanstalkdConsumer(Consumer):
    def __init__(self, client: Client, queue: Queue, prefetch: int, timeout_ms: int) -> None:
        """client: connected, and used by this consumer only."""
        self.logger = get_logger(__name__, type(self))
        self._client = client
        self._queue = queue
        self._prefetch = prefetch
        self._timeout_ms = timeout_ms
        self._lock = RLock()
        self._arrived: deque[Delivery] = deque()
        self._settled = Event()
        self._ended = Event()
        self._closing = False
        self._poll_s = FIRST_POLL_S
        with self._connected():
            client.watch(queue.tube)
            if queue.tube != greenstalk.DEFAULT_TUBE:
                client.ignore(greenstalk.DEFAULT_TUBE)
        Thread(target=self._touch_on, name=f"touch {queue.tube}", daemon=True).start()

    # --- messages in

    def __next__(self) -> MessageProxy | None:
        if not self._arrived:
            self._fetch()
        return self._arrived.popleft() if self._arrived else None

    def _fetch(self) -> None:
        self._settled.clear()
        with self._connected() as client:
            held = len(self.held())
            most = min(self._prefetch - held, MOST_PER_BATCH)
            wait_s = 0 if held else self._timeout_ms // 1000
            jobs = self._reserve(client, most, wait_s) if most > 0 else []
            for job in jobs:  # with the lock: if the connection is lost, they are all known
                self._receive(client, job)
        if jobs or wait_s:
            self._poll_s = FIRST_POLL_S
        else:
            rest_s = self._timeout_ms / 1000
            self._settled.wait(min(rest_s, self._poll_s) if most > 0 else rest_s)
            self._poll_s = min(2 * self._poll_s, POLL_S)

    def _reserve(self, client: Client, most: int, wait_s: int) -> list[Job]:
        try:
            return client.reserve_batch(most, wait_s)
        except greenstalk.DeadlineSoonError:
            self.touch()
            return []

    def _receive(self, client: Client, job: Job) -> None:
        known = self._queue.deliveries.get(job.id)
        if known and known.job.body == job.body and "eta" not in known.options:
            known.consumer = self  # it is still being processed
            return
        try:
            message: Message[Any] = Message.decode(job.body)
        except DecodeError:
            self.logger.exception(
                "Job %d is no message. It goes to %s.", job.id, self._queue.dead_tube
            )
            self._kill(client, job, self._queue.priority(None))
            return
        delivery = Delivery(message, job, self)
        self._queue.deliveries[job.id] = delivery
        self._arrived.append(delivery)

    # --- messages out

    def ack(self, message: MessageProxy) -> None:
        if not self._known(message):
            return
        if message.put_back_s is None:
            self._settle(message, lambda client, job: client.delete(job))
        else:
            self._settle(message, self._release(message, message.put_back_s))

    def nack(self, message: MessageProxy) -> None:
        if not self._known(message):
            return
        priority = self._queue.priority(message)
        self._settle(message, lambda client, job: self._kill(client, job, priority))

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        for message in messages:
            if not self._known(message):
                continue
            if message.consumer is None:
                self._queue.forget(message)  # the job was released with its connection
                continue
            with suppress(BrokerConnectionError):
                self._settle(message, self._release(message, 0))
            self._queue.forget(message)

    def _known(self, message: MessageProxy) -> TypeGuard[Delivery]:
        """No longer, if it has ended already."""
        known = isinstance(message, Delivery) and self._queue.has(message)
        if not known:
            self.logger.warning("Message %r is not being processed.", message)
        return known

    def _release(self, message: Delivery, delay_s: int) -> Callable[[Client, Job], None]:
        priority = self._queue.priority(message)
        return lambda client, job: client.release(job, priority, delay_s)

    def _kill(self, client: Client, job: Job, priority: int) -> None:
        """To the dead letters. After each of the three commands, no worker gets the job again."""
        client.bury(job, priority)
        try:
            client.move_job(job.id, self._queue.dead_tube)
        except greenstalk.OutOfMemoryError:
            self.logger.warning("Disk full: job %d stays buried in %s.", job.id, self._queue.tube)
        else:
            client.kick_job(job.id)

    def _settle(self, delivery: Delivery, end: Callable[[Client, Job], None]) -> None:
        """Ends the job, on the connection that holds it. Raises BrokerConnectionError: dramatiq
        tries again then.
        """
        holder = delivery.consumer or self
        try:
            with holder._connected() as client:
                if delivery.consumer is None:
                    holder._take_back(client, delivery)
                end(client, delivery.job)
        except greenstalk.NotFoundError:
            self.logger.warning("Message %s was given to another worker.", delivery.message_id)
        except greenstalk.Error as error:
            raise BrokerConnectionError(f"the server refused: {error!r}") from error
        self._queue.forget(delivery)
        holder._settled.set()
        holder._end_if_idle()

    def _take_back(self, client: Client, delivery: Delivery) -> None:
        """Reserves the job of a lost connection. Raises NotFoundError if another worker has it. A
        server without a log begins again with id 1 after a restart, so the bodies are compared.
        """
        if client.peek(delivery.job.id).body != delivery.job.body:
            raise greenstalk.NotFoundError
        client.reserve_job(delivery.job.id)
        delivery.consumer = self

    # --- the connection

    def held(self) -> list[Delivery]:
        """Those whose jobs this connection has reserved."""
        return [one for one in list(self._queue.deliveries.values()) if one.consumer is self]

    @contextmanager
    def _connected(self) -> Iterator[Client]:
        with self._lock:
            if self._ended.is_set():
                raise ConnectionClosed(f"the connection for {self._queue.tube} is closed")
            try:
                with self._client.in_step():
                    yield self._client
            except greenstalk.Error:  # a reply
                raise
            except BaseException:
                self._end()
                raise

    def _touch_on(self) -> None:
        while not self._ended.wait(self._queue.ttr_s / TOUCHES_PER_TTR):
            with suppress(BrokerConnectionError):
                self.touch()

    def touch(self) -> None:
        """Their TTR begins again."""
        for delivery in self.held():
            with self._connected() as client:
                if not self._queue.has(delivery):
                    continue
                try:
                    client.touch(delivery.job)
                except greenstalk.NotFoundError:
                    delivery.consumer = None  # its TTR has ended

    def close(self) -> None:
        """Messages that worker threads have not finished keep the connection open. Those with an
        eta do not: after an error, dramatiq forgets them.
        """
        self._closing = True
        self.requeue([*self._arrived, *(one for one in self.held() if "eta" in one.options)])
        self._arrived.clear()
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._closing and not self.held():
            self._end()

    def _end(self) -> None:
        self._ended.set()
        self._client.close()
        for delivery in self.held():
            delivery.consumer = None
