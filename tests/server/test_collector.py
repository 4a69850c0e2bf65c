"""The collector frees cycles while the queue is full, and never walks the jobs.

What a collection visits does not depend on the number of jobs, so a few thousand represent three
million here, and tools/bench/collector.py measures those.
"""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Iterator

import pytest

from beanstalkd_py.queue.model import READY, Job, new_job
from beanstalkd_py.queue.state import State
from beanstalkd_py.server import collector as module
from beanstalkd_py.server.collector import (
    CONNECTION_OBJECTS,
    KEPT_MAX,
    LARGE_BYTES,
    LIMIT,
    Collector,
)

JOBS = 30_000


class Node:
    """A reference cycle, as a library may leave it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.begin()
    yield made
    gc.unfreeze()
    gc.enable()


def jobs(count: int) -> list[Job]:
    tube = State().default
    return [new_job(id, tube, READY, 0, 0, 0, b"", 0, 0) for id in range(count)]


def dropped() -> weakref.ref[Node]:
    """A cycle that nothing refers to."""
    return weakref.ref(Node())


def test_cycle_is_freed_while_many_jobs_are_held(collector: Collector) -> None:
    held = jobs(JOBS)
    gone = dropped()
    collector.collect()
    assert gone() is None and len(held) == JOBS


@pytest.mark.parametrize("count", [0, JOBS])
def test_collection_visits_no_job(collector: Collector, count: int) -> None:
    held = jobs(count)
    visited = collector.collect()
    assert visited < JOBS // 10  # a test runner's own threads make objects, too
    assert not any(isinstance(each, Job) for each in gc.get_objects()) and len(held) == count


def test_second_collection_visits_what_the_first_one_kept(collector: Collector) -> None:
    kept = [Node() for _ in range(10)]
    first = collector.collect()
    held = jobs(JOBS)
    assert collector.collect() <= first + 10 and len(held) + len(kept) == JOBS + 10


def test_cycle_that_survived_many_collections_is_freed(collector: Collector) -> None:
    """A connection, for example."""
    node = Node()
    gone = weakref.ref(node)
    for _ in range(20):
        held = jobs(100)
        collector.collect()
    del node
    collector.collect()
    assert gone() is None and len(held) == 100


def test_large_container_is_not_visited(collector: Collector) -> None:
    """A tube's ready jobs: the collector would visit each of its items."""
    large = list(range(LARGE_BYTES))
    collector.collect()
    assert not any(each is large for each in gc.get_objects())


def test_only_the_youngest_of_many_objects_are_visited(collector: Collector) -> None:
    old = Node()
    collector.collect()
    young = [Node() for _ in range(2 * KEPT_MAX)]
    assert collector.collect() <= KEPT_MAX
    tracked = {id(each) for each in gc.get_objects()}
    assert id(old) not in tracked and id(young[-1]) in tracked and id(young[0]) not in tracked


def test_collection_is_due_when_many_objects_are_new(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 1000)
    collector.collect()
    gone = dropped()
    collector.collect_if_due(0, 0)
    assert gone() is not None
    held = jobs(1001)
    collector.collect_if_due(0, 0)
    assert gone() is None and len(held) == 1001 < LIMIT


def test_collection_is_due_when_new_jobs_replace_older_ones(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's count of new objects then stays small, because it subtracts the freed ones."""
    monkeypatch.setattr(module, "LIMIT", 1000)
    held = deque(jobs(3000))
    collector.collect()
    held.extend(jobs(2001))
    for _ in range(2001):
        held.popleft()
    gone = dropped()
    collector.collect_if_due(1000, 0)
    assert gone() is not None
    collector.collect_if_due(1001, 0)
    assert gone() is None
    gone = dropped()
    collector.collect_if_due(2001, 0)
    assert gone() is not None
    collector.collect_if_due(2002, 0)
    assert gone() is None and len(held) == 3000


def test_collection_is_due_when_new_connections_replace_older_ones(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 100 * CONNECTION_OBJECTS)
    collector.collect()
    gone = dropped()
    collector.collect_if_due(0, 100)
    assert gone() is not None
    collector.collect_if_due(0, 101)
    assert gone() is None


def test_pythons_own_collector_does_not_run(collector: Collector) -> None:
    gone = dropped()
    held = jobs(2 * LIMIT)
    assert gone() is not None and len(held) == 2 * LIMIT
