"""The model of one job: which states the replies before a kill allow."""

from __future__ import annotations

from random import Random

import pytest
from killtest.fault import Fault
from killtest.knowledge import Knowledge, Pause, Put, pauses_that_explain
from killtest.model import (
    ABSENT_STATE,
    BURIED,
    DELAYED,
    GONE,
    READY,
    RESERVED,
    UNANSWERED,
    Act,
    JobStats,
    after,
    outcomes,
    survived,
)

NOW = 1000.0
LONG = 3600


def act(
    kind: str,
    by: int,
    order: int,
    sent_at: float,
    answered_at: float = UNANSWERED,
    pri: int = 0,
    delay: int = 0,
) -> Act:
    made = Act(kind, by, order, sent_at, pri, delay)
    made.answered_at = answered_at
    return made


def states(*acts: Act, ttr: int = LONG) -> set[tuple[str, int]]:
    return {(state.where, state.pri) for state in outcomes(ABSENT_STATE, ttr, acts, NOW)}


PUT = act("put", 1, 1, 1.0, 2.0, pri=7)


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ((PUT,), {(READY, 7)}),
        ((act("put", 1, 1, 1.0, pri=7),), {("absent", 0), (READY, 7)}),
        ((PUT, act("delete", 1, 2, 3.0, 4.0)), {(GONE, 7)}),
        ((PUT, act("delete", 1, 2, 3.0)), {(READY, 7), (GONE, 7)}),
        ((PUT, act("put", 1, 2, 3.0, 4.0)), set()),
        ((PUT, act("delete", 1, 2, 3.0, 4.0), act("peek", 2, 1, 5.0, 6.0)), set()),
        ((PUT, act("delete", 1, 2, 3.0, 4.0), act("peek", 2, 1, 3.5, 6.0)), {(GONE, 7)}),
        (
            (PUT, act("reserve", 2, 1, 3.0, 4.0), act("release", 2, 2, 5.0, 6.0, pri=9)),
            {(READY, 9)},
        ),
        ((PUT, act("reserve", 2, 1, 3.0, 4.0), act("release", 3, 1, 5.0, 6.0, pri=9)), set()),
        (
            (PUT, act("reserve", 2, 1, 3.0, 4.0), act("bury", 2, 2, 5.0, pri=9)),
            {(RESERVED, 7), (BURIED, 9)},
        ),
        ((PUT, act("reserve", 2, 1, 3.0, 4.0), act("reserve", 3, 1, 3.0, 4.0)), set()),
    ],
)
def test_acts_with_a_reply_took_effect_and_others_may_have(acts, expected):
    assert states(*acts) == expected


def test_overlapping_acts_may_take_effect_in_any_order():
    kept = [PUT, act("reserve-job", 2, 1, 3.0, 9.0), act("release", 2, 2, 3.0, 9.0, pri=2)]
    other = [act("reserve-job", 3, 1, 3.0, 9.0), act("release", 3, 2, 3.0, 9.0, pri=3)]
    assert states(*kept, *other) == {(READY, 2), (READY, 3)}
    later = [act("reserve-job", 3, 1, 9.5, 9.9), act("release", 3, 2, 9.5, 9.9, pri=3)]
    assert states(*kept, *later) == {(READY, 3)}


def test_acts_of_one_connection_keep_their_order():
    assert states(
        PUT, act("reserve-job", 2, 1, 3.0), act("delete", 2, 2, 3.0), act("kick-job", 2, 3, 3.0)
    ) == {
        (READY, 7),
        (RESERVED, 7),
        (GONE, 7),
    }


def test_short_ttr_may_end_and_long_one_may_not():
    reserved = (PUT, act("reserve", 2, 1, 3.0, 4.0))
    assert {state.timeouts for state in outcomes(ABSENT_STATE, 1, reserved, NOW)} == {0, 1}
    assert {state.timeouts for state in outcomes(ABSENT_STATE, LONG, reserved, NOW)} == {0}


def test_delay_may_end_only_after_its_time():
    assert states(act("put", 1, 1, 1.0, 2.0, delay=1)) == {(DELAYED, 0), (READY, 0)}
    assert states(act("put", 1, 1, 1.0, 2.0, delay=LONG)) == {(DELAYED, 0)}


BURIED_ONCE = (PUT, act("reserve", 2, 1, 3.0, 4.0), act("bury", 2, 2, 5.0, 6.0, pri=9))
SEEN = JobStats(BURIED, 9, 0, 0, 1, 0, 0, 1, 0, NOW, NOW)


@pytest.mark.parametrize(
    "other",
    [
        {"where": READY},
        {"pri": 7},
        {"delay": 1},
        {"releases": 1},
        {"buries": 0},
        {"kicks": 1},
        {"timeouts": 1},
        {"reserves": 0},
        {"reserves": 2},
    ],
)
def test_every_difference_is_detected(other):
    (state,) = outcomes(ABSENT_STATE, LONG, BURIED_ONCE, NOW)
    assert survived(state, SEEN)
    assert not survived(state, SEEN._replace(**other))


def test_reserves_may_be_lost_unless_recorded_later():
    reserved = act("reserve", 2, 1, 3.0, 4.0)
    (state,) = outcomes(ABSENT_STATE, LONG, (PUT, reserved), NOW)
    observed = JobStats(READY, 7, 0, 0, 0, 0, 0, 0, 0, NOW, NOW)
    assert survived(state, observed)
    assert survived(state, observed._replace(reserves=1))
    assert not survived(state, observed._replace(reserves=2))


