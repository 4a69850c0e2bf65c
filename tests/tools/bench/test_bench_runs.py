"""Runs the benchmark itself, with the smallest amount of work."""

from __future__ import annotations

import json
import random
import shutil

import pytest
from bench import growth
from bench.__main__ import main
from bench.growth import LoadedServer
from bench.load import SOURCE
from bench.pipeline import Pipeline
from bench.servers import ROOT, base, c_server, ours, running


def test_one_row_is_measured(tmp_path, capsys):
    """Without beanload the exit status is 1."""
    status = main(
        ["--only", "durable-put-1x1", "--quick", "--rounds", "1", "--output", str(tmp_path)]
    )
    printed = capsys.readouterr()
    if not (SOURCE.exists() and shutil.which("cc")):
        assert status == 1 and "beanload" in printed.err + printed.out
        return
    assert status == 0
    assert ("| yes |" in printed.out or "| NO " in printed.out) is (c_server() is not None)
    results = json.loads((tmp_path / "bench.json").read_text())
    assert results["lines"][0]["samples"][0]["put_p50_us"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bench.json",
        "bench.md",
        "bench.svg",
    ]


def test_another_checkout_is_measured_in_turn(tmp_path, capsys):
    """The base commit is this tree itself, so its ratio is finite and has a column."""
    arguments = ["--only", "put-1x1", "--quick", "--rounds", "1", "--against", str(ROOT)]
    status = main([*arguments, "--output", str(tmp_path)])
    if not (SOURCE.exists() and shutil.which("cc")):
        assert status == 1
        return
    assert status == 0
    printed = capsys.readouterr().out
    assert "ratio to base" in printed and "lost more than 3% against the base: " in printed
    ours, theirs, *_ = json.loads((tmp_path / "bench.json").read_text())["lines"]
    assert (ours["server"], theirs["server"]) == ("ours", "base")
    assert ours["against_base"]["median"] > 0 and "against_base" not in theirs


def test_checkout_without_the_package_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a checkout that can run"):
        base(tmp_path)


def test_unknown_row_is_refused(tmp_path):
    assert main(["--only", "nonsense", "--output", str(tmp_path)]) == 2


def test_cost_measurement_restores_the_server(tmp_path, monkeypatch):
    """With few operations: on a slow machine the TTRs of many end while they are reserved."""
    monkeypatch.setattr(growth, "OPERATIONS", 500)
    with running(ours(), [], tmp_path) as server, Pipeline(server) as pipeline:
        loaded = LoadedServer(server, pipeline, 1000, random.Random(1))
        assert min(loaded.cost()) > 0
        stats = pipeline.stats()
        assert (stats["current-jobs-ready"], stats["current-jobs-delayed"]) == (800, 200)
        assert stats["job-timeouts"] == 500
        assert sum(stats[f"current-jobs-{state}"] for state in ("reserved", "buried")) == 0


def test_a_servers_messages_are_shown_only_after_a_failure(tmp_path, capfd):
    with running(ours(), [], tmp_path):
        pass
    assert "ready" not in capfd.readouterr().err
    with pytest.raises(KeyError), running(ours(), [], tmp_path):
        raise KeyError
    assert "beanstalkd-py: ready" in capfd.readouterr().err
