"""click types for arguments that are times, LSNs, or ranges of LSNs."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from beanstalkd_binlog import times
from beanstalkd_binlog.moment import Moment


class Instant(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no type argument
    """Wall-clock nanoseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return value if isinstance(value, int) else times.parse(value, time.time_ns())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class At(click.ParamType):  # type: ignore[type-arg]
    """Digits alone are an LSN; everything else is a time."""

    name = "lsn|time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Moment:
        if isinstance(value, Moment):
            return value
        if re.fullmatch(r"\d+", value):
            return Moment(lsn=int(value))
        return Moment(at=Instant().convert(value, param, ctx))


class Lsns(click.ParamType):  # type: ignore[type-arg]
    """First and last LSN; None: no last."""

    name = "a:b"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int | None]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d*)(:?)(\d*)", value)
        if not match or value in ("", ":"):
            self.fail(f"{value!r} is not a range of LSNs: use 5, 5:9, 5: or :9", param, ctx)
        first = int(match[1] or 0)
        return first, int(match[3]) if match[3] else None if match[2] else first
