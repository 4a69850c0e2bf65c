"""What all connections share: the queue, the outbox, the sockets of a poll batch, and calls for the
next iteration of the loop.

The server makes one `Context`. Connections use it, so they need not import the server.
"""

from collections.abc import Callable
from time import time_ns
from typing import Protocol, cast

from beanstalkd_py.config.options import DEFAULT_MAX_PENDING
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.events import Report
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.server.outbox import Outbox
from beanstalkd_py.server.poller import Poller
from beanstalkd_py.server.sends import Sends


class SessionOwner(Protocol):
    """What owns a session."""

    def flush(self, now: int) -> None:
        """Takes the session's replies. now: boot time, in ns."""


class Context:
    """report: called with a line for the operator. make_session: makes a session, from its owner
    and its descriptor. forget: called with the descriptor of a closed connection.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        report: Report,
        make_session: Callable[[SessionOwner, int], Session],
        forget: Callable[[int], None],
    ) -> None:
        self.dispatcher = dispatcher
        self.queue = dispatcher.queue
        self.report = report
        self.make_session = make_session
        self.forget = forget
        self.sends = Sends(self.queue.memory)
        # until the log is open
        self.outbox = Outbox(None, 0, boot_ns, time_ns, self.sends.send)
        self.poller = Poller(self.queue.memory)
        # Bytes of replies that wait for one client, from which on no more of its commands are
        # executed.
        self.max_pending = DEFAULT_MAX_PENDING
        # Descriptors of connections that became PAUSED, for `Timeouts`: with the bytes that waited
        # when it looked.
        self.paused: dict[int, int] = {}
        self.later: list[Callable[[], None]] = []  # calls for the next iteration
        self.ending = False  # the server stops: a closed connection no longer changes jobs
        self._settling = False

    def run_later(self) -> None:
        """Makes the calls in `later`. A call that they add is made in the following iteration."""
        if self.later:
            later, self.later = self.later, []
            for go_on in later:
                go_on()

    def tick_if_due(self, now: int) -> None:
        """Ends delays, TTRs, pauses and waits that are due. To be called before each command. now:
        boot time, ns.
        """
        if self.queue.next_at <= now:
            self.tick(now)

    def tick(self, now: int) -> None:
        self.queue.tick(now)
        self.settle(now)

    def settle(self, now: int) -> None:
        """Moves replies of woken clients to their connections.

        A flush may find that its connection is broken. Closing that connection frees its jobs,
        which may wake other clients, and so on. The loop below handles them one after another, and
        a nested call returns at once.
        """
        if self._settling:
            return
        self._settling = True
        while self.queue.woken:
            for session in Session.settle(self.dispatcher, now):
                if session.owner is not None:
                    cast(SessionOwner, session.owner).flush(now)
        self._settling = False
