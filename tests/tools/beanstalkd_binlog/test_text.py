"""Text of instants, durations, sizes and bodies."""

from __future__ import annotations

import time

import pytest
from beanstalkd_binlog.text import count, json_body, size, text
from beanstalkd_binlog.times import duration, local, parse, rfc3339

AT = 1_767_225_600_123_456_789


def test_rfc_3339_keeps_nanoseconds():
    assert rfc3339(AT) == "2026-01-01T00:00:00.123456789Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999999Z"


def test_instant_outside_the_calendar_is_a_number():
    assert rfc3339(1 << 62) == "2116-02-20T23:53:38.427387904Z"
    assert rfc3339(10**30) == local(10**30) == "@" + "1" + "0" * 30


def test_local_time_follows_the_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Etc/GMT+5")
    time.tzset()
    assert local(AT) == "2025-12-31 19:00:00.123"


@pytest.mark.parametrize(
    "said",
    [
        "2026-01-01T00:00:00.123456789Z",
        "2026-01-01 00:00:00.123456789z",
        "2026-01-01T05:30:00.123456789+05:30",
        "2025-12-31T19:00:00.123456789-0500",
    ],
)
def test_times_are_read_to_the_nanosecond(said):
    assert parse(said, 0) == AT


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2026-01-01", 1_767_225_600_000_000_000),
        ("2026-01-01 00:01", 1_767_225_660_000_000_000),
        ("2026-01-01T00:00:01,5", 1_767_225_601_500_000_000),
        ("@1767225600", 1_767_225_600_000_000_000),
        ("90s", AT - 90_000_000_000),
        ("2h", AT - 7_200_000_000_000),
        ("3d", AT - 259_200_000_000_000),
    ],
)
def test_other_forms_of_a_time(said, at):
    assert parse(said, AT) == at


@pytest.mark.parametrize(
    "said", ["", "yesterday", "2026-13-01", "2026-01-01T25:00", "10", "@", "5 m"]
)
def test_text_that_is_not_a_time(said):
    with pytest.raises(ValueError):
        parse(said, AT)


@pytest.mark.parametrize(
    ("ns", "said"),
    [
        (0, "0s"), (1_500_000, "1.5ms"), (240_470_373, "240ms"), (999_999_999, "999ms"),
        (10**9, "1s"), (90 * 10**9, "1m30s"), (3600 * 10**9, "1h"), (3661 * 10**9, "1h1m"),
        (3601 * 10**9, "1h"), (100 * 86400 * 10**9, "100d"), (-5 * 10**9, "-5s"),
    ],
)  # fmt: skip
def test_durations(ns, said):
    assert duration(ns) == said


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (5 << 40, "5.0 TiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_sizes(nbytes, said):
    assert size(nbytes) == said


def test_counts():
    assert (count(0, "job"), count(1, "job"), count(2, "job")) == ("0 jobs", "1 job", "2 jobs")


def test_text_escapes_what_is_not_printable():
    assert text(b"\x1b[31m") == "\\x1b[31m"
    assert text(b"a\tb\xffc\xc3\xa4\x00\xf0\x9f\x8d\x80\\") == "a\\tb\\xffcä\\x00🍀\\"


def test_body_that_is_not_utf_8_is_base64():
    assert json_body(b"\xff", 1, "text", False) == {
        "body": "/w==",
        "body_encoding": "base64",
        "body_bytes": 1,
        "body_cut": False,
    }


def test_body_in_a_chosen_encoding():
    assert json_body(b"ab", 2, "hex", False) == {
        "body": "6162",
        "body_encoding": "hex",
        "body_bytes": 2,
        "body_cut": False,
    }
    assert json_body(b"ab", 2, "base64", False)["body"] == "YWI="
    assert json_body(b"\x01\n", 2, None, False)["body"] == "\x01\n"
