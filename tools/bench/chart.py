"""Draws the ratios as an SVG bar chart with a logarithmic scale.

Each line has a bar for the ratio, a thin line for the spread, and a mark for the goal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from .report import Line

TITLE_WIDTH, PLOT_WIDTH, NUMBER_WIDTH = 400, 520, 170
WIDTH = TITLE_WIDTH + PLOT_WIDTH + NUMBER_WIDTH
BAR, GAP, TOP, BOTTOM = 16, 8, 56, 30
MET, MISSED, GOAL, GRID, TEXT = "#3a8f5c", "#c2503f", "#1d3557", "#dddddd", "#222222"
MARGIN = 1.3  # the scale extends beyond the values by this factor
LEGEND = (
    "bar: median ratio to the C server (green: goal met), "
    "thin line: spread over the rounds, dark mark: goal"
)


class Scale:
    """Converts ratios to pixels."""

    def __init__(self, values: Sequence[float]) -> None:
        self.least = min(values) / MARGIN
        self.greatest = max(values) * MARGIN

    def x(self, ratio: float) -> float:
        share = math.log(ratio / self.least) / math.log(self.greatest / self.least)
        return TITLE_WIDTH + PLOT_WIDTH * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[float]:
        steps = (part * 10.0**power for power in range(-3, 5) for part in (1, 2, 5))
        return [step for step in steps if self.least <= step <= self.greatest]


def svg(lines: Sequence[Line], title: str) -> str:
    """Lines without a ratio are omitted."""
    shown = [line for line in lines if line.ratio is not None]
    height = TOP + len(shown) * (BAR + GAP) + BOTTOM
    scale = Scale([1.0, *(value for line in shown for value in _values(line))])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12" fill="{TEXT}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(12, 22, title, 'font-size="15" font-weight="bold"'),
        _text(12, 40, LEGEND, ""),
        *(_tick(scale, ratio, height) for ratio in scale.ticks()),
        *(
            part
            for place, line in enumerate(shown)
            for part in _bar(scale, line, TOP + place * (BAR + GAP))
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _values(line: Line) -> tuple[float, ...]:
    assert line.ratio is not None
    return (*line.ratio, line.goal.bound)


def _tick(scale: Scale, ratio: float, height: int) -> str:
    x = scale.x(ratio)
    line = (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM + 4}" '
        f'stroke="{GRID}" stroke-width="{2 if ratio == 1 else 1}"/>'
    )
    return line + _text(
        x, height - BOTTOM + 18, f"{ratio:g}", 'text-anchor="middle" font-size="10"'
    )


def _bar(scale: Scale, line: Line, y: int) -> list[str]:
    """The bar runs from 1 to the ratio; it points to the left if C is faster."""
    assert line.ratio is not None
    middle = y + BAR / 2
    left, right = sorted((scale.x(1.0), scale.x(line.ratio.median)))
    goal = scale.x(line.goal.bound)
    number = f"{line.ratio.median:.3g}  (goal {line.goal})"
    return [
        _text(TITLE_WIDTH - 10, middle + 4, f"{line.title} - {line.label}", 'text-anchor="end"'),
        f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" height="{BAR}" '
        f'fill="{MET if line.met else MISSED}" fill-opacity="0.85"/>',
        f'<line x1="{scale.x(line.ratio.least):.1f}" x2="{scale.x(line.ratio.greatest):.1f}" '
        f'y1="{middle}" y2="{middle}" stroke="{TEXT}"/>',
        f'<rect x="{goal - 1.5:.1f}" y="{y - 3}" width="3" height="{BAR + 6}" fill="{GOAL}"/>',
        _text(TITLE_WIDTH + PLOT_WIDTH + 10, middle + 4, number, ""),
    ]


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
