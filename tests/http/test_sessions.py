"""Sessions and the throttle of logins: their ends and their bounds, with a clock of the test."""

from __future__ import annotations

import pytest

from beanstalkd_py.http import throttle
from beanstalkd_py.http.credentials import REMEMBERED, Credentials
from beanstalkd_py.http.refused import Refused
from beanstalkd_py.http.sessions import PER_USER, SESSION_S, Sessions
from beanstalkd_py.http.throttle import Throttle
from tests.http.users import ANNA, PASSWORDS, RITA, user

SECOND = 1_000_000_000
USERS = {each.name: each for each in (ANNA, RITA)}


class Clock:
    def __init__(self) -> None:
        self.now = 5 * SECOND

    def __call__(self) -> int:
        return self.now


def test_session_ends_after_its_time() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    token = sessions.begin(ANNA)
    clock.now += SESSION_S * SECOND - 1
    assert sessions.user(token, USERS) == ANNA
    clock.now += 1
    assert sessions.user(token, USERS) is None
    sessions.begin(RITA)
    assert len(sessions) == 1, "it is dropped"


def test_tokens_are_different_and_long() -> None:
    sessions = Sessions(Clock())
    tokens = {sessions.begin(ANNA) for _ in range(5)}
    assert len(tokens) == 5 and min(map(len, tokens)) >= 43
    assert sessions.user("", USERS) is None


def test_sessions_of_one_user_are_bounded() -> None:
    sessions = Sessions(Clock())
    other = sessions.begin(RITA)
    tokens = [sessions.begin(ANNA) for _ in range(PER_USER + 2)]
    found = [sessions.user(token, USERS) for token in tokens]
    assert found == [None, None] + [ANNA] * PER_USER
    assert sessions.user(other, USERS) == RITA
    assert len(sessions) == PER_USER + 1


def test_session_ends_when_its_user_changes() -> None:
    sessions = Sessions(Clock())
    token = sessions.begin(ANNA)
    assert sessions.user(token, {}) is None
    assert sessions.user(token, {"anna": user("anna", "read")}) is None
    assert sessions.user(token, {"anna": user("anna", "full", "another")}) is None


# The throttle


def new_throttle(clock: Clock) -> tuple[Throttle, list[str]]:
    told: list[str] = []
    return Throttle(clock, told.append), told


def test_each_further_failure_doubles_the_wait() -> None:
    clock = Clock()
    throttled, told = new_throttle(clock)
    waits = []
    for _ in range(throttle.FREE + 12):
        throttled.begin("10.0.0.1")
        waits.append(throttled.wait_s("10.0.0.1"))
    assert waits[: throttle.FREE] == [0] * (throttle.FREE - 1) + [1]
    assert waits[throttle.FREE :] == [2, 4, 8, 16, 32, 64, 128, 256] + [throttle.LONGEST_S] * 4
    clock.now += (throttle.LONGEST_S - 1) * SECOND + 1
    assert throttled.wait_s("10.0.0.1") == 1
    clock.now += SECOND
    assert throttled.wait_s("10.0.0.1") == 0
    assert throttled.wait_s("10.0.0.2") == 0
    assert told == ["10.0.0.1"]


def test_success_and_time_forget_failures() -> None:
    clock = Clock()
    throttled, _ = new_throttle(clock)
    for _ in range(2):
        for _ in range(throttle.FREE):
            throttled.begin("10.0.0.1")
        assert throttled.wait_s("10.0.0.1")
        throttled.succeeded("10.0.0.1")
        assert not throttled.wait_s("10.0.0.1")
    for _ in range(throttle.FREE + 3):
        throttled.begin("10.0.0.1")
    clock.now += throttle.FORGET_S * SECOND
    throttled.begin("10.0.0.1")
    assert not throttled.wait_s("10.0.0.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("", "", True),
    ],
)
def test_ipv6_address_counts_by_its_network(one: str, other: str, same: bool) -> None:
    throttled, _ = new_throttle(Clock())
    for _ in range(throttle.FREE):
        throttled.begin(one)
    assert (throttled.wait_s(other) > 0) is same


def test_number_of_kept_addresses_is_bounded() -> None:
    throttled, _ = new_throttle(Clock())
    for _ in range(throttle.FREE):
        throttled.begin("10.0.0.1")
    for number in range(throttle.ADDRESSES - 1):
        throttled.begin(f"11.0.{number // 256}.{number % 256}")
    assert len(throttled) == throttle.ADDRESSES and throttled.wait_s("10.0.0.1")
    throttled.begin("12.0.0.1")
    assert len(throttled) == throttle.ADDRESSES
    assert not throttled.wait_s("10.0.0.1"), "the one that failed first is forgotten"


# Credentials


def credentials() -> Credentials:
    return Credentials(USERS, Clock(), lambda address: None)


def test_password_that_was_right_is_remembered_until_it_changes() -> None:
    known = credentials()
    right = PASSWORDS["anna"].encode()
    assert known.user("anna", right, "10.0.0.1") == ANNA
    for _ in range(throttle.FREE):
        assert known.user("anna", b"wrong", "10.0.0.1") is None
    assert known.user("anna", right, "10.0.0.1") == ANNA
    known.users = {"anna": user("anna", "full", "new")}
    with pytest.raises(Refused):
        known.user("anna", right, "10.0.0.1")
    assert known.user("anna", right, "10.0.0.2") is None
    assert known.user("anna", b"new", "10.0.0.3") == known.users["anna"]


def test_password_of_another_name_is_wrong() -> None:
    known = credentials()
    assert known.user("anna", PASSWORDS["anna"].encode(), "") == ANNA
    assert known.user("rita", PASSWORDS["anna"].encode(), "") is None
    assert known.user("nobody", PASSWORDS["anna"].encode(), "") is None


def test_number_of_remembered_passwords_is_bounded() -> None:
    known = credentials()
    known.users = {f"u{n}": user(f"u{n}", "read", "p") for n in range(REMEMBERED + 3)}
    for name in known.users:
        assert known.user(name, b"p", "") == known.users[name]
    assert len(known._remembered) == REMEMBERED
