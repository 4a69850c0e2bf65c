"""A journal that keeps nothing, and has room for a given number of changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Home:
    number: int = 7


class Rationed:
    """A `Journal` (see beanstalkd_py.state)."""

    def __init__(self) -> None:
        self.room: int | None = None

    def _has_room(self) -> bool:
        if self.room is not None:
            self.room -= 1
        return self.room is None or self.room >= 0

    def put(self, *_: object) -> Home | None:
        return Home() if self._has_room() else None

    def change(self, *_: object) -> bool:
        return self._has_room()

    def delete(self, *_: object) -> bool:
        return self._has_room()

    def pause(self, *_: object) -> bool:
        return self._has_room()
