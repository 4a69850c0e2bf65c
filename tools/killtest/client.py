"""One connection with a number of commands on the way.

May know: a socket, replies, the world. Promises: every command is on record before it is sent;
every reply is checked as far as it can be at once, and what it proves is noted at the job. The rest
is the audit's.
"""

from __future__ import annotations

import copy
import socket
import struct
import time
from collections import deque

from .model import UNANSWERED, Act, Seen
from .replies import Replies, Reply, fields
from .world import Den, Fault, Pause, Put, World

RECEIVE_BYTES = 1 << 18
_RESET = struct.pack("ii", 1, 0)  # struct linger
LONG_DELAY_S = 100_000
STEP_S = 1_000  # between two long delays, so that their order is certain

# Answers that are normal and say that nothing has changed.
NO_EFFECT = frozenset((b"NOT_FOUND", b"TIMED_OUT", b"DEADLINE_SOON"))
SUCCESS = {
    "plain": (b"USING", b"WATCHING"),
    "put": (b"INSERTED", b"OUT_OF_MEMORY"),
    "reserve": (b"RESERVED",),
    "reserve-job": (b"RESERVED",),
    "release": (b"RELEASED",),
    "bury": (b"BURIED",),
    "delete": (b"DELETED",),
    "touch": (b"TOUCHED",),
    "kick-job": (b"KICKED",),
    "kick": (b"KICKED",),
    "pause-tube": (b"PAUSED",),
    "peek": (b"FOUND",),
    "stats-job": (b"OK",),
}


class Command:
    """Sent and not yet answered. id: 0 if only the reply names the job. number: a kick's bound, a
    pause's seconds.
    """

    __slots__ = ("act", "id", "number", "put")

    def __init__(self, act: Act, id: int = 0, put: Put | None = None, number: int = 0) -> None:
        self.act = act
        self.id = id
        self.put = put
        self.number = number


