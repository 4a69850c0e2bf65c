"""The real sessions and engine and their model, which are made to do the same, step by step, and
must say the same.

May know: `Session` and `Engine`, the model. Promises: each method is one step of a server's loop:
whatever the step does, then the replies of those whom it woke; it returns all that is to be sent,
by client. A Violation says whose replies differ. What ends the step in the middle (the disk failed, the
power is gone) is raised when the model has taken it to its end: of that nobody was told.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import beanstalkd_wal as wal

from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.engine import Engine

from .disk import PowerFailure
from .recording_model import RecordingModel
from .reference.model import blurred
from .violation import Violation

Replies = dict[Hashable, bytes]


class Lockstep:
    def __init__(self, engine: Engine, model: RecordingModel) -> None:
        self.engine = engine
        self.model = model
        self.sessions: dict[Hashable, Session] = {}

    def connect(self, name: Hashable) -> None:
        self.sessions[name] = Session(self.engine, name)
        self.model.connect(name)

    def receive(self, name: Hashable, data: bytes, now: int) -> Replies:
        session = self.sessions[name]
        return self._step(
            now,
            lambda: session.receive(data, now),
            lambda: self.model.receive(name, data, now),
            session,
        )

    def end_of_input(self, name: Hashable, now: int) -> Replies:
        session = self.sessions[name]
        return self._step(
            now,
            lambda: session.end_of_input(now),
            lambda: self.model.half_close(name, now, ended=True),
            session,
        )

    def go_on(self, name: Hashable, now: int) -> Replies:
        """With commands that were held back."""
        session = self.sessions[name]
        return self._step(
            now, lambda: session.run(now), lambda: self.model.go_on(name, now), session
        )

    def lost(self, name: Hashable, now: int) -> Replies:
        session = self.sessions.pop(name)
        return self._step(now, lambda: session.lost(now), lambda: self.model.disconnect(name, now))

    def tick(self, now: int) -> Replies:
        return self._step(now, lambda: self.engine.tick(now), lambda: self.model.tick(now))

    def drain(self) -> None:
        self.engine.draining = self.model.draining = True

    # --- both

    def _step(
        self, now: int, real: Callable[[], object], model: Callable[[], None], *sessions: Session
    ) -> Replies:
        touched = list(sessions)
        failure: BaseException | None = None
        try:
            real()
            touched += Session.settle(self.engine, now)
        except (PowerFailure, wal.LogFailed) as end:
            failure = end
            touched += self.sessions.values()
        replies = self._taken(touched)
        heard = {name: blurred(data) for name, data in replies.items()}
        self.model.hear(heard)
        model()
        self.model.settle(now)
        self.model.mark()
        self._compare(heard, whole=failure is None)
        if failure is not None:
            raise failure
        return replies

    def _taken(self, sessions: list[Session]) -> Replies:
        replies: Replies = {}
        for session in sessions:
            data = session.take_output()
            if data:
                replies[session.owner] = replies.get(session.owner, b"") + data
        return replies

    def _compare(self, heard: Replies, whole: bool) -> None:
        for name in self.model.clients:
            said, expected = heard.get(name, b""), self.model.take_output(name)
            if said != expected if whole else not expected.startswith(said):
                raise Violation(f"client {name} was told {_difference(said, expected)}")
            if whole and self.sessions[name].closed is not self.model.is_closed(name):
                raise Violation(
                    f"client {name}: the server {'ends' if self.sessions[name].closed else 'goes on'}"
                )
        if whole and not self._in_time():
            raise Violation(
                f"something is due at {self.model.next_at()}, the server's timer is set to {self.engine.next_at}"
            )

    def _in_time(self) -> bool:
        due = self.model.next_at()
        return due is None or self.engine.next_at <= due


def _difference(said: bytes, expected: bytes) -> str:
    """From a little before the first byte that differs."""
    place = next(
        (n for n, (a, b) in enumerate(zip(said, expected, strict=False)) if a != b),
        min(len(said), len(expected)),
    )
    start = max(place - 60, 0)
    return f"at byte {place}\n    {said[start : place + 60]!r}\nand not\n    {expected[start : place + 60]!r}"
