"""monitoring/: each name and label in the dashboard and in the alert rules is in a real scrape."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from testkit import http
from testkit.daemon import Daemon

MONITORING = Path(__file__).resolve().parents[1] / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
# Labels that Prometheus adds.
ADDED = {"instance", "job"}
SELECTOR = re.compile(r"\b(beanstalkd_\w+|up)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')
BY = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")

Samples = dict[str, list[dict[str, str]]]


def texts(value: Any, key: str) -> Iterator[str]:
    """All strings under this key, at any depth."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name == key and isinstance(each, str):
                yield each
            yield from texts(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each, key)


EXPRESSIONS = [rule["expr"] for rule in RULES] + [
    *texts(DASHBOARD, "expr"),
    *(text for text in texts(DASHBOARD, "query") if "beanstalkd" in text),
]


@pytest.fixture(scope="module")
def samples() -> Iterator[Samples]:
    """The labels of each sample, by name, of a server with a log."""
    with TemporaryDirectory() as directory:
        options = ("--http", f"unix:{directory}/http")
        with Daemon(options, at=f"unix:{directory}/socket", directory=directory).start() as daemon:
            with daemon.client() as client:
                client.put()
                client.ask(b"reserve\r\n")  # so there is a wait
            text = http.get(f"{directory}/http", "/metrics").body
    found: Samples = {}
    for line in text.splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? ", line)
        if match:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            found.setdefault(match[1], []).append(labels)
    yield found


def missing(expression: str, samples: Samples) -> list[str]:
    """What the expression selects that no scrape has."""
    wrong = []
    for name, selector in SELECTOR.findall(expression):
        if name == "up":
            continue
        if name not in samples:
            wrong.append(name)
            continue
        for label, how, value in LABEL.findall(selector):
            values = {labels.get(label, "") for labels in samples[name]}
            matches = any(re.fullmatch(value, each) if how == "=~" else each == value
                          for each in values)  # fmt: skip
            if label not in ADDED and not value.startswith("$") and not matches:
                wrong.append(f"{name}: {label}{how}{value}")
    known = {label for each in samples.values() for labels in each for label in labels} | ADDED
    for labels in BY.findall(expression):
        wrong += [label.strip() for label in labels.split(",") if label.strip() not in known]
    return wrong


@pytest.mark.parametrize("expression", sorted(set(EXPRESSIONS)))
def test_expression_selects_what_is_in_a_scrape(expression: str, samples: Samples) -> None:
    assert "beanstalkd" in expression
    assert missing(expression, samples) == []


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("rate(beanstalkd_job_total[5m])", ["beanstalkd_job_total"]),
        ('beanstalkd_current_jobs{state="done"}', ["beanstalkd_current_jobs: state=done"]),
        (
            'beanstalkd_commands_total{cmd=~"resrve.*"}',
            ["beanstalkd_commands_total: cmd=~resrve.*"],
        ),
        ("sum by (queue) (beanstalkd_current_tubes)", ["queue"]),
    ],
)
def test_wrong_expression_is_found(expression: str, wrong: list[str], samples: Samples) -> None:
    assert missing(expression, samples) == wrong


def test_legends_and_summaries_use_labels_that_exist(samples: Samples) -> None:
    known = {label for each in samples.values() for labels in each for label in labels} | ADDED
    legends = " ".join(texts(DASHBOARD, "legendFormat"))
    summaries = " ".join(rule["annotations"]["summary"] for rule in RULES)
    used = re.findall(r"\{\{(\w+)\}\}", legends) + re.findall(r"\$labels\.(\w+)", summaries)
    assert {"tube", "instance", "mode"} <= set(used) <= known


def test_rules_are_complete() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert "$labels.instance" in rule["annotations"]["summary"]


def test_dashboard_is_well_formed() -> None:
    """Panels do not overlap, and ids are different: Grafana repairs neither."""
    panels = DASHBOARD["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids) > 20
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in panels):
        cells = {(place["x"] + x, place["y"] + y)
                 for x in range(place["w"]) for y in range(place["h"])}  # fmt: skip
        assert not cells & taken and place["x"] + place["w"] <= 24
        taken |= cells
    sources = {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"}
    assert sources == {"${source}"}


def test_promtool_accepts_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool (Debian: apt-get install prometheus)")
    done = subprocess.run(
        [promtool, "check", "rules", MONITORING / "alerts.yml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_page_says_what_each_alert_means() -> None:
    page = (MONITORING.parent / "docs" / "operating.md").read_text()
    documented = re.findall(r"^\| `(Beanstalkd\w+)` \|", page, re.MULTILINE)
    assert documented == [rule["alert"] for rule in RULES]
