"""Runs the real sessions and queue and the reference model in lockstep, and compares their replies
after each step.

May know: `Session` and `Dispatcher`, the recording model. Promises: each method is one step of a
server's loop. The step includes the replies to clients that it woke, and the method returns all
bytes to send, by client. A Violation names the client whose replies differ.

A step may end early because the disk failed or the power is gone. Then the exception is raised
after the model has finished the step. No client has been told about such a step.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import beanstalkd_wal as wal

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session

from .disk import PowerFailure
from .memory import Memory
from .recording_model import RecordingModel
from .reference.model import without_unknowns
from .violation import Violation

Replies = dict[Hashable, bytes]


class Lockstep:
    def __init__(self, dispatcher: Dispatcher, model: RecordingModel, memory: Memory) -> None:
        self.dispatcher = dispatcher
        self.queue = dispatcher.queue
        self.model = model
        self.memory = memory
        model.may_run_out = memory.short
        self.queue.memory.allocate = memory.allocate
        self.sessions: dict[Hashable, Session] = {}

    def connect(self, name: Hashable) -> None:
        self.sessions[name] = Session(self.dispatcher, name)
        self.model.connect(name)

    def receive(self, name: Hashable, data: bytes, now: int) -> Replies:
        session = self.sessions[name]
        return self.step(
            now,
            lambda: session.receive(data, now),
            lambda: self.model.receive(name, data, now),
            session,
        )

    def end_of_input(self, name: Hashable, now: int) -> Replies:
        session = self.sessions[name]
        return self.step(
            now,
            lambda: session.end_of_input(now),
            lambda: self.model.half_close(name, now, ended=True),
            session,
        )

    def go_on(self, name: Hashable, now: int) -> Replies:
        """Runs commands that were held back because of unsent replies."""
        session = self.sessions[name]
        return self.step(
            now, lambda: session.run(now), lambda: self.model.go_on(name, now), session
        )

    def lost(self, name: Hashable, now: int) -> Replies:
        session = self.sessions.pop(name)
        return self.step(now, lambda: session.lost(now), lambda: self.model.disconnect(name, now))

    def tick(self, now: int) -> Replies:
        return self.step(now, lambda: self.queue.tick(now), lambda: self.model.tick(now))

    def drain(self) -> None:
        self.queue.draining = self.model.draining = True

    # --- one step of both

    def step(
        self,
        now: int,
        server_step: Callable[[], object],
        model_step: Callable[[], None],
        *sessions: Session,
    ) -> Replies:
        touched = list(sessions)
        failure: BaseException | None = None
        try:
            with self.memory.serving():
                server_step()
                touched += Session.settle(self.dispatcher, now)
        except (PowerFailure, wal.LogFailed) as end:
            failure = end
            touched += self.sessions.values()
        replies = self._take_output(touched)
        comparable = {name: without_unknowns(data) for name, data in replies.items()}
        self.model.set_replies(comparable)
        model_step()
        self.model.settle(now)
        self.model.record_changes()
        self._compare(comparable, whole=failure is None)
        if failure is not None:
            raise failure
        return replies

    def _take_output(self, sessions: list[Session]) -> Replies:
        replies: Replies = {}
        for session in sessions:
            data = session.take_output()
            if data:
                replies[session.owner] = replies.get(session.owner, b"") + data
        return replies

    def _compare(self, replies: Replies, whole: bool) -> None:
        """whole: the step came to its end. Otherwise replies may be missing at the end."""
        for name in self.model.clients:
            got, expected = replies.get(name, b""), self.model.take_output(name)
            if got != expected if whole else not expected.startswith(got):
                raise Violation(f"client {name} was told {_difference(got, expected)}")
            closed = self.sessions[name].closed
            if whole and closed is not self.model.is_closed(name):
                raise Violation(f"client {name}: the server {'ends' if closed else 'goes on'}")
        if whole and not self._timer_is_early_enough():
            raise Violation(
                f"something is due at {self.model.next_at()}, "
                f"the server's timer is set to {self.queue.next_at}"
            )

    def _timer_is_early_enough(self) -> bool:
        due = self.model.next_at()
        return due is None or self.queue.next_at <= due


def _difference(got: bytes, expected: bytes) -> str:
    """Both, from a little before the first byte that differs."""
    place = next(
        (n for n, (a, b) in enumerate(zip(got, expected, strict=False)) if a != b),
        min(len(got), len(expected)),
    )
    part = slice(max(place - 60, 0), place + 60)
    return f"at byte {place}\n    {got[part]!r}\nand not\n    {expected[part]!r}"
