"""How the benchmark reports its samples: ratios, goals, the table, the chart."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree

import pytest
from bench.chart import MET, MISSED, svg
from bench.load import Sample
from bench.report import Line, as_json, table
from bench.rounds import Ratio, ratio, run, spread, typical
from bench.rows import ROWS, Goal, chosen
from bench.servers import Subject

SUBJECTS = [Subject("ours", (), {}), Subject("C", (), {})]


def sample(per_s: float) -> Sample:
    return Sample(per_s, 1.0, 2.0, put_p50_us=10, put_p99_us=100, put_p999_us=1000)


GOAL = Goal(2)


def line(ratio: Ratio | None, goal: Goal = GOAL, label: str = "ours") -> Line:
    return Line("put", "put, 1 x 1 & <more>", label, "100", sample(100), ratio, goal)


def test_servers_take_turns():
    turns = []
    run(SUBJECTS, 2, lambda subject: turns.append(subject.label) or sample(1))
    assert turns == ["ours", "C", "ours", "C"]


def test_ratio_is_the_median_of_all_rounds():
    """Not the ratio of the medians: that is 2 here."""
    speeds = iter([100, 10, 20, 20, 10, 5])
    samples = run(SUBJECTS, 3, lambda subject: sample(next(speeds)))
    assert ratio(samples, "ours", "per_s") == Ratio(2, 1, 10)
    assert typical(samples["C"]).per_s == 10


def test_ratio_needs_two_measured_servers():
    samples = {"ours": [sample(1)], "C": [sample(1)]}
    assert ratio(samples, "C", "per_s") is None
    assert ratio({"ours": [sample(1)]}, "ours", "per_s") is None


@pytest.mark.parametrize(
    ("goal", "ratio", "met"),
    [
        (Goal(2), 2, True),
        (Goal(2), 1.9, False),
        (Goal(2, True), 2, True),
        (Goal(2, True), 2.1, False),
    ],
)
def test_goal_is_met_at_its_bound(goal, ratio, met):
    assert goal.met(ratio) is met
    assert line(Ratio(ratio, 0, 9), goal).met is met


def test_rows_are_chosen_by_patterns():
    names = [row.name for row in ROWS]
    assert chosen(names, []) == names
    assert chosen(names, ["put-1x1", "window-*"]) == [
        "put-1x1",
        "window-put-50x1",
        "window-put-50x50",
    ]
    assert len(set(names)) == len(names)


def test_no_load_exceeds_the_job_limit_of_beanload():
    assert max(jobs * 1.05 + 5000 for row in ROWS for jobs in row.load.jobs) < 1 << 20


def test_table_shows_whether_the_goal_is_met():
    headings, _, ours, theirs = table(
        [line(spread([1, 3, 2.5])), line(None, label="C")]
    ).splitlines()
    cells = [cell.strip() for cell in ours.split("|")]
    assert cells[2:-1] == [
        "ours",
        "100",
        "1.00",
        "2.00",
        "10",
        "100",
        "1000",
        "2.5 (1..3)",
        ">= 2",
        "yes",
    ]
    assert [cell.strip() for cell in theirs.split("|")][9:-1] == ["", "", ""]
    assert "p99.9 us" in headings


@pytest.mark.parametrize(
    ("goal", "ratio", "lost"),
    [
        (Goal(2), 0.98, False),
        (Goal(2), 0.96, True),
        (Goal(2), 1.5, False),
        (Goal(2, True), 1.02, False),
        (Goal(2, True), 1.04, True),
        (Goal(2, True), 0.5, False),
    ],
)
def test_loss_against_the_base_is_marked(goal, ratio, lost):
    measured = line(None, goal)._replace(against_base=Ratio(ratio, ratio, ratio))
    assert measured.lost is lost
    headings, _, row = table([measured]).splitlines()
    assert headings.split("|")[-2].strip() == "ratio to base"
    assert row.rstrip(" |").endswith("LOSS") is lost


def test_table_without_a_base_has_no_column_for_it():
    assert "base" not in table([line(None)])


def test_missing_latency_is_null_in_json():
    result = json.loads(json.dumps(as_json(line(Ratio(1, 1, 1)), [sample(3)]), allow_nan=False))
    assert math.isnan(sample(3).delete_p50_us) and result["samples"][0]["delete_p50_us"] is None
    assert result["goal"] == {"bound": 2, "at_most": False, "met": False}


def test_chart_has_a_bar_and_a_mark_for_each_ratio():
    lines = [line(Ratio(4, 3, 5)), line(None, label="C"), line(Ratio(0.5, 0.5, 0.5))]
    rects = [
        each
        for each in ElementTree.fromstring(svg(lines, "<title>")).iter()
        if each.tag.endswith("rect")
    ][1:]
    bars, marks = rects[::2], rects[1::2]
    assert [bar.get("fill") for bar in bars] == [MET, MISSED]
    ends = [float(bar.get("x", "")) + float(bar.get("width", "")) for bar in bars]
    middles = [float(mark.get("x", "")) + 1.5 for mark in marks]
    assert ends[0] > middles[0] == middles[1] > ends[1]
