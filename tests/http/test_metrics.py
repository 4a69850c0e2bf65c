"""/metrics: what a scrape has, that it is right, and that the loop has turns while it is made."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from testkit import http
from testkit.daemon import Daemon
from testkit.start import Start

from beanstalkd_py import __version__
from beanstalkd_py.http import metrics, tube_metrics
from beanstalkd_py.http.health import Health
from beanstalkd_py.http.measures import Histogram, Measures
from beanstalkd_py.http.metrics import Metrics
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.queue.puts import Wishes
from beanstalkd_py.queue.queue import Queue

ROOT = Path(__file__).resolve().parents[2]


class Scrape:
    """The samples of a page, as Prometheus's own parser reads them."""

    def __init__(self, text: str) -> None:
        self.text = text
        families = list(text_string_to_metric_families(text))
        self.kinds = {family.name: family.type for family in families}
        assert len(self.kinds) == len(families), "a family is in two parts"
        assert all(family.documentation for family in families)
        samples = [sample for family in families for sample in family.samples]
        self.names = {sample.name for sample in samples}
        self._values = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
        assert len(self._values) == len(samples), "a sample is there twice"

    def value(self, name: str, **labels: str) -> float:
        return self._values[f"beanstalkd_{name}", tuple(sorted(labels.items()))]


