"""The table of jobs behaves as a dict, whatever the pattern of ids."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from beanstalkd_py.queue import jobtable
from beanstalkd_py.queue.jobtable import BLOCK_IDS, FEW, MANY, JobTable


def dense(rng: random.Random, n: int) -> int:
    return n


def sparse(rng: random.Random, n: int) -> int:
    return n * BLOCK_IDS * 3


def mixed(rng: random.Random, n: int) -> int:
    return n if rng.random() < 0.9 else n * 997 + (1 << 62)


def same(table: JobTable[str], expected: dict[int, str]) -> None:
    assert len(table) == len(expected)
    assert [*table.items()] == sorted(expected.items())
    assert [*table] == sorted(expected)
    assert [*table.values()] == [expected[id] for id in sorted(expected)]


@pytest.mark.parametrize("ids", [dense, sparse, mixed])
@pytest.mark.parametrize("removed", [0.3, 0.95])
def test_table_is_a_dict(ids: Callable[[random.Random, int], int], removed: float) -> None:
    rng = random.Random(7)
    table: JobTable[str] = JobTable()
    expected: dict[int, str] = {}
    for n in range(3000):
        id = ids(rng, n)
        if id not in expected:
            table.add(id, str(id))
            expected[id] = str(id)
        if rng.random() < removed:
            id = rng.choice([*expected][-2000:])
            table.remove(id)
            del expected[id]
        id = ids(rng, rng.randrange(3000))
        assert table.get(id) == expected.get(id)
        assert (id in table) == (id in expected)
        if n % 500 == 0:
            same(table, expected)
    same(table, expected)
    for id in rng.sample([*expected], len(expected)):
        assert table[id] == expected.pop(id)
        table.remove(id)
    same(table, {})
    with pytest.raises(KeyError):
        table[1]


@contextmanager
def no_memory_for_small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Iterator[int]]:
    """Yields a counter of the failures."""
    calls = count()

    def no_memory(number: int, block: object) -> None:
        next(calls)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(jobtable, "_jobs_of", no_memory)
        yield calls


@pytest.mark.sources
def test_block_becomes_small_again() -> None:
    table: JobTable[int] = JobTable()
    for id in range(BLOCK_IDS):
        table.add(id, id)
    assert (len(table._blocks), len(table._small)) == (1, 0)
    for id in range(BLOCK_IDS - FEW):
        table.remove(id)
    assert len(table._blocks) == 1
    table.remove(BLOCK_IDS - 1)
    assert (len(table._blocks), len(table._small)) == (0, 1)
    for id in range(MANY):
        table.add(id, id)
    assert (len(table._blocks), len(table._small)) == (1, 0)
    for id in [*table]:
        table.remove(id)
    assert (len(table._blocks), len(table._small)) == (0, 0)


@pytest.mark.sources
def test_no_container_grows_with_the_number_of_jobs() -> None:
    """So no command waits while the table of a large dict is moved."""
    table: JobTable[int] = JobTable()
    for id in range(200_000):
        table.add(id, id)
    largest = max(
        sys.getsizeof(table._blocks),
        sys.getsizeof(table._small),
        *(sys.getsizeof(block.places) for block in table._blocks.values()),
    )
    assert largest < 16 * 1024


@pytest.mark.sources
def test_add_without_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table: JobTable[int] = JobTable()
    for id in range(MANY):
        table.add(id, id)

    def no_memory(self: object, few: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(jobtable.Block, "__init__", no_memory)
        with pytest.raises(MemoryError):
            table.add(MANY, MANY)
    same_ids = [*table]
    assert same_ids == list(range(MANY)) and len(table) == MANY
    table.add(MANY, MANY)
    assert len(table) == MANY + 1


@pytest.mark.sources
def test_removal_without_memory_for_a_small_block_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table: JobTable[int] = JobTable()
    for id in range(BLOCK_IDS):
        table.add(id, id)
    with no_memory_for_small_blocks(monkeypatch) as calls:
        for id in range(BLOCK_IDS - FEW + 1):
            table.remove(id)
    assert next(calls) == 1 and len(table) == FEW - 1
    table.remove(BLOCK_IDS - 1)
    assert [*table] == list(range(BLOCK_IDS - FEW + 1, BLOCK_IDS - 1))
    assert not table._blocks


@pytest.mark.sources
@pytest.mark.parametrize("jobs", [0, 1, MANY, 300, 3000])
def test_every_lack_of_memory_leaves_the_counts_right(jobs: int) -> None:
    """Each allocation of an `add` and of a `remove` fails in turn; also those of the counts."""
    testcapi = pytest.importorskip("_testcapi")
    table: JobTable[int] = JobTable()
    for id in range(jobs):
        table.add(id, id)

    def call(start: int, act: Callable[..., None], *arguments: int) -> bool:
        testcapi.set_nomemory(start, start + 1)
        try:
            act(*arguments)
        except MemoryError:
            return False
        finally:
            testcapi.remove_mem_hooks()
        return True

    for start in range(12):
        added = call(start, table.add, jobs, jobs)
        assert ((jobs in table), len(table), len([*table])) == (added, jobs + added, jobs + added)
        if not added:
            table.add(jobs, jobs)
        removed = call(start, table.remove, jobs)
        left = jobs + 1 - removed
        assert ((jobs in table), len(table), len([*table])) == (not removed, left, left)
        if not removed:
            table.remove(jobs)
        places = [block.count for block in table._blocks.values()]
        assert sum(places) + sum(map(len, table._small.values())) == jobs


@pytest.mark.sources
def test_block_without_jobs_needs_no_memory_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    table: JobTable[int] = JobTable()
    for id in range(BLOCK_IDS):
        table.add(id, id)
    with no_memory_for_small_blocks(monkeypatch):
        for id in range(BLOCK_IDS):
            table.remove(id)
    assert not table._blocks and not table._small
