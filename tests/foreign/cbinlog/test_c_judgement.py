"""Each rule for a plausible record, broken alone."""

from __future__ import annotations

import pytest

from beanstalkd_py.foreign.cbinlog.format import Jobrec
from beanstalkd_py.foreign.cbinlog.judgement import (
    is_no_delete,
    may_be_cut,
    plausible,
    plausible_behind_damage,
    reads_as_torn,
    same_job,
)

from .logs import BORN, BURIED, DELAYED, DELETED, READY, SECOND

JOB = Jobrec(5, 10, 3 * SECOND, 60 * SECOND, 7, BORN, BORN + SECOND, 1, 1, 1, 1, 1, DELAYED)
U32_SECONDS = 0xFFFFFFFF * SECOND


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"ttr_ns": SECOND},
        {"ttr_ns": U32_SECONDS},
        {"ttr_ns": 1000},
        {"deadline_at_ns": -5, "state": READY},
        {"delay_ns": 0},
        {"delay_ns": U32_SECONDS},
        {"body_size": 2},
        {"body_size": (1 << 30) + 2},
        {"created_at_ns": 1},
        {"deadline_at_ns": 0},
        {"state": DELETED},
    ],
)
def test_records_that_the_c_server_writes_are_plausible(change):
    assert plausible(JOB._replace(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"ttr_ns": 0},
        {"ttr_ns": -SECOND},
        {"ttr_ns": SECOND + 1},
        {"ttr_ns": 2000},
        {"ttr_ns": U32_SECONDS + SECOND},
        {"delay_ns": 1},
        {"delay_ns": -SECOND},
        {"delay_ns": U32_SECONDS + SECOND},
        {"body_size": 1},
        {"body_size": (1 << 30) + 3},
        {"created_at_ns": 0},
        {"deadline_at_ns": -1},
        {"state": 5},
    ],
)
def test_records_that_it_cannot_write_are_not_plausible(change):
    assert not plausible(JOB._replace(**change))
    assert not plausible_behind_damage(b"", JOB._replace(**change), b"")


@pytest.mark.parametrize(
    ("tube", "change", "padding"),
    [
        (b"", {"id": 0}, b""),
        (b"", {"id": 1 << 63}, b""),
        (b"", {"created_at_ns": 4_200_000_000 * SECOND}, b""),
        (b"", {}, b"\0\1"),
        (b"a b", {}, b""),
        (b"tube", {"state": DELETED}, b""),
    ],
)
def test_plausible_behind_damage_is_stricter(tube, change, padding):
    assert plausible(JOB._replace(**change))
    assert not plausible_behind_damage(tube, JOB._replace(**change), padding)


def test_intact_record_is_plausible_behind_damage():
    assert plausible_behind_damage(b"", JOB._replace(state=DELETED), b"\0\0")
    assert plausible_behind_damage(b"tube", JOB, b"\0\0")


def test_same_job_compares_fields_that_never_change():
    others = {"pri": 1, "delay_ns": 0, "deadline_at_ns": 0, "reserves": 9, "state": READY}
    assert same_job(JOB, JOB._replace(**others))
    for change in ({"created_at_ns": BORN + 1}, {"ttr_ns": SECOND}, {"body_size": 8}):
        assert not same_job(JOB, JOB._replace(**change))


@pytest.mark.parametrize("counter", ["reserves", "timeouts", "releases", "buries", "kicks"])
def test_falling_counters_are_no_delete(counter):
    assert is_no_delete(JOB, JOB._replace(**{counter: 0}))
    assert reads_as_torn(JOB, JOB._replace(**{counter: 0}))


@pytest.mark.parametrize(
    ("state", "change", "no_delete", "torn"),
    [
        (READY, {}, False, False),
        (
            READY,
            {"reserves": 2, "timeouts": 2, "releases": 2, "pri": 11, "delay_ns": 0},
            False,
            False,
        ),
        (READY, {"kicks": 2}, True, True),
        (READY, {"buries": 2}, True, True),
        (BURIED, {"buries": 2}, False, False),
        (READY, {"pri": 11}, False, True),
        (READY, {"delay_ns": 0}, False, True),
        (READY, {"deadline_at_ns": 0}, False, True),
        (READY, {"deadline_at_ns": (1 << 56) - 1}, False, True),
        (READY, {"deadline_at_ns": 1 << 56}, False, False),
        (READY, {"reserves": 2, "deadline_at_ns": BORN + SECOND}, False, False),
    ],
)
def test_delete_agrees_with_the_log(state, change, no_delete, torn):
    known = JOB._replace(state=state)
    assert is_no_delete(known, known._replace(**change)) == no_delete
    assert reads_as_torn(known, known._replace(**change)) == torn


def test_small_deadline_of_before_is_not_torn():
    known = JOB._replace(state=READY, deadline_at_ns=37_000)
    assert not reads_as_torn(known, known)
    assert reads_as_torn(known, known._replace(deadline_at_ns=38_000))


def test_clock_that_began_in_1970_is_not_torn():
    known = JOB._replace(created_at_ns=50, deadline_at_ns=70)
    assert not reads_as_torn(known, known._replace(deadline_at_ns=90))


def test_record_may_be_cut_where_a_sector_ends():
    assert may_be_cut(state_offset=1024, data_end=1024)
    assert may_be_cut(state_offset=1050, data_end=1000)
    assert not may_be_cut(state_offset=1050, data_end=1025)
    assert not may_be_cut(state_offset=1023, data_end=1000)
