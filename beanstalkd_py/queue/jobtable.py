"""The jobs by id, in two levels: blocks of neighbouring ids, and a dict of the blocks.

One dict of all jobs would be moved as a whole each time it grows: at three million jobs that stops
the server for 50 to 100 ms, and the table takes 40 to 100 bytes a job. Ids are given in ascending
order, so most blocks are full: then a job takes 8 bytes, and a new block takes 2 us.

Promises: a job of a full block takes 8 bytes, and a job without neighbours about 400. A lack of
memory (MemoryError) in `add` or `remove` changes nothing. Iteration is by ascending id.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

T = TypeVar("T")

BLOCK_BITS: Final = 10
BLOCK_IDS: Final = 1 << BLOCK_BITS
BLOCK_MASK: Final = BLOCK_IDS - 1
# A block is a list of BLOCK_IDS places, or a dict if it has few jobs. A list has at least FEW jobs:
# then the empty places take at most 256 bytes a job. A dict becomes a list at MANY.
FEW: Final = 32
MANY: Final = 128


class Block(Generic[T]):
    __slots__ = ("count", "places")

    def __init__(self, few: dict[int, T]) -> None:
        """Takes over the jobs of a small block."""
        self.places: list[T | None] = [None] * BLOCK_IDS
        self.count = len(few)
        for id, job in few.items():
            self.places[id & BLOCK_MASK] = job


class JobTable(Generic[T]):
    """A mapping from ids to jobs, as a dict is."""

    __slots__ = ("_blocks", "_count", "_small")

    def __init__(self) -> None:
        self._blocks: dict[int, Block[T]] = {}  # by id >> BLOCK_BITS
        self._small: dict[int, dict[int, T]] = {}  # the blocks with few jobs
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, id: int) -> T | None:
        block = self._blocks.get(id >> BLOCK_BITS)
        if block is not None:
            return block.places[id & BLOCK_MASK]
        small = self._small.get(id >> BLOCK_BITS)
        return None if small is None else small.get(id)

    def __contains__(self, id: int) -> bool:
        return self.get(id) is not None

    def __getitem__(self, id: int) -> T:
        """Raises KeyError."""
        job = self.get(id)
        if job is None:
            raise KeyError(id)
        return job

    def add(self, id: int, job: T) -> None:
        """The id must be free."""
        count = self._count + 1  # before a change: a large integer takes memory too
        block = self._blocks.get(id >> BLOCK_BITS)
        if block is None:
            self._add_to_small(id, job)
        else:
            in_block = block.count + 1
            block.places[id & BLOCK_MASK] = job
            block.count = in_block
        self._count = count

    def _add_to_small(self, id: int, job: T) -> None:
        number = id >> BLOCK_BITS
        small = self._small.get(number)
        if small is None:
            self._small[number] = {id: job}
        elif len(small) < MANY:
            small[id] = job
        else:
            block = Block(small)
            self._blocks[number] = block
            del self._small[number]
            block.places[id & BLOCK_MASK] = job
            block.count += 1

    def remove(self, id: int) -> None:
        """The job must be there."""
        count = self._count - 1
        number = id >> BLOCK_BITS
        block = self._blocks.get(number)
        if block is None:
            small = self._small[number]
            del small[id]
            self._count = count
            if not small:
                del self._small[number]
        else:
            in_block = block.count - 1
            block.places[id & BLOCK_MASK] = None
            block.count = in_block
            self._count = count
            if in_block < FEW:
                self._make_small(number, block)

    def _make_small(self, number: int, block: Block[T]) -> None:
        if block.count:
            try:
                self._small[number] = dict(_jobs_of(number, block))
            except MemoryError:  # the next removal tries it again
                return
        del self._blocks[number]

    def numbers(self) -> list[int]:
        """The numbers of all blocks, ascending. Blocks are made in this order, so sorting is quick:
        1 ms for 100,000 blocks.
        """
        return sorted([*self._blocks, *self._small])

    def block(self, number: int) -> list[T]:
        """The jobs of this block by ascending id. Empty if there is no such block."""
        block = self._blocks.get(number)
        if block is not None:
            return [job for job in block.places if job is not None]
        small = self._small.get(number)
        return [] if small is None else [small[id] for id in sorted(small)]

    def items(self) -> Iterator[tuple[int, T]]:
        for number in self.numbers():
            block = self._blocks.get(number)
            if block is None:
                yield from sorted(self._small[number].items(), key=_id_of)
            else:
                yield from _jobs_of(number, block)

    def __iter__(self) -> Iterator[int]:
        for id, _ in self.items():
            yield id

    def values(self) -> Iterator[T]:
        for _, job in self.items():
            yield job


def _jobs_of(number: int, block: Block[T]) -> list[tuple[int, T]]:
    base = number << BLOCK_BITS
    return [(base + place, job) for place, job in enumerate(block.places) if job is not None]


def _id_of(item: tuple[int, T]) -> int:
    return item[0]
