"""The steps that hypothesis combines: commands of four clients, bytes in pieces, time, lost
connections, a full disk, restarts.

A run is a function of its seed (`run`). hypothesis shrinks a failure to the few steps that cause
it, and prints them as Python for a test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from .lines import BY_OWNER, BY_TUBE, PICKS, PUTS, RESERVES, TEMPLATES, Picks, fill
from .pair import SECOND, Pair

CLIENTS = st.integers(0, 3)
DURATIONS = st.sampled_from([1, SECOND // 3, SECOND - 1, SECOND, 2 * SECOND, 61 * SECOND])
PIECES = [
    b"put ", b"0 0 1 2", b"1", b" ", b"\r\n", b"\r", b"\n", b"\0", b"\t", b"reserve",
    b"reserve-with-timeout", b"-job", b"stats", b"-tube ", b"peek", b"-ready", b"kick", b" -1",
    b"+2", b"4294967295", b"4294967296", b"18446744073709551616", b"2147483648", b"pause-tube",
    b"default", b"-a", b"list-tubes", b"use ", b"-watched", b"quit", b"x" * 199, b"bury 1 ",
    b"delete ", b"601", b"600 ", b"a,b", b"put 0 0 1 3\r\nabc",
    b"ping", b"capabilities", b"peek-tube ", b"kick-tube ", b" ready",
    b"put-in-tube a", b"reserve-batch ", b"drain ", b"list-jobs a ready 5", b" 7.1",
    b"truncate a", b"move-job 1", b"move-jobs a",
    b"set-tube a", b" max-attempts=", b" dead-tube=", b"set-tube a max-attempts=1",
    b" max-jobs=1", b" max-bytes=", b" max-reserved=1", b" expire=2",
    b"stats-conn", b"stats-tube-all",
    b"put-with 0 0 1 2", b"put-with 0 0 0 0 key=k until=reserve", b" tube=a", b" at=1", b" key=",
]  # fmt: skip
MALFORMED = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map(b"".join)


class Machine(RuleBasedStateMachine):
    """One object is one play: a sequence of steps. Both are counted for the whole process.

    hypothesis orders the rules by name, so a renamed rule can change what a seed plays.
    """

    steps = 0
    plays = 0

    def __init__(self) -> None:
        super().__init__()
        Machine.plays += 1
        self.connects = [0] * 4  # how often each client connected
        self.rest = [b""] * 4  # per client: the part of a command that is not sent yet

    @initialize(kind=st.sampled_from(["memory", "limited", "binlog"]))
    def begin(self, kind: str) -> None:
        self.pair = Pair(kind)

    def name(self, who: int) -> str:
        """The client's name. The client connects if it is not connected."""
        Machine.steps += 1
        if f"{who}.{self.connects[who]}" not in self.pair.sessions:
            self.connects[who] += 1
            self.rest[who] = b""
            self.pair.connect(f"{who}.{self.connects[who]}")
        return f"{who}.{self.connects[who]}"

    def send(self, who: int, line: str, picks: Picks) -> None:
        name = self.name(who)
        data = self.rest[who] + fill(line, picks, self.pair.model, name)
        self.rest[who] = b""
        self.pair.send(name, data)

    @rule(who=CLIENTS, line=st.sampled_from(TEMPLATES), picks=PICKS)
    def command(self, who: int, line: str, picks: Picks) -> None:
        self.send(who, line, picks)

    @rule(who=CLIENTS, line=st.sampled_from(PUTS), picks=PICKS)
    def put(self, who: int, line: str, picks: Picks) -> None:
        self.send(who, line, picks)

    @rule(who=CLIENTS, line=st.sampled_from(RESERVES), picks=PICKS)
    def reserve(self, who: int, line: str, picks: Picks) -> None:
        self.send(who, line, picks)

    @rule(who=CLIENTS, line=st.sampled_from(BY_OWNER), picks=PICKS)
    def command_own_job(self, who: int, line: str, picks: Picks) -> None:
        self.send(who, line, picks)

    @rule(who=CLIENTS, line=st.sampled_from(BY_TUBE), picks=PICKS)
    def tube(self, who: int, line: str, picks: Picks) -> None:
        self.send(who, line, picks)

    @rule(
        who=CLIENTS,
        lines=st.lists(st.tuples(st.sampled_from(TEMPLATES), PICKS), min_size=2, max_size=6),
    )
    def pipeline(self, who: int, lines: list[tuple[str, Picks]]) -> None:
        """Several commands in one piece."""
        name = self.name(who)
        data = b"".join(fill(line, picks, self.pair.model, name) for line, picks in lines)
        self.pair.send(name, self.rest[who] + data)
        self.rest[who] = b""

    @rule(who=CLIENTS, line=st.sampled_from(TEMPLATES), picks=PICKS, part=st.integers(1, 40))
    def begin_to_send(self, who: int, line: str, picks: Picks, part: int) -> None:
        """Sends a part of a command. The rest goes with the client's next bytes."""
        name = self.name(who)
        data = self.rest[who] + fill(line, picks, self.pair.model, name)
        self.rest[who] = data[part:]
        self.pair.send(name, data[:part])

    @rule(who=CLIENTS, data=MALFORMED)
    def malformed(self, who: int, data: bytes) -> None:
        name = self.name(who)
        self.pair.send(name, self.rest[who] + data)
        self.rest[who] = b""

    @rule(ns=DURATIONS)
    def advance(self, ns: int) -> None:
        self.pair.advance(ns)

    @rule(ns=DURATIONS)
    def jump(self, ns: int) -> None:
        self.pair.jump(ns)

    @rule(who=CLIENTS, how=st.sampled_from([Pair.half_close, Pair.end, Pair.lose]))
    def end_connection(self, who: int, how: Callable[[Pair, str], None]) -> None:
        how(self.pair, self.name(who))

    @precondition(lambda self: sum(self.connects) > 5)  # late, because no job is put afterwards
    @rule()
    def drain(self) -> None:
        self.pair.drain()

    @precondition(lambda self: self.pair.limited is not None)
    @rule(changes=st.none() | st.integers(0, 2))
    def refuse_changes(self, changes: int | None) -> None:
        self.pair.limit_changes(changes)

    @precondition(lambda self: self.pair.binlog is not None)
    @rule(away=st.sampled_from([0, 1, SECOND, 90 * SECOND]), clean=st.booleans())
    def restart(self, away: int, clean: bool) -> None:
        self.pair.restart(away, clean)

    def teardown(self) -> None:
        try:
            if self.pair.step_finished:
                self.pair.finish()
        finally:
            note(
                "\n".join(
                    [
                        f"pair = Pair({self.pair.kind!r})",
                        *(f"pair.{step}" for step in self.pair.script),
                    ]
                )
            )


def run(number: int, plays: int = 100, steps: int = 50) -> tuple[int, int]:
    """Plays up to `plays` plays of up to `steps` steps, chosen by the seed. Returns how many plays
    and steps there were. Raises Difference.
    """
    before = Machine.plays, Machine.steps
    seeded: Any = seed(number)(type("Machine", (Machine,), {}))
    run_state_machine_as_test(
        seeded,
        settings=settings(
            max_examples=plays,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
    return Machine.plays - before[0], Machine.steps - before[1]
