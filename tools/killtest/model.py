"""The possible states of one job, given the commands, their replies and the times.

An act takes effect once, between the time it was sent and the time of its reply. The acts of one
connection take effect in order. An act without a reply takes effect once or never. Clients know
nothing else, so nothing else may be required. `outcomes` tries every order that this allows.

A time is a float of seconds on the monotonic clock.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

ABSENT, READY, RESERVED, DELAYED, BURIED, GONE = (
    "absent",
    "ready",
    "reserved",
    "delayed",
    "buried",
    "deleted",
)
NOBODY = 0
UNANSWERED = float("inf")
SHORT_TTR_S = 10  # jobs with a longer TTR do not time out during a round
# maximum drift between wall clock and monotonic clock, and resolution of stats-job
CLOCK_S = 1.0


class State(NamedTuple):
    """saved_reserves: the count in the last record on disk. A kill may lose later reserves.

    attempts: how often the job is delivered at most; 0: any number. until_reserve: its unique key
    ends with the first reserve.
    """

    where: str
    holder: int  # serial number of the connection that has reserved it
    pri: int
    delay: int
    releases: int
    buries: int
    kicks: int
    timeouts: int
    reserves: int
    saved_reserves: int
    due_from: float  # a delayed job becomes ready between these two times
    due_to: float
    attempts: int = 0
    until_reserve: bool = False

    @property
    def is_used_up(self) -> bool:
        return 0 < self.attempts <= self.reserves


ABSENT_STATE = State(ABSENT, NOBODY, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)


class JobStats(NamedTuple):
    """A reply to stats-job."""

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
    """A command that concerns one job. order: number of the command in its connection."""

    __slots__ = ("answered_at", "by", "delay", "kind", "order", "pri", "job_stats", "sent_at")

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
        self.job_stats: JobStats | None = None

    def __repr__(self) -> str:
        until = "..." if self.answered_at == UNANSWERED else f"{self.answered_at:.4f}"
        words = (
            f" {self.pri} {self.delay}"
            if self.kind in ("put", "release", "bury")
            else f" {self.job_stats}"
            if self.job_stats
            else ""
        )
        return f"[{self.sent_at:.4f} to {until}] {self.by}.{self.order} {self.kind}{words}"


def as_kind(act: Act, kind: str) -> Act:
    """The same act, as it concerns another job."""
    other = copy.copy(act)
    other.kind = kind
    return other


# --- effects of acts


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
    return state._replace(
        where=RESERVED,
        holder=act.by,
        reserves=state.reserves + 1,
        # The end of a key has a record.
        saved_reserves=1 if state.until_reserve and not state.reserves else state.saved_reserves,
    )


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
    released = state._replace(releases=state.releases + 1)
    if state.is_used_up:
        return _buried(released, act.pri)
    return _stands(released, act)


def _bury(state: State, act: Act) -> State | None:
    return _buried(state, act.pri) if state.holder == act.by else None


def _buried(state: State, pri: int) -> State:
    return state._replace(
        where=BURIED,
        holder=NOBODY,
        pri=pri,
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
    """The connection ends: its reserved job becomes ready. Only the end of an attempt of a job with
    a limit is recorded.
    """
    if state.holder != act.by:
        return state
    if state.is_used_up:
        return _buried(state, state.pri)
    saved = state.reserves if state.attempts else state.saved_reserves
    return state._replace(where=READY, holder=NOBODY, saved_reserves=saved)


def _peek(state: State, act: Act) -> State | None:
    return None if state.where in (ABSENT, GONE) else state


def _look(state: State, act: Act) -> State | None:
    if act.job_stats is None:
        return state
    exact = state.reserves == act.job_stats.reserves and state.where == act.job_stats.where
    return state if exact and agrees(state, act.job_stats) else None


def has_key(state: State) -> bool:
    """Whether a job that was put with a key has it."""
    return state.where not in (ABSENT, GONE) and not (state.until_reserve and state.reserves)


def _key_is_taken(state: State, act: Act) -> State | None:
    return state if has_key(state) else None


def _key_is_free(state: State, act: Act) -> State | None:
    return None if has_key(state) else state


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
    "key is taken": _key_is_taken,
    "key is free": _key_is_free,
}


def after(state: State, act: Act) -> State | None:
    """The state after the act; None if the act cannot succeed in this state."""
    return _EFFECTS[act.kind](state, act)


def _by_itself(state: State, ttr: int, now: float) -> Iterator[State]:
    """What may have happened by now without a command."""
    if state.where == DELAYED and state.due_from <= now:
        yield state._replace(where=READY, due_from=0.0, due_to=0.0)
    if state.where == RESERVED and ttr <= SHORT_TTR_S:
        late = state._replace(timeouts=state.timeouts + 1, saved_reserves=state.reserves)
        yield (
            _buried(late, state.pri)
            if state.is_used_up
            else late._replace(where=READY, holder=NOBODY)
        )


# --- all orders


def outcomes(start: State, ttr: int, acts: Iterable[Act], now: float) -> set[State]:
    """The possible final states, after every act with a reply.

    Empty if the replies contradict each other.
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
        # An act sent after this time follows the act that had its reply then.
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


# --- comparison


def agrees(state: State, job_stats: JobStats) -> bool:
    """Compares everything except the state and the number of reserves."""
    if state[2:8] != (
        job_stats.pri,
        job_stats.delay,
        job_stats.releases,
        job_stats.buries,
        job_stats.kicks,
        job_stats.timeouts,
    ):
        return False
    if job_stats.where != DELAYED:
        return True
    earliest = state.due_from - job_stats.answered_at - 1 - CLOCK_S
    latest = state.due_to - job_stats.asked_at + CLOCK_S
    return earliest <= job_stats.time_left <= latest


def survived(state: State, job_stats: JobStats) -> bool:
    """Whether a job in this state may look like this after a kill."""
    where = READY if state.where == RESERVED else state.where
    return (
        where == job_stats.where
        and state.saved_reserves <= job_stats.reserves <= state.reserves
        and agrees(state, job_stats)
    )


def start_from(job_stats: JobStats, before: State = ABSENT_STATE) -> State:
    """What is certain about a job after a restart. before: for what no command changes."""
    delayed = job_stats.where == DELAYED
    return State(
        job_stats.where,
        NOBODY,
        job_stats.pri,
        job_stats.delay,
        job_stats.releases,
        job_stats.buries,
        job_stats.kicks,
        job_stats.timeouts,
        job_stats.reserves,
        job_stats.reserves,
        job_stats.asked_at + job_stats.time_left - CLOCK_S if delayed else 0.0,
        job_stats.answered_at + job_stats.time_left + 1 + CLOCK_S if delayed else 0.0,
        before.attempts,
        before.until_reserve,
    )
