"""Runs the rows of the benchmark that measure only this server, with few jobs."""

from __future__ import annotations

from bench import bulk, extension_cost
from bench.bulk import BulkRun
from bench.load import SOURCE, Beanload
from bench.pipeline import Pipeline
from bench.servers import ours, running


def test_puts_are_measured_beside_commands_on_many_jobs(compiler, tmp_path, monkeypatch):
    """A fast machine may end the truncate of so few jobs before the put load."""
    monkeypatch.setattr(bulk, "DELAYED", 10)
    beanload = Beanload(SOURCE, tmp_path)
    with running(ours(), ["-f0"], tmp_path) as server, Pipeline(server) as pipeline:
        found = BulkRun(beanload, server, pipeline, puts=200, is_strict=False).measure(2000)
        assert pipeline.stats()["current-jobs-ready"] == 4 * 200  # of the put load
    assert all(beside.sample.put_p999_us > 0 for beside in found)
    assert all(beside.seconds > 0 for beside in found[1:])


def test_cost_of_extensions_is_measured(tmp_path):
    assert extension_cost.knows_extensions(ours(), tmp_path)
    (cost,) = extension_cost.measure(ours(), tmp_path, rounds=1, operations=200)
    assert min(cost) > 0
