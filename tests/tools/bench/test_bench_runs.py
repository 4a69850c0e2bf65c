"""The benchmark itself, as short as it can be."""

from __future__ import annotations

import json
import random
import shutil

from bench.__main__ import main
from bench.growth import AT_ONCE, Held
from bench.load import SOURCE
from bench.pipeline import Pipeline
from bench.servers import c_server, ours, running


def test_a_row_is_measured(tmp_path, capsys):
    """Where the load cannot be had, the status says so."""
    status = main(
        ["--only", "durable-put-1x1", "--quick", "--rounds", "1", "--output", str(tmp_path)]
    )
    printed = capsys.readouterr()
    if not (SOURCE.exists() and shutil.which("cc")):
        assert status == 1 and "beanload" in printed.err + printed.out
        return
    assert status == 0
    assert ("| yes |" in printed.out or "| NO " in printed.out) is (c_server() is not None)
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["lines"][0]["samples"][0]["put_p50_us"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bench.json",
        "bench.md",
        "bench.svg",
    ]


def test_an_unknown_row_is_refused(tmp_path):
    assert main(["--only", "nonsense", "--output", str(tmp_path)]) == 2


def test_measuring_costs_leaves_the_server_as_it_was(tmp_path):
    with running(ours(), [], tmp_path) as server, Pipeline(server) as pipeline:
        held = Held(server, pipeline, 1000, random.Random(1))
        assert min(held.cost()) > 0
        stats = pipeline.stats()
        assert (stats["current-jobs-ready"], stats["current-jobs-delayed"]) == (800, 200)
        assert stats["job-timeouts"] == AT_ONCE
        assert sum(stats[f"current-jobs-{state}"] for state in ("reserved", "buried")) == 0
