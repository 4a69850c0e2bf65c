"""What clients do, at random: every command that changes something, over few tubes, with few jobs
alive at a time, so that segments die.

May know: a process, rng. Promises: deterministic; nothing is asked of the reply but that it comes.
"""

from __future__ import annotations

from random import Random

from beanstalkd_py.protocol.session import Session

from .process import MS, Process

TUBES = (b"default", b"a", b"a-tube.of/some+length")
SECOND = 1000 * MS


class Clients:
    """live: how many jobs there are to be, about."""

    def __init__(self, process: Process, rng: Random, live: int = 30) -> None:
        self.process = process
        self.rng = rng
        self.live = live
        self._acts = (
            *[self._put] * 8, *[self._reserve] * 4, *[self._finish] * 8, *[self._any_job] * 4, self._kick, self._pause, self._tube,
            self._come_and_go, *[self._wait] * 3,
        )  # fmt: skip

    def act(self) -> None:
        """One thing, and perhaps the end of a turn."""
        while len(self.process.sessions) < 3:
            self.process.connect()
        self.rng.choice(self._acts)()
        if self.rng.random() < 0.6:
            self.process.turn()

    def _say(self, session: Session, line: bytes) -> None:
        self.process.say(session, line)

    def _anybody(self) -> Session | None:
        """Who does not wait."""
        idle = [session for session in self.process.sessions if not session.client.waiting]
        return self.rng.choice(idle) if idle else None

    # --- what one can do

    def _put(self) -> None:
        session = self._anybody()
        if session is None:
            return
        if len(self.process.queue.jobs) > self.rng.randrange(2 * self.live):
            return self._finish()
        body = self.rng.randbytes(self.rng.choice((0, 1, 40, 200, 600, 600, 1500, 5000)))
        self._say(
            session,
            b"put %d %d %d %d\r\n%b"
            % (self._pri(), self._delay(), self.rng.randrange(1, 4), len(body), body),
        )

    def _pri(self) -> int:
        return self.rng.choice((0, 10, 1023, 1024, 4294967295))

    def _delay(self) -> int:
        return self.rng.choice((0, 0, 0, 1, 2, 1000000))

    def _reserve(self) -> None:
        session = self._anybody()
        if session is not None:
            self._say(session, b"reserve-with-timeout %d" % self.rng.choice((0, 0, 1)))

    def _finish(self) -> None:
        """Something with a job that is held."""
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
            self._say(session, b"delete %d" % id)
        elif what < 6:
            self._say(session, b"release %d %d %d" % (id, self._pri(), self._delay()))
        elif what == 6:
            self._say(session, b"bury %d %d" % (id, self._pri()))
        else:
            self._say(session, b"touch %d" % id)

    def _any_job(self) -> None:
        session = self._anybody()
        if session is None or not self.process.queue.jobs:
            return
        id = self.rng.choice(sorted(self.process.queue.jobs))
        self._say(
            session,
            self.rng.choice((b"delete %d", b"delete %d", b"reserve-job %d", b"kick-job %d")) % id,
        )

    def _kick(self) -> None:
        session = self._anybody()
        if session is not None:
            self._say(session, b"kick %d" % self.rng.choice((1, 2, 100)))

    def _pause(self) -> None:
        session = self._anybody()
        if session is not None:
            self._say(
                session,
                b"pause-tube %b %d" % (self.rng.choice(TUBES), self.rng.choice((0, 1, 2, 1000))),
            )

    def _tube(self) -> None:
        session = self._anybody()
        if session is not None:
            self._say(
                session,
                self.rng.choice((b"use ", b"watch ", b"ignore ")) + self.rng.choice(TUBES),
            )

    def _come_and_go(self) -> None:
        self.process.disconnect(self.rng.choice(self.process.sessions))

    def _wait(self) -> None:
        self.process.elapse(self.rng.choice((MS, 30 * MS, 200 * MS, SECOND, 3 * SECOND)))