class Client:
    """den: a lonely client's. Others share their tubes."""

    def __init__(
        self,
        world: World,
        connection: socket.socket,
        watched: tuple[bytes, ...],
        den: Den | None = None,
    ) -> None:
        world.clients += 1
        self.world = world
        self.chance = world.chance
        self.den = den
        self.pool = world.shared if den is None else den.pool
        self.serial = world.clients
        self.socket = connection
        self.under_way: deque[Command] = deque()
        self.held: dict[
            int, None
        ] = {}  # reserved by it, as far as it knows, and not given away by a command under way
        self.ended = False
        self.quitting: Act | None = None
        self.left = False  # of its own will
        self.dozes = False  # reads its answers late, now and then
        self.depth = 1  # commands on the way
        self.share = 1.0  # of the number of jobs wanted
        self.output = bytearray()
        self._owned: dict[int, None] = {}  # reserved by it, as far as replies tell
        self._used = b""
        self._replies = Replies()
        self._order = 0
        connection.setblocking(False)
        for tube in watched:
            self._send(b"watch " + tube, "plain")
        self._send(b"ignore default", "plain")

    # --- commands

    def _act(self, kind: str, pri: int = 0, delay: int = 0) -> Act:
        self._order += 1
        return Act(kind, self.serial, self._order, time.monotonic(), pri, delay)

    def _send(
        self, line: bytes, kind: str, id: int = 0, pri: int = 0, delay: int = 0, number: int = 0
    ) -> Command:
        command = Command(self._act(kind, pri, delay), id, None, number)
        self.output += line + b"\r\n"
        self.under_way.append(command)
        return command

    def put(self, tube: bytes, pri: int, delay: int, ttr: int, body: bytes) -> None:
        self._use(tube)
        command = self._send(
            b"put %d %d %d %d\r\n%b" % (pri, delay, ttr, len(body), body), "put", 0, pri, delay
        )
        command.put = Put(tube, ttr, body, command.act)

    def _use(self, tube: bytes) -> None:
        if tube != self._used:
            self._used = tube
            self._send(b"use " + tube, "plain")

    def reserve(self, timeout: int = 0) -> None:
        self._send(b"reserve-with-timeout %d" % timeout, "reserve")

    def about(self, kind: str, id: int) -> None:
        """delete, touch, kick-job, peek, reserve-job or stats-job."""
        if kind == "delete":
            self.held.pop(id, None)
        self._send(b"%b %d" % (kind.encode(), id), kind, id)

    def release(self, id: int, pri: int, delay: int) -> None:
        self.held.pop(id, None)
        self._send(b"release %d %d %d" % (id, pri, delay), "release", id, pri, delay)

    def bury(self, id: int, pri: int) -> None:
        self.held.pop(id, None)
        self._send(b"bury %d %d" % (id, pri), "bury", id, pri)

    def kick(self, bound: int) -> None:
        """A lonely client's: of others' jobs nobody could say which were kicked."""
        assert self.den is not None
        self._use(self.den.tube)
        self._send(b"kick %d" % bound, "kick", number=bound)

    def pause(self, seconds: int) -> None:
        assert self.den is not None
        command = self._send(
            b"pause-tube %b %d" % (self.den.tube, seconds), "pause-tube", number=seconds
        )
        self.den.pauses.append(Pause(seconds, command.act))

    def long_delay(self) -> int:
        """Of a lonely client: longer than any before."""
        assert self.den is not None
        self.den.delays += 1
        return LONG_DELAY_S + STEP_S * self.den.delays

    def quit(self) -> None:
        """What it holds is given back when it is gone; all that it sent before is answered."""
        self.left = True
        self.quitting = self._act("close")
        self.output += b"quit\r\n"

    def vanish(self) -> None:
        """Resets the connection, answers unread. Not while it is anybody's guess which jobs it
        holds.
        """
        if any(command.act.kind == "reserve" for command in self.under_way):
            return
        held = {
            *self._owned,
            *(command.id for command in self.under_way if command.act.kind == "reserve-job"),
        }
        act = self._act("close")
        for id in held:
            self.world.jobs[id].acts.append(copy.copy(act))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.left = self.ended = True

    def flush(self) -> bool:
        """False when the socket does not take everything."""
        try:
            while self.output and not self.ended:
                del self.output[: self.socket.send(self.output)]
        except BlockingIOError:
            return False
        except ConnectionError:
            self.output.clear()  # what the server still sent us is to be read
        return True

    def close(self) -> None:
        self.socket.close()

    # --- replies

    def receive(self) -> None:
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        now = time.monotonic()
        if not data:
            self._end(now)
        for reply in self._replies.feed(data):
            if not self.under_way:
                raise Fault(f"a reply to nothing: {reply}")
            self._take(self.under_way.popleft(), reply, now)

    def _end(self, now: float) -> None:
        self.ended = True
        if self.quitting is not None:
            for id in self._owned:
                act = copy.copy(self.quitting)
                act.answered_at = now if not self.under_way else UNANSWERED
                self.world.jobs[id].acts.append(act)

    def _take(self, command: Command, reply: Reply, now: float) -> None:
        act = command.act
        kind = act.kind
        word = reply.words[0]
        self.world.answers += 1
        if word not in SUCCESS[kind]:
            if word in NO_EFFECT and kind not in ("put", "plain", "kick"):
                return
            raise Fault(f"{reply} to {kind} {command.id or ''}")
        act.answered_at = now
        if kind == "put":
            self._take_put(command, reply)
        elif kind in ("reserve", "reserve-job", "peek"):
            self._take_body(command, reply)
        elif kind == "kick":
            self._take_kick(command, reply)
        elif kind == "pause-tube":
            self._take_pause(command)
        elif kind != "plain":
            self._take_change(command, reply)

    def _take_put(self, command: Command, reply: Reply) -> None:
        put = command.put
        assert put is not None
        if reply.words[0] == b"OUT_OF_MEMORY":
            self.world.refused_puts += 1
            return
        self.world.inserted(reply.id, put)
        if self.den is not None and put.act.delay:
            self.den.delayed[reply.id] = put.act.delay

    def _take_body(self, command: Command, reply: Reply) -> None:
        if command.id not in (0, reply.id):
            raise Fault(f"{reply} to {command.act.kind} {command.id}")
        self.world.met(reply.id, reply.data).acts.append(command.act)
        if command.act.kind != "peek":
            self.held[reply.id] = self._owned[reply.id] = None
            if self.den is not None:
                self.den.moved(reply.id)

    def _take_change(self, command: Command, reply: Reply) -> None:
        """It did what it says to the job it names."""
        act = command.act
        kind = act.kind
        job = self.world.jobs[command.id]
        job.acts.append(act)
        if kind == "stats-job":
            act.seen = seen(fields(reply.data), act.sent_at, act.answered_at)
            return
        if kind in ("release", "bury", "delete"):
            self._owned.pop(job.id, None)
            self.held.pop(job.id, None)
        if kind == "delete":
            self.world.gone(job)
        if self.den is not None and kind != "touch":
            self.den.moved(job.id)
            if kind == "bury":
                self.den.buried[job.id] = None
            elif act.delay:
                self.den.delayed[job.id] = act.delay

    def _take_kick(self, command: Command, reply: Reply) -> None:
        assert self.den is not None
        kicked = self.den.first(command.number)
        if reply.id != len(kicked):
            raise Fault(
                f"{reply} to kick {command.number} of {len(self.den.buried)} buried and {len(self.den.delayed)} delayed jobs"
            )
        for id in kicked:
            self.den.moved(id)
            act = copy.copy(command.act)
            act.kind = "kick-job"
            self.world.jobs[id].acts.append(act)

    def _take_pause(self, command: Command) -> None:
        """Those before it are history."""
        assert self.den is not None
        while self.den.pauses[0].act is not command.act:
            self.den.pauses.pop(0)


def seen(said: dict[str, str], asked_at: float, answered_at: float) -> Seen:
    keys = ("pri", "delay", "releases", "buries", "kicks", "timeouts", "reserves", "time-left")
    pri, delay, releases, buries, kicks, timeouts, reserves, left = (int(said[key]) for key in keys)
    return Seen(
        said["state"],
        pri,
        delay,
        releases,
        buries,
        kicks,
        timeouts,
        reserves,
        left,
        asked_at,
        answered_at,
    )
