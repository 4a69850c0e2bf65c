"""Instants and durations: integers of nanoseconds to text and back.

Promises: local time for people, RFC 3339 in UTC for programs; no nanosecond is lost in RFC 3339.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_UNITS = {
    "ms": SECOND // 1000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86400 * SECOND,
}
_FORMS = "2026-01-31T12:00:00Z, '2026-01-31 12:00', @1767225600 or 10m (ago)"
_AGO = re.compile(r"(\d+)(ms|s|m|h|d)")
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?)? ?([Zz]|[+-]\d\d:?\d\d)?"
)


def rfc3339(at: int) -> str:
    """UTC with nanoseconds. An instant outside the calendar is a number of nanoseconds."""
    seconds, ns = divmod(at, SECOND)
    try:
        return f"{_utc(seconds)}.{ns:09}Z"
    except OverflowError:
        return f"@{at}"


def local(at: int) -> str:
    """Local time with milliseconds."""
    seconds, ns = divmod(at, SECOND)
    try:
        when = (_EPOCH + timedelta(seconds=seconds)).astimezone()
    except OverflowError:
        return f"@{at}"
    return f"{when:%Y-%m-%d %H:%M:%S}.{ns // 1_000_000:03}"


@lru_cache(1024)
def _utc(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def parse(text: str, now: int) -> int:
    """Wall-clock nanoseconds of `2026-01-31T12:00:00.5Z`, `2026-01-31 12:00` (local time),
    `@1767225600` (seconds since the epoch) or `10m` (ago). Raises ValueError.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now - int(ago[1]) * _UNITS[ago[2]]
    if re.fullmatch(r"@\d+", text):
        return int(text[1:]) * SECOND
    match = _DATE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a time: use {_FORMS}")
    date, clock, fraction, zone = match.groups()
    when = datetime.fromisoformat(f"{date}T{clock or '00:00'}")
    when = when.replace(tzinfo=_zone(zone)) if zone else when.astimezone()
    whole = when - _EPOCH
    return (whole.days * 86400 + whole.seconds) * SECOND + int((fraction or "0").ljust(9, "0"))


def _zone(text: str) -> timezone:
    if text in "Zz":
        return timezone.utc
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def duration(ns: int) -> str:
    """`0s`, `250ms`, `1m30s`, `4d4h`: at most two units; the rest is cut off."""
    if ns < 0:
        return "-" + duration(-ns)
    if ns < SECOND:
        return _milliseconds(ns)
    seconds = ns // SECOND
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count}{unit}" if count else "")
    return "".join(parts[:2])


def _milliseconds(ns: int) -> str:
    if not ns:
        return "0s"
    return f"{ns // 1_000_000}ms" if ns >= 10_000_000 else f"{ns / 1e6:.2g}ms"
