"""Random clients: they use every command that changes something, with few tubes and few live jobs,
so that segments become empty.

May know: a process. Promises: deterministic. The replies are not checked here.
"""

from __future__ import annotations

from random import Random

from beanstalkd_py.protocol.session import Session

from .process import MS, Process

TUBES = (b"default", b"a", b"a-tube.of/some+length")
SECOND = 1000 * MS
# Of puts, by the first byte of the body.
SETTINGS = (
    b"", b"", b" key=" + b"k" * 99, b" expire=100000 key=e", b" key=until until=reserve",
    b" key=until until=reserve attempts=2", b" attempts=1", b" attempts=2 key=a",
)  # fmt: skip
POLICIES = (
    b"dead-tube=a", b"dead-tube=default max-attempts=2", b"max-attempts=1",
    b"dead-tube=a-tube.of/some+length expire=100000", b"max-attempts= dead-tube= expire=",
)  # fmt: skip


class Clients:
    """live: about how many jobs are kept."""

    def __init__(self, process: Process, rng: Random, live: int = 30) -> None:
        self.process = process
        self.rng = rng
        self.live = live
        self._steps = (
            *[self._put] * 8, *[self._reserve] * 4, *[self._finish] * 8, *[self._any_job] * 4,
            self._kick, self._move, self._pause, self._tube, self._policy, self._disconnect,
            *[self._wait] * 3,
        )  # fmt: skip

    def step(self) -> None:
        """One action, and in 60 % of the steps the end of an iteration."""
        while len(self.process.sessions) < 3:
            self.process.connect()
        self.rng.choice(self._steps)()
        if self.rng.random() < 0.6:
            self.process.end_batch()

    def _send(self, session: Session, line: bytes) -> None:
        self.process.send(session, line)

    def _idle_session(self) -> Session | None:
        """A client that is not waiting for a job."""
        idle = [session for session in self.process.sessions if not session.client.waiting]
        return self.rng.choice(idle) if idle else None

    # --- the actions

    def _put(self) -> None:
        session = self._idle_session()
        if session is None:
            return
        if len(self.process.queue.jobs) > self.rng.randrange(2 * self.live):
            return self._finish()
        body = self.rng.randbytes(self.rng.choice((0, 1, 40, 200, 600, 600, 1500, 5000)))
        numbers = self._pri(), self._delay(), self.rng.randrange(1, 4), len(body)
        settings = SETTINGS[body[0] % len(SETTINGS)] if body else b""
        word = b"put-with" if settings else b"put"
        self._send(session, b"%b %d %d %d %d%b\r\n%b" % (word, *numbers, settings, body))

    def _pri(self) -> int:
        return self.rng.choice((0, 10, 1023, 1024, 4294967295))

    def _delay(self) -> int:
        return self.rng.choice((0, 0, 0, 1, 2, 1000000))

    def _reserve(self) -> None:
        session = self._idle_session()
        if session is not None:
            self._send(session, b"reserve-with-timeout %d" % self.rng.choice((0, 0, 1)))

    def _finish(self) -> None:
        """Deletes, releases, buries or touches a reserved job."""
        holders = [
            session
            for session in self.process.sessions
            if session.client.reserved and not session.client.waiting
        ]
        if not holders:
            return self._reserve()
        session = self.rng.choice(holders)
        id = self.rng.choice(sorted(session.client.reserved))
        what = self.rng.randrange(8)
        if what < 3:
            self._send(session, b"delete %d" % id)
        elif what < 6:
            self._send(session, b"release %d %d %d" % (id, self._pri(), self._delay()))
        elif what == 6:
            self._send(session, b"bury %d %d" % (id, self._pri()))
        else:
            self._send(session, b"touch %d" % id)

    def _any_job(self) -> None:
        session = self._idle_session()
        if session is None or not self.process.queue.jobs:
            return
        id = self.rng.choice(sorted(self.process.queue.jobs))
        commands = (b"delete %d", b"delete %d", b"reserve-job %d", b"kick-job %d")
        self._send(session, self.rng.choice(commands) % id)

    def _kick(self) -> None:
        session = self._idle_session()
        if session is not None:
            self._send(session, b"kick %d" % self.rng.choice((1, 2, 100)))

    def _move(self) -> None:
        session = self._idle_session()
        if session is None or not self.process.queue.jobs:
            return
        id, tube = self.rng.choice(sorted(self.process.queue.jobs)), self.rng.choice(TUBES)
        state = self.rng.choice((b"ready", b"delayed", b"buried"))
        move_jobs = b"move-jobs %b %b %b 2" % (self.rng.choice(TUBES), state, tube)
        self._send(session, self.rng.choice((b"move-job %d %b" % (id, tube), move_jobs)))

    def _pause(self) -> None:
        session = self._idle_session()
        if session is not None:
            tube, seconds = self.rng.choice(TUBES), self.rng.choice((0, 1, 2, 1000))
            self._send(session, b"pause-tube %b %d" % (tube, seconds))

    def _tube(self) -> None:
        session = self._idle_session()
        if session is not None:
            command = self.rng.choice((b"use ", b"watch ", b"ignore "))
            self._send(session, command + self.rng.choice(TUBES))

    def _policy(self) -> None:
        session = self._idle_session()
        if session is not None:
            tube, policy = self.rng.choice(TUBES), self.rng.choice(POLICIES)
            self._send(session, b"set-tube %b %b" % (tube, policy))

    def _disconnect(self) -> None:
        self.process.disconnect(self.rng.choice(self.process.sessions))

    def _wait(self) -> None:
        self.process.elapse(self.rng.choice((MS, 30 * MS, 200 * MS, SECOND, 3 * SECOND)))
