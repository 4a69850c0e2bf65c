"""Performs the same actions on both servers and compares their replies after each.

An action starts after both servers have processed the previous one and everything that was due
before, one deadline after another. A reply that no row of the table explains raises
UnknownDifference. A known difference that leaves the servers in different states raises
KnownDifference.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from itertools import count

from testkit.replies import Malformed

from beanstalkd_py.protocol.commands import (
    PAUSE_TUBE,
    PEEK,
    PUT,
    PUT_END,
    RELEASE,
    RESERVE_TIMEOUT,
    STATS_JOB,
    Command,
)

from .actions import Action, Setting
from .clock import SECOND, Clock
from .deadlines import Deadlines
from .line_differences import line_difference
from .live_peer import REPLY_SECONDS
from .reply_comparison import differences
from .sides import ServerGone, Side
from .tracker import Tracker

# After so many exchanges with each server, a reply to an earlier command will not come. (The C
# server needs a few iterations at most.)
TRIES = 50
_LEAVING = ("close", "shutdown", "drain")  # the C server needs several iterations to see these


class UnknownDifference(AssertionError):
    """The servers differ in an unknown way.

    kind: a short form, which a shortened sequence must have as well.
    """

    def __init__(self, what: str, kind: str) -> None:
        super().__init__(what)
        self.kind = kind


class KnownDifference(Exception):
    """The servers differ as `row` says, and are in different states from here on."""

    def __init__(self, row: str, shown: bool = True) -> None:
        super().__init__(row)
        self.row = row
        self.shown = shown


class Comparison:
    """replies: by action and client, the replies of this server and of the C server."""

    def __init__(self, setting: Setting, clock: Clock, ours: Side, c: Side, c_version: str) -> None:
        self.tracker = Tracker(setting.max_job_size)
        self.seen: Counter[str] = Counter()  # rows of the table that were seen
        self.actions: list[Action] = []
        self.replies: list[dict[str, tuple[list[bytes], list[bytes]]]] = []
        self._setting = setting
        self._clock = clock
        self._ours = ours
        self._c = c
        self._c_version = c_version
        self._deadlines = Deadlines(clock)
        self._equal: dict[str, int] = defaultdict(int)  # number of compared replies
        self.tries = 0  # exchanges with each server that a late reply has; 0: until it hangs
        self._line_difference = ""  # a row that this action is expected to show
        self._tube_is_shared = False
        self._restarted = False

    @property
    def mixed(self) -> list[tuple[str, bytes]]:
        """The commands that only our server got, with their client."""
        return self._ours.mixed

    # --- actions

    def do(self, action: Action) -> None:
        """Raises UnknownDifference, KnownDifference."""
        self.actions.append(action)
        self.replies.append(defaultdict(lambda: ([], [])))
        self._tube_is_shared = self.tracker.is_tube_shared()
        try:
            self._pass_time(self._setting.tick_ns)
            if action.verb == "wait":
                self._pass_time(action.seconds * SECOND)
            else:
                self._note(action)
                self._ours.do(action)
                self._c.do(action)
            self._compare(3 if action.verb in _LEAVING else 1)
        except (Malformed, ServerGone, OSError) as error:
            raise UnknownDifference(str(error), type(error).__name__) from error
        if self._line_difference:
            raise KnownDifference(self._line_difference, shown=False)
        for name in self._ours.closed:
            self.tracker.closed(name)

    def _note(self, action: Action) -> None:
        if action.verb == "open":
            self.tracker.opened(action.name)
        elif action.verb == "restart":
            self._restarted = True
            self.tracker.clients.clear()
        elif action.verb == "close":
            self.tracker.closed(action.name)
        elif action.name in self.tracker.clients:
            if action.verb == "shutdown":
                self.tracker.clients[action.name].half_closed = True
            for line in self.tracker.sent(action.name, action.data):
                self._line_difference = self._line_difference or line_difference(
                    line, self._c_version
                )

    def _pass_time(self, ns: int) -> None:
        """Advances the time, and stops at each deadline on the way."""
        end = self._clock.now + ns
        past = 2 * self._clock.drift_ns  # this long after a deadline, both servers see it as passed
        while (due_at := self._deadlines.next_at + past) < end:
            self._clock.set(due_at)
            self._compare(2)
            self._look_for_lost_ttr()
        self._clock.set(end)

    # --- replies

    def _compare(self, iterations: int) -> None:
        """Returns when both servers have sent the same replies and none is due."""
        deadline = time.monotonic() + REPLY_SECONDS
        last = TRIES if self._line_difference else self.tries
        for number in count(1):
            for side in self._ours, self._c:
                side.settle(iterations)
                side.receive()
            self._excuse_reset()
            for name in self._names():
                self._compare_client(name)
            if not (behind := self._behind()):
                self._note_waits()
                return
            if (
                number == last
                or time.monotonic() > deadline
                or (self._tube_is_shared and self._is_other_order())
            ):
                self._add_rest()
                self._differ(behind, "silent" if behind.startswith("neither") else "more")

    def _names(self) -> list[str]:
        return sorted(self._ours.replies.keys() | self._c.replies.keys())

    def _excuse_reset(self) -> None:
        """The C server closes after `quit`, and its kernel resets the connection if the client has
        sent more. Replies that Nagle's algorithm held back are lost then; which ones, depends on
        the timing of TCP. Those of this server count as received from the C server.
        """
        for name in self._c.reset & self._ours.closed:
            c = self._c.replies[name]
            c += self._ours.replies[name][len(c) :]

    def _compare_client(self, name: str) -> None:
        ours, c = self._ours.replies[name], self._c.replies[name]
        at = self._equal[name]
        for our_reply, c_reply in zip(ours[at:], c[at:], strict=False):
            self.replies[-1][name][0].append(our_reply)
            self.replies[-1][name][1].append(c_reply)
            command = self._expected(name)
            shown = differences(our_reply, c_reply, self._restarted)
            if shown is None and self._is_half_put(command, our_reply):
                shown = {"half-put"}
            if shown is None:
                self._differ(
                    f"{name} received {our_reply!r} from ours, {c_reply!r} from the C server",
                    _kind(our_reply, c_reply),
                )
            self.seen.update(shown or ())
            self._equal[name] += 1
            self._learn(self.tracker.received(name, c_reply), c_reply)

    def _expected(self, name: str) -> Command | None:
        client = self.tracker.clients.get(name)
        return client.pending[0] if client and client.pending else None

    def _learn(self, command: Command | None, reply: bytes) -> None:
        """Adds the deadlines that follow from a reply."""
        if reply.startswith((b"RESERVED", b"TOUCHED")):
            self._deadlines.ttr_started()
        elif command is not None and command[0] in (PUT, PUT_END):
            self._deadlines.add(command[2])
            self._deadlines.add_ttr(command[3])
        elif command is not None and command[0] == RELEASE:
            self._deadlines.add(command[3])
        elif command is not None and command[0] == PAUSE_TUBE:
            self._deadlines.add(command[2])

    def _behind(self) -> str:
        """Which client lacks replies; "" if both servers are done."""
        for name in self._names():
            ours, c = len(self._ours.replies[name]), len(self._c.replies[name])
            if ours != c:
                return f"{name} received {ours} replies from ours, {c} from the C server"
        if self._ours.closed != self._c.closed:
            ours_closed, c_closed = sorted(self._ours.closed), sorted(self._c.closed)
            return f"ours closed {ours_closed}, the C server closed {c_closed}"
        for name, client in self.tracker.clients.items():
            if name not in self._ours.closed:
                if client.must_be_closed:
                    return f"neither server closed {name}"
                if client.replies_due:
                    return f"neither server replied to {client.pending[0]!r} of {name}"
        return ""

    def _note_waits(self) -> None:
        for client in self.tracker.clients.values():
            if (
                client.is_waiting
                and client.pending[0][0] == RESERVE_TIMEOUT
                and not client.wait_is_known
            ):
                client.wait_is_known = True
                self._deadlines.add(client.pending[0][1])

    def _add_rest(self) -> None:
        for name in self._names():
            ours, c = self._ours.replies[name], self._c.replies[name]
            self.replies[-1][name][0].extend(ours[self._equal[name] :])
            self.replies[-1][name][1].extend(c[self._equal[name] :])

    # --- known differences

    def _differ(self, what: str, kind: str) -> None:
        if self._line_difference:
            raise KnownDifference(self._line_difference, shown=kind != "silent")
        if self._tube_is_shared and self._is_other_order():
            raise KnownDifference("waiting-order")
        raise UnknownDifference(what, kind)

    def _is_other_order(self) -> bool:
        """The same jobs were reserved in this action, but by other waiting clients."""
        for side in self._ours, self._c:
            side.settle(3)
            side.receive()
        rests = [
            (
                self._ours.replies[name][self._equal[name] :],
                self._c.replies[name][self._equal[name] :],
            )
            for name in self._names()
        ]
        others = [(ours, c) for ours, c in rests if ours != c]
        jobs = [sorted(reply for pair in others for reply in pair[side]) for side in (0, 1)]
        return jobs[0] == jobs[1] and all(reply.startswith(b"RESERVED ") for reply in jobs[0])

    def _is_half_put(self, command: Command | None, ours: bytes) -> bool:
        """The C server shows a job whose body is incomplete."""
        if command is None or command[0] not in (PEEK, STATS_JOB) or ours != b"NOT_FOUND\r\n":
            return False
        if not any(client.lines.missing for client in self.tracker.clients.values()):
            return False
        question = b"stats-job %d" % command[1]
        return self._ours.request(
            question
        ) == b"NOT_FOUND\r\n" and b"\nstate: invalid\n" in self._c.request(question)

    def _look_for_lost_ttr(self) -> None:
        """Raises KnownDifference if a TTR has ended on this server but not on the C server.

        The C server may have lost the timer of a client.
        """
        forgotten = any(
            client.has_stale_timeout and client.reserved for client in self.tracker.clients.values()
        )
        if forgotten and self._timeouts(self._ours) > self._timeouts(self._c):
            raise KnownDifference("lost-ttr")

    @staticmethod
    def _timeouts(side: Side) -> int:
        return int(side.request(b"stats").split(b"\njob-timeouts: ")[1].split(b"\n")[0])


def _kind(ours: bytes, c: bytes) -> str:
    """The first words of both replies; for YAML, the first keys that differ."""
    if ours[:3] == c[:3] == b"OK ":
        lines = zip(ours.split(b"\n")[1:], c.split(b"\n")[1:], strict=False)
        ours, c = next(
            (
                pair
                for pair in lines
                if pair[0] != pair[1]
                and differences(b"OK \n" + pair[0], b"OK \n" + pair[1]) is None
            ),
            (ours, c),
        )
    return f"{_word(ours)} and {_word(c)}"


def _word(reply: bytes) -> str:
    return (reply.split() or [b""])[0].decode("ascii", "replace")
