"""What all connections share: the queue, the outbox, and work for the next iteration of the loop.

The server makes one, the connections use it; so they need not know the server.
"""

from collections.abc import Callable
from time import monotonic_ns, time_ns
from typing import Protocol, cast

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.server.outbox import Outbox


class Owner(Protocol):
    """What owns a session."""

    def flush(self, now: int) -> None:
        """Takes the session's replies. now: monotonic, in ns."""


class Context:
    """report: takes a line for the operator. make_session: from its owner and the descriptor.
    forget: called with the descriptor of a connection that has closed.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        report: Callable[[str], None],
        make_session: Callable[[Owner, int], Session],
        forget: Callable[[int], None],
    ) -> None:
        self.dispatcher = dispatcher
        self.queue = dispatcher.queue
        self.report = report
        self.make_session = make_session
        self.forget = forget
        self.outbox = Outbox(None, 0, monotonic_ns, time_ns)  # until the log is open
        self.later: list[Callable[[], None]] = []  # what goes on in the next iteration
        self.ending = False  # no connection's end changes any job any more
        self._settling = False

    def run_later(self) -> None:
        """What those calls put off in turn is for the iteration after."""
        if self.later:
            later, self.later = self.later, []
            for go_on in later:
                go_on()

    def tick_if_due(self, now: int) -> None:
        """To be called before any command: what has expired by then has. now: monotonic, in ns."""
        if self.queue.next_at <= now:
            self.tick(now)

    def tick(self, now: int) -> None:
        self.queue.tick(now)
        self.settle(now)

    def settle(self, now: int) -> None:
        """Moves replies of woken clients to their connections.

        A flush may find its connection broken, and closing it wakes the next client, and so on. The
        loop here settles them one after another; nested calls return at once.
        """
        if self._settling:
            return
        self._settling = True
        while self.queue.woken:
            for session in Session.settle(self.dispatcher, now):
                if session.owner is not None:
                    cast(Owner, session.owner).flush(now)
        self._settling = False
