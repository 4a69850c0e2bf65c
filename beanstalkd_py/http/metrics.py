"""/metrics: the figures of the server as Prometheus reads them.

The figures of up to 500 tubes are copied at one instant. The text is made in pieces, and the loop
has a turn between two pieces: with thousands of tubes it takes longer than a command may wait.
Families of the server are rendered by prometheus_client. It takes 10 us per sample, so those of
tubes are rendered by `tube_metrics`, which takes a twentieth of that.
"""

from collections.abc import Callable, Iterator

import gevent
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.wrappers import Request, Response

from beanstalkd_py import __version__
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.config import version
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.memory import in_use
from beanstalkd_py.http.gate import TURN_S
from beanstalkd_py.http.health import REPLAYING, Health
from beanstalkd_py.http.measures import Histogram, Measures
from beanstalkd_py.http.oldest_ready import OldestReady
from beanstalkd_py.http.tube_metrics import MOST_TUBES, families, snapshots
from beanstalkd_py.protocol.commands import COUNTERS, EXTENSION_COUNTERS
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.queue import snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NS = 1_000_000_000


class Metrics:
    """The page, and a collector of prometheus_client."""

    def __init__(self, dispatcher: Dispatcher, health: Health, measures: Measures) -> None:
        self._dispatcher = dispatcher
        self._health = health
        self._measures = measures
        self._oldest = OldestReady(dispatcher.queue)
        self._build = version.build()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def page(self, request: Request) -> Response:
        if self._health.phase == REPLAYING:
            raise ServiceUnavailable(REPLAYING)
        return Response(self._pieces(), content_type=CONTENT_TYPE)

    def _pieces(self) -> Iterator[bytes]:
        yield generate_latest(self._registry)
        gevent.sleep(TURN_S)
        queue = self._dispatcher.queue
        left_out = max(len(queue.tube_list) - MOST_TUBES, 0)
        for _ in self._oldest.search(queue.tube_list[:MOST_TUBES]):
            gevent.sleep(TURN_S)
        tubes = []
        for some in snapshots(queue, boot_ns, self._oldest.created_at):
            tubes.append(some)
            gevent.sleep(TURN_S)
        for piece in families(tubes, left_out):
            yield piece
            gevent.sleep(TURN_S)

    def collect(self) -> Iterator[Metric]:
        """prometheus_client calls this for `generate_latest`."""
        yield from self._queue()
        yield from self._limits()
        yield from self._process()
        if self._health.log is not None:
            yield from self._log(self._health.log)

    def _queue(self) -> Iterator[Metric]:
        queue = snapshot.of_queue(self._dispatcher.queue)
        yield _labelled(
            GaugeMetricFamily, "current_jobs", "Jobs by state", "state",
            {
                "ready": queue.ready_jobs,
                "reserved": queue.reserved_jobs,
                "delayed": queue.delayed_jobs,
                "buried": queue.buried_jobs,
            },
        )  # fmt: skip
        yield _gauge("current_jobs_urgent", "Ready jobs, priority below 1024", queue.urgent_jobs)
        yield _gauge("current_tubes", "Tubes", queue.tubes)
        yield _gauge("current_connections", "Open connections", queue.connections)
        yield _gauge("current_producers", "Connections that have put", queue.producers)
        yield _gauge("current_workers", "Connections that have reserved", queue.workers)
        yield _gauge("current_waiting", "Connections that wait in reserve", queue.waiting)
        yield _gauge("draining", "1 in drain mode", queue.draining)
        yield _gauge("ready", "1 if /readyz is 200", not self._health.reason)
        yield _counter("jobs", "Jobs that were put", queue.total_jobs)
        yield _counter("job_timeouts", "Reservations whose TTR ended", queue.timeouts)
        yield _counter("jobs_expired", "Jobs that expired", queue.expired)
        yield _counter("connections", "Connections that were accepted", queue.total_connections)
        counts = self._dispatcher.counts
        yield _labelled(
            CounterMetricFamily, "commands", "Commands by name", "cmd",
            {
                key.removeprefix("cmd-"): counts[operation]
                for key, operation in (*COUNTERS, *EXTENSION_COUNTERS)
            },
        )  # fmt: skip

    def _limits(self) -> Iterator[Metric]:
        limits = self._dispatcher.limits()
        yield _gauge("max_job_size_bytes", "Largest body of a put", self._dispatcher.max_job_size)
        yield _gauge("job_bytes", "Bytes of all jobs", self._dispatcher.queue.memory.used)
        yield _gauge("max_memory_bytes", "Limit on them; 0: none", limits.max_memory_bytes)
        yield _gauge("max_connections", "Limit on clients; 0: none", limits.max_connections)
        yield _labelled(
            CounterMetricFamily, "limit_reached", "Refusals by the limit that was reached", "limit",
            {
                "max-memory": limits.max_memory_reached,
                "max-connections": limits.max_connections_reached,
                "idle-timeout": limits.idle_timeout_reached,
                "input-timeout": limits.input_timeout_reached,
                "max-pending": limits.max_pending_reached,
            },
        )  # fmt: skip

    def _process(self) -> Iterator[Metric]:
        process = self._dispatcher.process()
        info = GaugeMetricFamily(
            "beanstalkd_build_info", "Version and build, as labels", labels=["version", "build"]
        )
        info.add_metric([__version__, self._build], 1)
        yield info
        yield _labelled(
            CounterMetricFamily, "cpu_seconds", "CPU time of the process", "mode",
            {"user": process.user_cpu_s, "system": process.system_cpu_s},
        )  # fmt: skip
        uptime_s = (boot_ns() - process.started_at) / _NS
        yield _gauge("uptime_seconds", "Time since the start", uptime_s)
        yield _gauge("resident_memory_bytes", "Memory of the process", in_use()[1])

    def _log(self, binlog: Binlog) -> Iterator[Metric]:
        log = binlog.log
        shown = binlog.snapshot()
        segment_bytes = self._dispatcher.binlog_max_size
        yield _gauge("binlog_oldest_index", "Oldest segment", shown.oldest_segment)
        yield _gauge("binlog_current_index", "Active segment", shown.current_segment)
        yield _gauge("binlog_max_size_bytes", "Bytes of a segment (-s)", segment_bytes)
        yield _counter("binlog_records_written", "Records", shown.records_written)
        yield _counter("binlog_records_migrated", "Compacted records", shown.records_migrated)
        yield _gauge("binlog_segments", "Segments", len(log.segment_sizes) + 1)
        yield _gauge("binlog_bytes", "Bytes of all files", log.total_bytes)
        yield _gauge("binlog_live_bytes", "Bytes of live records", binlog.usage.live)
        dead = max(binlog.usage.dead, 0)
        yield _gauge("binlog_dead_bytes", "Bytes that compaction can give back", dead)
        yield _gauge("binlog_headroom_bytes", "Preallocated bytes left", log.headroom)
        lag = log.lsn - log.durable_lsn
        yield _gauge("binlog_durable_lag_records", "Records that are not durable yet", lag)
        full = not binlog.headroom.accepts_puts
        yield _gauge("binlog_full", "1 if puts are refused because the disk is full", full)
        measures = self._measures
        yield _histogram("binlog_commit_records", "Records of each commit", measures.batches)
        yield _histogram("binlog_sync_seconds", "Time of each sync", measures.syncs)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"beanstalkd_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"beanstalkd_{name}", text, value=value)


def _labelled(
    make: Callable[..., GaugeMetricFamily | CounterMetricFamily],
    name: str, text: str, label: str, values: dict[str, float],
) -> Metric:  # fmt: skip
    family = make(f"beanstalkd_{name}", text, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _histogram(name: str, text: str, measured: Histogram) -> Metric:
    return HistogramMetricFamily(
        f"beanstalkd_{name}", text, buckets=measured.buckets, sum_value=measured.sum
    )