def scrape(web: str) -> Scrape:
    answer = http.get(web, "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == metrics.CONTENT_TYPE
    return Scrape(answer.body)


@pytest.fixture(scope="module")
def used() -> Iterator[Scrape]:
    """The scrape of a durable server with jobs in all states."""
    with TemporaryDirectory() as directory:
        options = ("--http", f"unix:{directory}/http", "-s", "65536", "--max-memory", "1000000")
        with Daemon(options, at=f"unix:{directory}/socket", directory=directory).start() as daemon:
            yield use(daemon, f"{directory}/http")
            assert daemon.errors() == ""


def use(daemon: Daemon, web: str) -> Scrape:
    client, waiting = daemon.client(), daemon.client()
    waiting.say(b"reserve\r\n")
    client.ask(b"use mail\r\n")
    client.ask(b"watch mail\r\n")
    client.put(pri=5)
    client.put(pri=2000)
    client.put(delay=1000)
    assert [client.ask(b"reserve\r\n")[:8] for _ in range(2)] == [b"RESERVED"] * 2
    client.ask(b"bury 1 0\r\n")
    client.put()
    client.ask(b"pause-tube mail 1000\r\n")
    client.ask(b"delete 4\r\n")
    client.put()
    return scrape(web)


def test_scrape_has_the_figures_of_stats(used: Scrape) -> None:
    for prefix, labels in (("", {}), ("tube_", {"tube": "mail"})):
        for state in ("ready", "reserved", "delayed", "buried"):
            assert used.value(f"{prefix}current_jobs", state=state, **labels) == 1
        assert used.value(f"{prefix}current_jobs_urgent", **labels) == 1
        assert used.value(f"{prefix}jobs_total", **labels) == 5
    assert used.value("commands_total", cmd="put") == 5
    assert used.value("commands_total", cmd="pause-tube") == 1
    assert used.value("current_tubes") == 2
    assert used.value("current_connections") == 2 <= used.value("connections_total")
    assert (used.value("current_producers"), used.value("current_workers")) == (1, 2)
    assert used.value("current_waiting") == used.value("tube_current_waiting", tube="default") == 1
    assert used.value("ready") == 1 and used.value("draining") == 0
    assert used.value("job_bytes") == 4 * 401
    assert used.value("max_memory_bytes") == 1_000_000
    assert used.value("build_info", version=__version__, build=_build()) == 1
    assert used.value("cpu_seconds_total", mode="user") > 0
    assert used.value("resident_memory_bytes") > 10_000_000


def _build() -> str:
    from beanstalkd_py.config import version

    return version.build()


def test_scrape_has_the_figures_of_a_tube(used: Scrape) -> None:
    assert used.value("tube_current_using", tube="mail") == 1
    assert used.value("tube_current_watching", tube="mail") == 1
    assert used.value("tube_current_watching", tube="default") == 2
    assert used.value("tube_commands_total", tube="mail", cmd="delete") == 1
    assert used.value("tube_commands_total", tube="mail", cmd="pause-tube") == 1
    assert used.value("tube_pause_seconds", tube="mail") == 1000
    assert 900 < used.value("tube_pause_time_left_seconds", tube="mail") <= 1000
    assert used.value("tube_pause_seconds", tube="default") == 0
    assert 0 < used.value("tube_oldest_ready_seconds", tube="mail") < 60
    assert used.value("tube_oldest_ready_seconds", tube="default") == 0


def test_scrape_has_the_waits_of_a_tube(used: Scrape) -> None:
    """Of the two jobs that were reserved."""
    assert used.value("tube_ready_wait_seconds_count", tube="mail") == 2
    assert used.value("tube_ready_wait_seconds_bucket", tube="mail", le="+Inf") == 2
    assert used.value("tube_ready_wait_seconds_bucket", tube="mail", le="60") == 2
    assert 0 < used.value("tube_ready_wait_seconds_sum", tube="mail") < 60
    assert 'ready_wait_seconds_count{tube="default"}' not in used.text


def test_waits_are_counted_up_to_each_bound(turns: Turns) -> None:
    queue = Queue()
    queue.default.measure_waits()
    waits = queue.default.waits
    assert waits is not None
    for ms in (0, 1, 2, 5_000_000):
        waits.add(ms * 1_000_000)
    found = Scrape(b"".join(page_of(queue)).decode())
    for le, count in (("0.001", 2), ("0.01", 3), ("3600", 3), ("+Inf", 4)):
        assert found.value("tube_ready_wait_seconds_bucket", tube="default", le=le) == count
    assert found.value("tube_ready_wait_seconds_sum", tube="default") == 5000.003


def test_histograms_of_1000_tubes_are_in_pieces(turns: Turns) -> None:
    queue = Queue()
    queue.measures_waits = True
    client = queue.connect()
    for number in range(1000):
        tube = queue.watch(client, b"tube-%d" % number) and queue.tubes[b"tube-%d" % number]
        assert tube.waits is not None
        tube.waits.add(1)
    pieces = list(page_of(queue))
    assert max(piece.count(b"\n") for piece in pieces) <= 4 * tube_metrics.PIECE_TUBES + 2
    assert turns.count >= len(pieces) - 1


def test_scrape_has_the_figures_of_the_log(used: Scrape) -> None:
    records = used.value("binlog_records_written_total")
    assert records == 5 + 1 + 1 + 1  # puts, bury, pause, delete
    assert used.value("binlog_commit_records_sum") == records
    assert 1 <= used.value("binlog_commit_records_count") <= records
    assert used.value("binlog_sync_seconds_count") >= used.value("binlog_commit_records_count")
    assert used.value("binlog_sync_seconds_bucket", le="+Inf") == used.value(
        "binlog_sync_seconds_count"
    )
    assert 0 < used.value("binlog_sync_seconds_sum") < 60
    assert used.value("binlog_segments") == used.value("binlog_current_index") == 1
    assert used.value("binlog_max_size_bytes") == 65536
    assert 200 < used.value("binlog_live_bytes") < 1000
    assert used.value("binlog_headroom_bytes") > 65536
    assert used.value("binlog_bytes") > used.value("binlog_headroom_bytes")
    assert used.value("binlog_durable_lag_records") == used.value("binlog_full") == 0


def test_server_without_log_has_no_figures_of_one(serve: Start, web: str) -> None:
    serve()
    assert not {name for name in scrape(web).names if "binlog" in name}


def test_promtool_accepts_the_scrape(used: Scrape, promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "metrics"], input=used.text, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


# Many tubes, in this process: what is measured is how much is done without a turn of the loop


class Turns:
    """Stands for gevent, and counts."""

    def __init__(self) -> None:
        self.count = 0

    def sleep(self, seconds: float) -> None:
        self.count += 1


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    turns = Turns()
    monkeypatch.setattr(metrics, "gevent", turns)
    return turns


def page_of(queue: Queue) -> Any:
    health = Health(queue)
    health.phase = ""
    return Metrics(Dispatcher(queue), health, Measures())._pieces()


def with_tubes(count: int) -> Queue:
    queue = Queue()
    client = queue.connect()
    for number in range(count - 1):
        queue.watch(client, b"tube-%d" % number)
    return queue


def test_loop_turns_after_each_piece_of_1000_tubes(turns: Turns) -> None:
    pieces = []
    for piece in page_of(with_tubes(1000)):
        assert turns.count >= len(pieces), "two pieces without a turn"
        pieces.append(piece)
    most = max(piece.count(b"\n") for piece in pieces)
    assert most <= 4 * tube_metrics.PIECE_TUBES + 2
    found = Scrape(b"".join(pieces).decode())
    assert found.value("tube_current_watching", tube="tube-998") == 1
    assert found.value("tubes_left_out") == 0


def test_tubes_that_change_meanwhile_do_no_harm(turns: Turns) -> None:
    queue = with_tubes(1200)
    client = queue.connect()
    text = b""
    for number, piece in enumerate(page_of(queue)):
        queue.watch(client, b"new-%d" % number)
        queue.use(client, b"other-%d" % number)  # the previous one is gone then
        text += piece
    assert Scrape(text.decode()).value("tube_current_watching", tube="tube-1000") == 1


def test_number_of_tubes_is_bounded(turns: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tube_metrics, "MOST_TUBES", 3)
    monkeypatch.setattr(metrics, "MOST_TUBES", 3)
    found = Scrape(b"".join(page_of(with_tubes(5))).decode())
    assert found.value("tubes_left_out") == 2
    assert len(set(re.findall(r'tube="([^"]+)"', found.text))) == 3


def test_jobs_that_expired_are_counted(turns: Turns) -> None:
    queue = Queue()
    queue.put_with(queue.connect(), b"t", 0, 0, 0, 1, b"", Wishes(expire=1))
    queue.tick(1)
    found = Scrape(b"".join(page_of(queue)).decode())
    assert found.value("jobs_expired_total") == 1


def test_odd_name_of_a_tube_is_escaped(turns: Turns) -> None:
    queue = Queue()
    queue.watch(queue.connect(), b'a"b\\c\n\xff')
    found = Scrape(b"".join(page_of(queue)).decode())
    assert found.value("tube_current_watching", tube='a"b\\c\n\\xff') == 1


def test_histogram_counts_values_up_to_each_bound() -> None:
    histogram = Histogram((1, 10))
    for value in (0.5, 1, 2, 10, 11, math.inf):
        histogram.observe(value)
    assert histogram.buckets == [("1", 2), ("10", 4), ("+Inf", 6)]


def test_commits_without_records_do_not_count() -> None:
    measures = Measures()
    for lsn in (7, 7, 9, 9, 10):
        measures.commit(lsn)
    assert (measures.batches.buckets[-1][1], measures.batches.sum) == (2, 3)


def test_page_has_every_metric(used: Scrape) -> None:
    """docs/operating.md names them all, and no others."""
    page = (ROOT / "docs" / "operating.md").read_text()
    table = page.partition("\n## Metrics\n")[2].partition("\n##")[0]
    first = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    named = {f"beanstalkd_{name}" for cell in first for name in re.findall(r"`(\w+)", cell)}
    found = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used.names}
    assert named == found
