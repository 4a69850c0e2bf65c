"""What was found, as one table for people and JSON for programs.

May know: how samples look. A line is one row of the table: what one server did in one way of using
it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from .load import Sample
from .rounds import Ratio
from .rows import Goal

HEADINGS = (
    "",
    "server",
    "per s",
    "user us",
    "sys us",
    "p50 us",
    "p99 us",
    "p99.9 us",
    "ratio",
    "goal",
    "met",
)


class Line(NamedTuple):
    """measured: what is compared, in words. sample: None where there is none to show. ratio: None
    for what others are compared with.
    """

    name: str
    title: str
    label: str
    measured: str
    sample: Sample | None
    ratio: Ratio | None
    goal: Goal

    @property
    def met(self) -> bool | None:
        return None if self.ratio is None else self.goal.met(self.ratio.median)


def table(lines: Iterable[Line]) -> str:
    """In Markdown."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *map(_cells, lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def _cells(line: Line) -> tuple[str, ...]:
    latencies = [_latency(line.sample, key) for key in ("p50", "p99", "p999")]
    cpu = (_cpu(line.sample.user_us), _cpu(line.sample.system_us)) if line.sample else ("", "")
    return (line.title, line.label, line.measured, *cpu, *latencies, *_verdict(line))


def _cpu(us: float) -> str:
    return f"{us:.2f}" if us < 100 else f"{us:.0f}"


def _latency(sample: Sample | None, key: str) -> str:
    """Of put/delete, where there are both."""
    if sample is None:
        return ""
    found = (getattr(sample, f"{command}_{key}_us") for command in ("put", "delete"))
    return "/".join(f"{value:.0f}" for value in found if not math.isnan(value))


def _verdict(line: Line) -> tuple[str, str, str]:
    if line.ratio is None:
        return "", "", ""
    least, greatest = line.ratio.least, line.ratio.greatest
    return (
        f"{line.ratio.median:.3g} ({least:.3g}..{greatest:.3g})",
        str(line.goal),
        "yes" if line.met else "NO",
    )


def as_json(line: Line, samples: Iterable[NamedTuple]) -> dict[str, object]:
    """One line, with all its samples."""
    found: dict[str, object] = {"name": line.name, "title": line.title, "server": line.label}
    found["samples"] = [_finite(sample._asdict()) for sample in samples]
    if line.ratio is not None:
        found["ratio"] = line.ratio._asdict()
        found["goal"] = {**line.goal._asdict(), "met": line.met}
    return found


def _finite(fields: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in fields.items()}
