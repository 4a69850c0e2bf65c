"""Both servers hear the same moves, and what they answer is compared after each.

May know: everything of the two servers but how they work. Promises: a move begins when both servers
have dealt with the one before; what was due before it has happened, one instant after another.
Raises Differ at the first reply that no row of the table explains, and Over where one does that
leaves the two servers in different states.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from beanstalkd_py.protocol.parser import (
    PAUSE_TUBE,
    PEEK,
    PUT,
    PUT_END,
    RELEASE,
    RESERVE_TIMEOUT,
    STATS_JOB,
    Command,
)

from .agenda import Agenda
from .book import Book
from .clock import SECOND, Clock
from .live_peer import REPLY_SECONDS
from .moves import Move, Setting
from .quirks import quirk
from .sides import Lost, Side
from .stream import Malformed
from .verdict import differences

_LEAVING = ("close", "shutdown", "drain")  # the C server needs several turns to see that


class Differ(AssertionError):
    """The two servers do not say the same. kind: in short, what a shorter sequence must come to as
    well.
    """

    def __init__(self, what: str, kind: str) -> None:
        super().__init__(what)
        self.kind = kind


class Over(Exception):
    """They do not say the same, and that is known: `row`. From here on they have different pasts."""

    def __init__(self, row: str, showed: bool = True) -> None:
        super().__init__(row)
        self.row = row
        self.showed = showed


class Trial:
    """`told`: by move, what each client heard from ours and from the C server (not what has gone
    before).
    """

    def __init__(self, setting: Setting, clock: Clock, ours: Side, c: Side, c_version: str) -> None:
        self.book = Book(setting.max_job_size)
        self.seen: Counter[str] = Counter()  # rows of the table that showed
        self.moves: list[Move] = []
        self.told: list[dict[str, tuple[list[bytes], list[bytes]]]] = []
        self._setting = setting
        self._clock = clock
        self._ours = ours
        self._c = c
        self._c_version = c_version
        self._agenda = Agenda(clock)
        self._equal: dict[str, int] = defaultdict(int)  # replies that were compared
        self.patience_s = REPLY_SECONDS
        self._quirk = ""  # a row that this move is to show
        self._crowded = False
        self._restarted = False

    # --- moves

    def do(self, move: Move) -> None:
        """Raises Differ, Over."""
        self.moves.append(move)
        self.told.append(defaultdict(lambda: ([], [])))
        self._crowded = self.book.crowded()
        try:
            self._pass_time(self._setting.tick_ns)
            if move.verb == "wait":
                self._pass_time(move.seconds * SECOND)
            else:
                self._note(move)
                self._ours.do(move)
                self._c.do(move)
            self._compare(3 if move.verb in _LEAVING else 1)
        except (Malformed, Lost, OSError) as error:
            raise Differ(str(error), type(error).__name__) from error
        if self._quirk:
            raise Over(self._quirk, showed=False)
        for name in self._ours.ended:
            self.book.leaves(name)

    def _note(self, move: Move) -> None:
        if move.verb == "open":
            self.book.opens(move.name)
        elif move.verb == "restart":
            self._restarted = True
            self.book.clients.clear()
        elif move.verb == "close":
            self.book.leaves(move.name)
        elif move.name in self.book.clients:
            if move.verb == "shutdown":
                self.book.clients[move.name].shut = True
            for line in self.book.sends(move.name, move.data):
                self._quirk = self._quirk or quirk(line, self._c_version)

    def _pass_time(self, ns: int) -> None:
        """What falls due on the way happens at its instant, and before anything that was due later."""
        end = self._clock.now + ns
        past = (
            2 * self._clock.stir_ns
        )  # so long after the hands stood at an instant, that is past for both
        while (due_at := self._agenda.next_at + past) < end:
            self._clock.set(due_at)
            self._compare(2)
            self._look_for_lost_ttr()
        self._clock.set(end)

    # --- replies

    def _compare(self, turns: int) -> None:
        """Until both have said the same and owe nothing."""
        give_up_at = time.monotonic() + (0.2 if self._quirk else self.patience_s)
        while True:
            for side in self._ours, self._c:
                side.settle(turns)
                side.listen()
            for name in self._names():
                self._compare_client(name)
            if not (behind := self._behind()):
                self._note_waits()
                return
            if time.monotonic() > give_up_at or (self._crowded and self._is_other_order()):
                self._tell_rest()
                self._differ(behind, "silent" if behind.startswith("neither") else "more")

    def _names(self) -> list[str]:
        return sorted(self._ours.heard.keys() | self._c.heard.keys())

    def _compare_client(self, name: str) -> None:
        ours, c = self._ours.heard[name], self._c.heard[name]
        at = self._equal[name]
        for our_reply, c_reply in zip(ours[at:], c[at:], strict=False):
            self.told[-1][name][0].append(our_reply)
            self.told[-1][name][1].append(c_reply)
            command = self._expected(name)
            shown = differences(our_reply, c_reply, self._restarted)
            if shown is None and self._is_half_put(command, our_reply):
                shown = {"half-put"}
            if shown is None:
                self._differ(
                    f"{name} got {our_reply!r} from ours, {c_reply!r} from the C server",
                    _kind(our_reply, c_reply),
                )
            self.seen.update(shown or ())
            self._equal[name] += 1
            self._learn(self.book.hears(name, c_reply), c_reply)

    def _expected(self, name: str) -> Command | None:
        client = self.book.clients.get(name)
        return client.pending[0] if client and client.pending else None

    def _learn(self, command: Command | None, reply: bytes) -> None:
        """Which instants something may fall due at."""
        if reply.startswith((b"RESERVED", b"TOUCHED")):
            self._agenda.a_ttr_begins()
        elif command is not None and command[0] in (PUT, PUT_END):
            self._agenda.after(command[2])
            self._agenda.ttr(command[3])
        elif command is not None and command[0] == RELEASE:
            self._agenda.after(command[3])
        elif command is not None and command[0] == PAUSE_TUBE:
            self._agenda.after(command[2])

    def _behind(self) -> str:
        """Who should have heard more; "" if both are through."""
        for name in self._names():
            ours, c = len(self._ours.heard[name]), len(self._c.heard[name])
            if ours != c:
                return f"{name} got {ours} replies from ours, {c} from the C server"
        if self._ours.ended != self._c.ended:
            return f"ours closed {sorted(self._ours.ended)}, the C server closed {sorted(self._c.ended)}"
        for name, client in self.book.clients.items():
            if name not in self._ours.ended:
                if client.is_through:
                    return f"neither closed {name}"
                if client.owed:
                    return f"neither answered {client.pending[0]!r} of {name}"
        return ""

    def _note_waits(self) -> None:
        for client in self.book.clients.values():
            if (
                client.waits
                and client.pending[0][0] == RESERVE_TIMEOUT
                and not client.wait_is_known
            ):
                client.wait_is_known = True
                self._agenda.after(client.pending[0][1])

    def _tell_rest(self) -> None:
        for name in self._names():
            ours, c = self._ours.heard[name], self._c.heard[name]
            self.told[-1][name][0].extend(ours[self._equal[name] :])
            self.told[-1][name][1].extend(c[self._equal[name] :])

    # --- what is known

    def _differ(self, what: str, kind: str) -> None:
        if self._quirk:
            raise Over(self._quirk, showed=kind != "silent")
        if self._crowded and self._is_other_order():
            raise Over("waiting-order")
        raise Differ(what, kind)

    def _is_other_order(self) -> bool:
        """The same jobs were handed out in this move, but to others of those who waited."""
        for side in self._ours, self._c:
            side.settle(3)
            side.listen()
        rests = [
            (self._ours.heard[name][self._equal[name] :], self._c.heard[name][self._equal[name] :])
            for name in self._names()
        ]
        others = [(ours, c) for ours, c in rests if ours != c]
        jobs = [sorted(reply for pair in others for reply in pair[side]) for side in (0, 1)]
        return jobs[0] == jobs[1] and all(reply.startswith(b"RESERVED ") for reply in jobs[0])

    def _is_half_put(self, command: Command | None, ours: bytes) -> bool:
        """The C server shows a job whose body is still under way."""
        if command is None or command[0] not in (PEEK, STATS_JOB) or ours != b"NOT_FOUND\r\n":
            return False
        if not any(client.lines.missing for client in self.book.clients.values()):
            return False
        question = b"stats-job %d" % command[1]
        return self._ours.ask(
            question
        ) == b"NOT_FOUND\r\n" and b"\nstate: invalid\n" in self._c.ask(question)

    def _look_for_lost_ttr(self) -> None:
        """A TTR has just ended on ours and not on the C server, which may have forgotten some
        client's timer. Raises Over.
        """
        forgotten = any(client.stale and client.held for client in self.book.clients.values())
        if forgotten and self._timeouts(self._ours) > self._timeouts(self._c):
            raise Over("lost-ttr")

    @staticmethod
    def _timeouts(side: Side) -> int:
        return int(side.ask(b"stats").split(b"\njob-timeouts: ")[1].split(b"\n")[0])


def _kind(ours: bytes, c: bytes) -> str:
    """The first words of the two replies; of YAML, the first lines that differ, without their
    values.
    """
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
