"""One job and what clients did to it: which states are possible, given what was asked, what was
answered, and when.

Pure. An act takes effect once, at some instant between the moment it was sent and the moment it was
answered; the acts of one connection in the order in which they were sent; an act that was not
answered takes effect once or never. That is all that clients know, and more must not be demanded.
`outcomes` tries every order that this allows.

An instant is a float of seconds on the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

ABSENT, READY, RESERVED, DELAYED, BURIED, GONE = (
    "absent",
    "ready",
    "reserved",
    "delayed",
    "buried",
    "gone",
)
NOBODY = 0
UNANSWERED = float("inf")
SHORT_TTR_S = 10  # jobs with a longer one do not time out while a round lasts
# how far wall clock and monotonic clock may have gone apart, and how coarse the answers are
CLOCK_S = 1.0


class State(NamedTuple):
    """`saved_reserves`: the count that the last record on disk speaks of; later reserves may be
    forgotten in a crash.
    """

    where: str
    holder: int  # serial of the connection that has it reserved
    pri: int
    delay: int
    releases: int
    buries: int
    kicks: int
    timeouts: int
    reserves: int
    saved_reserves: int
    due_from: float  # a delayed job is ready at some instant between these two
    due_to: float


ABSENT_STATE = State(ABSENT, NOBODY, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)


class Seen(NamedTuple):
    """What stats-job said."""

    where: str
    pri: int
    delay: int
    releases: int
    buries: int
    kicks: int
    timeouts: int
    reserves: int
    time_left: int
    asked_at: float
    answered_at: float


class Act:
    """A command about one job. `order` counts the commands of its connection."""

    __slots__ = ("answered_at", "by", "delay", "kind", "order", "pri", "seen", "sent_at")

    def __init__(
        self, kind: str, by: int, order: int, sent_at: float, pri: int = 0, delay: int = 0
    ) -> None:
        self.kind = kind
        self.by = by
        self.order = order
        self.sent_at = sent_at
        self.answered_at = UNANSWERED
        self.pri = pri
        self.delay = delay
        self.seen: Seen | None = None

    def __repr__(self) -> str:
        until = "..." if self.answered_at == UNANSWERED else f"{self.answered_at:.4f}"
        words = (
            f" {self.pri} {self.delay}"
            if self.kind in ("put", "release", "bury")
            else f" {self.seen}"
            if self.seen
            else ""
        )
        return f"[{self.sent_at:.4f} to {until}] {self.by}.{self.order} {self.kind}{words}"


# --- what an act does


def _put(state: State, act: Act) -> State | None:
    if state.where != ABSENT:
        return None
    return _stands(state, act)


def _stands(state: State, act: Act) -> State:
    """Ready or delayed, with a new priority and delay."""
    return state._replace(
        where=DELAYED if act.delay else READY,
        holder=NOBODY,
        pri=act.pri,
        delay=act.delay,
        saved_reserves=state.reserves,
        due_from=act.sent_at + act.delay if act.delay else 0.0,
        due_to=act.answered_at + act.delay if act.delay else 0.0,
    )


def _reserve(state: State, act: Act) -> State | None:
    if state.where != READY:
        return None
    return state._replace(where=RESERVED, holder=act.by, reserves=state.reserves + 1)


def _reserve_job(state: State, act: Act) -> State | None:
    if state.where not in (DELAYED, BURIED):
        return _reserve(state, act)
    reserves = state.reserves + 1
    return state._replace(
        where=RESERVED,
        holder=act.by,
        reserves=reserves,
        saved_reserves=reserves,
        due_from=0.0,
        due_to=0.0,
    )


def _release(state: State, act: Act) -> State | None:
    if state.holder != act.by:
        return None
    return _stands(state._replace(releases=state.releases + 1), act)


def _bury(state: State, act: Act) -> State | None:
    if state.holder != act.by:
        return None
    return state._replace(
        where=BURIED,
        holder=NOBODY,
        pri=act.pri,
        buries=state.buries + 1,
        saved_reserves=state.reserves,
    )


def _kick(state: State, act: Act) -> State | None:
    if state.where not in (DELAYED, BURIED):
        return None
    return state._replace(
        where=READY, kicks=state.kicks + 1, saved_reserves=state.reserves, due_from=0.0, due_to=0.0
    )


def _delete(state: State, act: Act) -> State | None:
    if state.where in (ABSENT, GONE) or state.holder not in (NOBODY, act.by):
        return None
    return state._replace(where=GONE, holder=NOBODY)


def _touch(state: State, act: Act) -> State | None:
    return state if state.holder == act.by else None


def _close(state: State, act: Act) -> State:
    """The connection's end: what it held is ready, and nothing is written about that."""
    return state._replace(where=READY, holder=NOBODY) if state.holder == act.by else state


