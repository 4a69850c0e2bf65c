"""A connection with several commands in flight.

Every command is recorded before it is sent. Every reply is checked as far as possible at once, and
recorded with its job. The audit checks the rest.
"""

from __future__ import annotations

import copy
import socket
import struct
from collections import deque

from .clock import now_s
from .fault import Fault
from .knowledge import Knowledge, Pause, PrivateTube, Put
from .model import Act, JobStats, as_kind
from .replies import Replies, Reply, fields

RECEIVE_BYTES = 1 << 18
_RESET = struct.pack("ii", 1, 0)  # struct linger
LONG_DELAY_S = 100_000
STEP_S = 1_000  # between two long delays, so that their order is certain

# Replies without any effect.
NO_EFFECT = frozenset((b"NOT_FOUND", b"TIMED_OUT", b"DEADLINE_SOON"))
SUCCESS = {
    "plain": (b"USING", b"WATCHING"),
    "put": (b"INSERTED", b"EXISTS", b"OUT_OF_MEMORY"),
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
    """A command without a reply yet.

    id: 0 if only the reply names the job. number: the bound of a kick, the seconds of a pause.
    """

    __slots__ = ("act", "id", "number", "put")

    def __init__(self, act: Act, id: int = 0, put: Put | None = None, number: int = 0) -> None:
        self.act = act
        self.id = id
        self.put = put
        self.number = number


class Client:
    """private: its own tube, if it has one. Other clients share their tubes."""

    def __init__(
        self,
        knowledge: Knowledge,
        connection: socket.socket,
        watched: tuple[bytes, ...],
        private: PrivateTube | None = None,
    ) -> None:
        knowledge.clients += 1
        self.knowledge = knowledge
        self.rng = knowledge.rng
        self.private = private
        self.pool = knowledge.shared if private is None else private.pool
        self.serial = knowledge.clients
        self.socket = connection
        self.in_flight: deque[Command] = deque()
        self.held: dict[
            int, None
        ] = {}  # reserved according to replies, and not in a command in flight
        self.ended = False
        self.quitting: Act | None = None
        self.left = False  # by quit or reset
        self.reads_slowly = False  # sometimes reads its replies late
        self.depth = 1  # maximum number of commands in flight
        self.share = 1.0  # of the wanted number of jobs
        self.output = bytearray()
        self._reserved: dict[int, None] = {}  # reserved according to replies
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
        return Act(kind, self.serial, self._order, now_s(), pri, delay)

    def _send(
        self, line: bytes, kind: str, id: int = 0, pri: int = 0, delay: int = 0, number: int = 0
    ) -> Command:
        command = Command(self._act(kind, pri, delay), id, None, number)
        self.output += line + b"\r\n"
        self.in_flight.append(command)
        return command

    def put(self, tube: bytes, pri: int, delay: int, ttr: int, body: bytes) -> None:
        self._use(tube)
        command = self._send(
            b"put %d %d %d %d\r\n%b" % (pri, delay, ttr, len(body), body), "put", 0, pri, delay
        )
        command.put = Put(tube, ttr, body, command.act)

    def put_with(
        self,
        tube: bytes,
        pri: int,
        ttr: int,
        body: bytes,
        key: bytes = b"",
        until_reserve: bool = False,
        attempts: int = 0,
    ) -> None:
        settings = b" key=%b" % key * bool(key) + b" until=reserve" * until_reserve
        command = self._send(
            b"put-with %d 0 %d %d tube=%b attempts=%d%b\r\n%b"
            % (pri, ttr, len(body), tube, attempts, settings, body),
            "put",
            0,
            pri,
        )
        command.put = Put(tube, ttr, body, command.act, key, until_reserve, attempts)

    def _use(self, tube: bytes) -> None:
        if tube != self._used:
            self._used = tube
            self._send(b"use " + tube, "plain")

    def reserve(self, timeout: int = 0) -> None:
        self._send(b"reserve-with-timeout %d" % timeout, "reserve")

    def send_for(self, kind: str, id: int) -> None:
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
        """Only in a private tube, where it is known which jobs are kicked."""
        assert self.private is not None
        self._use(self.private.tube)
        self._send(b"kick %d" % bound, "kick", number=bound)

    def pause(self, seconds: int) -> None:
        assert self.private is not None
        command = self._send(
            b"pause-tube %b %d" % (self.private.tube, seconds), "pause-tube", number=seconds
        )
        self.private.pauses.append(Pause(seconds, command.act))

    def long_delay(self) -> int:
        """A delay longer than all before in this private tube."""
        assert self.private is not None
        self.private.delays += 1
        return LONG_DELAY_S + STEP_S * self.private.delays

    def quit(self) -> None:
        """Sends quit. The server replies to all earlier commands and releases reserved jobs."""
        self.left = True
        self.quitting = self._act("close")
        self.output += b"quit\r\n"

    def reset(self) -> None:
        """Resets the connection with unread replies.

        Not while a reserve is in flight, because the reserved job would be unknown.
        """
        if any(command.act.kind == "reserve" for command in self.in_flight):
            return
        held = {
            *self._reserved,
            *(command.id for command in self.in_flight if command.act.kind == "reserve-job"),
        }
        act = self._act("close")
        for id in held:
            self.knowledge.jobs[id].acts.append(copy.copy(act))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.left = self.ended = True

    def flush(self) -> bool:
        """Sends pending output. Returns False if the socket is full."""
        try:
            while self.output and not self.ended:
                del self.output[: self.socket.send(self.output)]
        except BlockingIOError:
            return False
        except ConnectionError:
            self.output.clear()  # replies of the server can still be read
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
        now = now_s()
        if not data:
            self._end(now)
        for reply in self._replies.feed(data):
            if not self.in_flight:
                raise Fault(f"a reply without a command: {reply}")
            self._take(self.in_flight.popleft(), reply, now)

    def _end(self, now: float) -> None:
        self.ended = True
        if self.quitting is not None:
            for id in self._reserved:
                act = copy.copy(self.quitting)
                self.knowledge.jobs[id].acts.append(act)
                if not self.in_flight:
                    self.knowledge.ended.append((now, act))

    def _take(self, command: Command, reply: Reply, now: float) -> None:
        act = command.act
        kind = act.kind
        word = reply.words[0]
        self.knowledge.answers += 1
        if self.knowledge.ended:
            self.knowledge.confirm(act.sent_at)
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
            self.knowledge.refused_puts += 1
            return
        if reply.words[0] == b"EXISTS":
            self.knowledge.exists(reply.id, put)
            return
        self.knowledge.inserted(reply.id, put)
        if self.private is not None and put.act.delay:
            self.private.delayed[reply.id] = put.act.delay

    def _take_body(self, command: Command, reply: Reply) -> None:
        if command.id not in (0, reply.id):
            raise Fault(f"{reply} to {command.act.kind} {command.id}")
        self.knowledge.met(reply.id, reply.data).acts.append(command.act)
        if command.act.kind != "peek":
            self.held[reply.id] = self._reserved[reply.id] = None
            if self.private is not None:
                self.private.state_changed(reply.id)

    def _take_change(self, command: Command, reply: Reply) -> None:
        """The command had the requested effect on its job."""
        act = command.act
        kind = act.kind
        job = self.knowledge.jobs[command.id]
        job.acts.append(act)
        if kind == "stats-job":
            act.job_stats = job_stats(fields(reply.data), act.sent_at, act.answered_at)
            return
        if kind in ("release", "bury", "delete"):
            self._reserved.pop(job.id, None)
            self.held.pop(job.id, None)
        if kind == "delete":
            self.knowledge.deleted(job)
        if self.private is not None and kind != "touch":
            self.private.state_changed(job.id)
            if kind == "bury":
                self.private.buried[job.id] = None
            elif act.delay:
                self.private.delayed[job.id] = act.delay

    def _take_kick(self, command: Command, reply: Reply) -> None:
        assert self.private is not None
        kicked = self.private.first(command.number)
        if reply.id != len(kicked):
            raise Fault(
                f"{reply} to kick {command.number} of {len(self.private.buried)} buried "
                f"and {len(self.private.delayed)} delayed jobs"
            )
        for id in kicked:
            self.private.state_changed(id)
            self.knowledge.jobs[id].acts.append(as_kind(command.act, "kick-job"))

    def _take_pause(self, command: Command) -> None:
        """Earlier pauses are over."""
        assert self.private is not None
        while self.private.pauses[0].act is not command.act:
            self.private.pauses.pop(0)


def job_stats(values: dict[str, str], asked_at: float, answered_at: float) -> JobStats:
    keys = ("pri", "delay", "releases", "buries", "kicks", "timeouts", "reserves", "time-left")
    pri, delay, releases, buries, kicks, timeouts, reserves, left = (
        int(values[key]) for key in keys
    )
    return JobStats(
        values["state"],
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
