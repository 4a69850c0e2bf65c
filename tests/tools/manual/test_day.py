"""The day in docs/operating.md. `python -m manual day` takes a new one, which needs ten seconds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from manual.day import COLUMNS, PAGE, day_of, folded, unfolded, with_day

TEXT = (Path(__file__).resolve().parents[3] / PAGE).read_text()
DAY = [
    "ready",
    "limit_reached",
    "slow_call",
    "slow_call_ended",
    "puts_refused",
    "puts_accepted",
    "reloaded",
    "draining",
    "stopping",
]


def test_page_has_a_whole_day_in_json() -> None:
    assert [json.loads(line)["event"] for line in day_of(TEXT, "json")] == DAY


def test_page_has_the_same_day_in_text() -> None:
    """Except for times and counts."""
    lines = [line.split(" ", 1)[1] for line in day_of(TEXT, "text")]
    events = map(json.loads, day_of(TEXT, "json"))
    shown = [f"{event['level']} beanstalkd-py: {event['message']}" for event in events]
    assert [re.sub(r"\d+", "N", line) for line in lines] == [
        re.sub(r"\d+", "N", line) for line in shown
    ]


@pytest.mark.parametrize("line", ["a", "word " * 50 + "end", "x" * 100])
def test_folded_line_can_be_unfolded(line: str) -> None:
    assert unfolded(folded(line)) == [line]


@pytest.mark.parametrize("name", ["text", "json"])
def test_day_has_few_columns(name: str) -> None:
    _, _, rest = TEXT.partition(f"<!-- day in {name}: begin -->")
    lines = rest.partition("<!-- day in ")[0].splitlines()
    assert len(lines) > len(DAY) and max(map(len, lines)) <= COLUMNS


def test_page_without_a_place_is_noticed() -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_day("", "text", "line")
