"""The tables `[[schedule]]` of the configuration file: jobs that the server puts by itself.

cronsim reads the cron lines. It has Debian's rules, also for the change to and from daylight saving
time, and no dependencies, and its author runs a service on it. (croniter was once declared
abandoned. It is five times as large, and its rules are its own.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from beanstalkd_py.config.kinds import Choice, Invalid, Kind, Number, Text

KEY = "schedule"
MISSED = ("skip", "one")
MAX_BODY = 65535  # bytes
_U32 = (1 << 32) - 1
_NAME = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_TUBE = re.compile(r"(?!-)[A-Za-z0-9\-+/;.$_()]{1,200}")
_FIELDS = 5  # of a cron line; cronsim also reads six, with seconds


class Schedule(NamedTuple):
    """name: unique. missed: what becomes of runs that were due while no server ran."""

    name: str
    cron: str
    tube: str
    body: str = ""
    time_zone: str = "UTC"
    priority: int = 1024
    ttr: int = 60  # seconds
    missed: str = "skip"

    def __str__(self) -> str:
        return f"{self.name} ({self.cron}, {self.time_zone})"

    def runs(self, after: float, back: bool = False) -> Iterator[float]:
        """The instants of runs (Unix time) after this one; back: before it, the latest first. Ends
        if there is none within 50 years.
        """
        from cronsim import CronSim

        begin = datetime.fromtimestamp(after, _zone(self.time_zone))
        for run in CronSim(self.cron, begin, reverse=back):
            yield run.timestamp()


def read(
    tables: object, lines: Mapping[tuple[str | int, ...], int]
) -> tuple[tuple[Schedule, ...], list[tuple[int, str]]]:
    """The schedules, and each mistake with its line. lines: of each path in the file."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return (), [(lines[(KEY,)], "schedule: expected tables, each with the header [[schedule]]")]
    schedules: list[Schedule] = []
    mistakes: list[tuple[int, str]] = []
    for index, table in enumerate(tables):
        head = lines[(KEY, index)]
        found: dict[str, Any] = {}
        for key, value in table.items():
            try:
                found[key] = _value(key, value)
            except Invalid as error:
                mistakes.append((lines[(KEY, index, key)], str(error)))
        missing = [key for key in ("name", "cron", "tube") if key not in table]
        mistakes.extend((head, f"schedule: {key} is missing") for key in missing)
        if found.get("name") in [schedule.name for schedule in schedules]:
            mistakes.append((head, f"schedule: the name {found['name']} is there twice"))
        if found.keys() == table.keys() and not missing:
            schedules.append(Schedule(**found))
    return tuple(schedules), mistakes


def _value(key: str, value: object) -> object:
    if key not in _KINDS:
        shown = key if key.isidentifier() and len(key) < 100 else repr(key[:100])
        raise Invalid(f"unknown key: {shown}")
    try:
        found = _KINDS[key].from_file(value)
        _CHECKS.get(key, _anything)(str(found))
    except Invalid as error:
        raise Invalid(f"{key}: {error}") from None
    return found


_KINDS: dict[str, Kind] = {
    "name": Text(),
    "cron": Text(),
    "tube": Text(),
    "body": Text(may_be_empty=True),
    "time_zone": Text(),
    "priority": Number(0, _U32),
    "ttr": Number(1, _U32, "seconds"),
    "missed": Choice(MISSED),
}


def _anything(text: str) -> None:
    pass


def _check_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise Invalid("expected at most 64 letters, digits and _ . + -")


def _check_tube(text: str) -> None:
    if not _TUBE.fullmatch(text):
        raise Invalid("not the name of a tube")


def _check_body(text: str) -> None:
    if len(text.encode()) > MAX_BODY:
        raise Invalid(f"more than {MAX_BODY} bytes")


def _check_zone(text: str) -> None:
    try:
        _zone(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"no time zone {text[:100]!r} on this machine (Debian has them in the package tzdata)"
        ) from None


def _zone(name: str) -> tzinfo:
    return timezone.utc if name == "UTC" else ZoneInfo(name)


def _check_cron(text: str) -> None:
    from cronsim import CronSim, CronSimError

    if len(text.split()) != _FIELDS:
        raise Invalid("expected five fields: minute, hour, day, month, day of the week")
    try:
        next(CronSim(text, datetime.now(timezone.utc)))
    except CronSimError as error:
        raise Invalid(str(error)) from None
    except StopIteration:
        raise Invalid("there is no such day within 50 years") from None


_CHECKS = {
    "name": _check_name,
    "cron": _check_cron,
    "tube": _check_tube,
    "body": _check_body,
    "time_zone": _check_zone,
}