def _peek(state: State, act: Act) -> State | None:
    return None if state.where in (ABSENT, GONE) else state


def _look(state: State, act: Act) -> State | None:
    if act.seen is None:
        return state
    exact = state.reserves == act.seen.reserves and state.where == act.seen.where
    return state if exact and agrees(state, act.seen) else None


_EFFECTS: dict[str, Callable[[State, Act], State | None]] = {
    "put": _put,
    "reserve": _reserve,
    "reserve-job": _reserve_job,
    "release": _release,
    "bury": _bury,
    "kick-job": _kick,
    "delete": _delete,
    "touch": _touch,
    "close": _close,
    "peek": _peek,
    "stats-job": _look,
}


def after(state: State, act: Act) -> State | None:
    """The state an act leads to; None if it cannot have succeeded in this one."""
    return _EFFECTS[act.kind](state, act)


def _by_itself(state: State, ttr: int, now: float) -> Iterator[State]:
    """What time alone may have done by now."""
    if state.where == DELAYED and state.due_from <= now:
        yield state._replace(where=READY, due_from=0.0, due_to=0.0)
    if state.where == RESERVED and ttr <= SHORT_TTR_S:
        yield state._replace(
            where=READY, holder=NOBODY, timeouts=state.timeouts + 1, saved_reserves=state.reserves
        )


# --- all orders


def outcomes(start: State, ttr: int, acts: Iterable[Act], now: float) -> set[State]:
    """The states that are possible at the end, each act that was answered having taken effect.
    Empty: the answers contradict each other.
    """
    by_connection: dict[int, list[Act]] = {}
    for act in sorted(acts, key=lambda act: act.order):
        by_connection.setdefault(act.by, []).append(act)
    queues = list(by_connection.values())
    first = ((0,) * len(queues), start)
    reached = {first}
    to_do = [first]
    possible: set[State] = set()
    while to_do:
        places, state = to_do.pop()
        heads = [
            (index, queue[place])
            for index, (queue, place) in enumerate(zip(queues, places, strict=True))
            if place < len(queue)
        ]
        # What was sent after this came after what was answered then.
        soonest_answer = min((head.answered_at for _, head in heads), default=UNANSWERED)
        if soonest_answer == UNANSWERED:
            possible.add(state)
        follow = [(places, other) for other in _by_itself(state, ttr, now)]
        for index, head in heads:
            if head.sent_at > soonest_answer:
                continue
            there = (*places[:index], places[index] + 1, *places[index + 1 :])
            changed = after(state, head)
            if changed is not None:
                follow.append((there, changed))
            if head.answered_at == UNANSWERED:
                follow.append((there, state))
        for step in follow:
            if step not in reached:
                reached.add(step)
                to_do.append(step)
    return possible


# --- comparing


def agrees(state: State, seen: Seen) -> bool:
    """All but where it stands and how often it was reserved."""
    if state[2:8] != (seen.pri, seen.delay, seen.releases, seen.buries, seen.kicks, seen.timeouts):
        return False
    if seen.where != DELAYED:
        return True
    earliest = state.due_from - seen.answered_at - 1 - CLOCK_S
    latest = state.due_to - seen.asked_at + CLOCK_S
    return earliest <= seen.time_left <= latest


def survived(state: State, seen: Seen) -> bool:
    """Whether a job in this state may look so after a crash."""
    where = READY if state.where == RESERVED else state.where
    return (
        where == seen.where
        and state.saved_reserves <= seen.reserves <= state.reserves
        and agrees(state, seen)
    )


def start_from(seen: Seen) -> State:
    """What is certain of a job that was looked at after a restart."""
    delayed = seen.where == DELAYED
    return State(
        seen.where,
        NOBODY,
        seen.pri,
        seen.delay,
        seen.releases,
        seen.buries,
        seen.kicks,
        seen.timeouts,
        seen.reserves,
        seen.reserves,
        seen.asked_at + seen.time_left - CLOCK_S if delayed else 0.0,
        seen.answered_at + seen.time_left + 1 + CLOCK_S if delayed else 0.0,
    )