def test_delay_continues_after_a_restart():
    (state,) = outcomes(
        ABSENT_STATE, LONG, (act("put", 1, 1, NOW - 100, NOW - 99, delay=LONG),), NOW
    )
    observed = JobStats(DELAYED, 0, LONG, 0, 0, 0, 0, 0, LONG - 100, NOW, NOW + 0.1)
    assert survived(state, observed)
    assert not survived(state, observed._replace(time_left=LONG - 1))
    assert not survived(state, observed._replace(time_left=LONG - 104))


ONCE = ABSENT_STATE._replace(attempts=1)
RESERVED_ONCE = (PUT, act("reserve", 2, 1, 3.0, 4.0))


@pytest.mark.parametrize(
    "end", [act("release", 2, 2, 5.0, 6.0, pri=9), act("close", 2, 2, 5.0, 6.0)]
)
def test_job_is_buried_at_the_end_of_its_last_attempt(end):
    for start, where in ((ONCE, BURIED), (ABSENT_STATE, READY)):
        (state,) = outcomes(start, LONG, (*RESERVED_ONCE, end), NOW)
        assert (state.where, state.buries) == (where, where == BURIED)


def test_job_is_buried_when_its_last_ttr_ends():
    ended = {(RESERVED, 0), (BURIED, 1)}
    assert {(s.where, s.timeouts) for s in outcomes(ONCE, 1, RESERVED_ONCE, NOW)} == ended


def test_lost_attempt_of_a_job_with_a_limit_is_saved():
    acts = (*RESERVED_ONCE, act("close", 2, 2, 5.0, 6.0))
    for limit, saved in ((0, 0), (2, 1)):
        (state,) = outcomes(ABSENT_STATE._replace(attempts=limit), LONG, acts, NOW)
        assert (state.where, state.saved_reserves) == (READY, saved)


UNTIL_RESERVE = ABSENT_STATE._replace(until_reserve=True)


@pytest.mark.parametrize(
    ("start", "kind", "acts", "possible"),
    [
        (ABSENT_STATE, "key is taken", (PUT,), True),
        (ABSENT_STATE, "key is free", (PUT,), False),
        (ABSENT_STATE, "key is free", (PUT, act("delete", 1, 2, 3.0, 4.0)), True),
        (ABSENT_STATE, "key is taken", (PUT, act("delete", 1, 2, 3.0, 4.0)), False),
        (ABSENT_STATE, "key is taken", (PUT, act("delete", 1, 2, 3.0)), True),
        (ABSENT_STATE, "key is free", (PUT, act("delete", 1, 2, 3.0)), True),
        (ABSENT_STATE, "key is taken", RESERVED_ONCE, True),
        (ABSENT_STATE, "key is free", RESERVED_ONCE, False),
        (UNTIL_RESERVE, "key is taken", RESERVED_ONCE, False),
        (UNTIL_RESERVE, "key is free", RESERVED_ONCE, True),
    ],
)
def test_key_is_taken_until_its_job_is_gone_or_reserved(start, kind, acts, possible):
    other = act(kind, 9, 1, 7.0, 8.0)
    assert bool(outcomes(start, LONG, (*acts, other), NOW)) is possible


def test_end_of_a_key_is_saved():
    (state,) = outcomes(UNTIL_RESERVE, LONG, RESERVED_ONCE, NOW)
    assert state.saved_reserves == 1


def exchange(*steps: tuple[bytes, int]) -> Knowledge:
    """Puts of one key, one after another. A reply: "is job N" or "has job N"."""
    knowledge = Knowledge(Random(1))
    for number, (word, id) in enumerate(steps):
        made = Put(b"t", 60, b"body-%d" % id, act("put", number, 1, number, number + 0.5), b"k")
        (knowledge.inserted if word == b"is" else knowledge.exists)(id, made)
    return knowledge


def is_possible(knowledge: Knowledge) -> bool:
    return all(outcomes(job.start, 60, job.acts, NOW) for job in knowledge.jobs.values())


def test_replies_to_puts_of_one_key_contradict_each_other_if_two_jobs_have_it():
    assert is_possible(exchange((b"is", 1), (b"has", 1)))
    assert not is_possible(exchange((b"is", 1), (b"is", 2)))
    with pytest.raises(Fault, match="is said to have key"):
        knowledge = exchange((b"is", 1))
        knowledge.exists(1, Put(b"other", 60, b"", act("put", 9, 1, 9.0, 9.5), b"k"))


def test_job_that_a_reply_names_is_not_lost():
    knowledge = exchange((b"has", 7))
    with pytest.raises(Fault, match="gone"):
        knowledge.check_told()
    knowledge.inserted(7, Put(b"t", 60, b"body-7", act("put", 9, 1, 0.0, 9.5), b"k"))
    knowledge.check_told()
    assert is_possible(knowledge)


def test_stats_job_reply_is_certain():
    observation = act("stats-job", 3, 1, 7.0, 8.0)
    observation.job_stats = SEEN
    (state,) = outcomes(ABSENT_STATE, LONG, BURIED_ONCE, NOW)
    assert after(state, observation) == state
    observation.job_stats = SEEN._replace(reserves=0)
    assert after(state, observation) is None


def test_pauses_that_follow_each_other_closely_are_told_apart_by_a_later_audit():
    first, second = (
        Pause(3600, Act("pause-tube", 1, order, at)) for order, at in ((1, 100.0), (2, 101.33))
    )
    first.act.answered_at = 100.01
    ends_at = 101.33 + 3600  # the second one took effect, without a reply

    def explain(now: float) -> list[Pause]:
        return pauses_that_explain([first, second], 3600, int(ends_at - now), now, now + 0.01)

    assert explain(102.5) == [first, second]
    assert explain(110.2) == [second]
