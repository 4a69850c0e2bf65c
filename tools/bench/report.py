"""Formats the results as a Markdown table and as JSON.

A line of the table is the result of one server in one row of the benchmark.
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
LOSS_MAX = 0.03  # of a row, against the base


class Line(NamedTuple):
    """measured: the compared value with its unit. sample: None if there is nothing more to show.

    ratio: None for the server that others are compared with. against_base: the ratio to the base
    commit, if one is measured and the line belongs to another server.
    """

    name: str
    title: str
    label: str
    measured: str
    sample: Sample | None
    ratio: Ratio | None
    goal: Goal
    against_base: Ratio | None = None

    @property
    def lost(self) -> bool:
        """The line is worse than the base commit by more than LOSS_MAX."""
        if self.against_base is None:
            return False
        ratio = self.against_base.median
        return ratio > 1 + LOSS_MAX if self.goal.at_most else ratio < 1 - LOSS_MAX

    @property
    def met(self) -> bool | None:
        return None if self.ratio is None else self.goal.met(self.ratio.median)


def table(lines: Iterable[Line]) -> str:
    """The table in Markdown. The last column is there only if a base commit was measured."""
    lines = list(lines)
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *map(_cells, lines)]
    if any(line.against_base for line in lines):
        last = ["ratio to base", "---", *map(_against_base, lines)]
        rows = [(*row, cell) for row, cell in zip(rows, last, strict=True)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
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
    """The latency of put and delete, as put/delete if there are both."""
    if sample is None:
        return ""
    found = (getattr(sample, f"{command}_{key}_us") for command in ("put", "delete"))
    return "/".join(f"{value:.0f}" for value in found if not math.isnan(value))


def _verdict(line: Line) -> tuple[str, str, str]:
    if line.ratio is None:
        return "", "", ""
    return _ratio(line.ratio), str(line.goal), "yes" if line.met else "NO"


def _against_base(line: Line) -> str:
    if line.against_base is None:
        return ""
    return _ratio(line.against_base) + (" LOSS" if line.lost else "")


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.median:.3g} ({ratio.least:.3g}..{ratio.greatest:.3g})"


def as_json(line: Line, samples: Iterable[NamedTuple]) -> dict[str, object]:
    """One line, with all its samples."""
    result: dict[str, object] = {"name": line.name, "title": line.title, "server": line.label}
    result["samples"] = [_finite(sample._asdict()) for sample in samples]
    if line.ratio is not None:
        result["ratio"] = line.ratio._asdict()
        result["goal"] = {**line.goal._asdict(), "met": line.met}
    if line.against_base is not None:
        result["against_base"] = {**line.against_base._asdict(), "lost": line.lost}
    return result


def _finite(fields: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in fields.items()}
