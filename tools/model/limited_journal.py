"""A journal that writes nothing and accepts a given number of changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Segment:
    number: int = 7


class LimitedJournal:
    """A `Journal` (see beanstalkd_py.queue.journal)."""

    def __init__(self) -> None:
        self.changes_left: int | None = None  # None: any number

    def _accepts(self) -> bool:
        if self.changes_left is not None:
            self.changes_left -= 1
        return self.changes_left is None or self.changes_left >= 0

    def put(self, *_: object) -> Segment | None:
        return Segment() if self._accepts() else None

    def put_with(self, *_: object) -> Segment | None:
        return Segment() if self._accepts() else None

    def change(self, *_: object) -> bool:
        return self._accepts()

    def move(self, *_: object) -> bool:
        return self._accepts()

    def policy(self, *_: object) -> bool:
        return self._accepts()

    def run(self, *_: object) -> bool:
        return self._accepts()

    def delete(self, *_: object) -> bool:
        return self._accepts()

    def take_back(self, *_: object) -> bool:
        return self._accepts()

    def pause(self, *_: object) -> bool:
        return self._accepts()
