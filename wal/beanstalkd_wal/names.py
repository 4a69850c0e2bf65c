"""The names of the log's files in its directory.

Promises: pure; a file with any other name is not the log's, and is never touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

_SEGMENT: Final = re.compile(r"(\d{8,})\.wal")
_SPARE: Final = re.compile(r"spare\.(\d+)")

LOCK: Final = "lock"  # the C server's name for it, so that the two never share a directory


def segment_path(directory: str, number: int) -> str:
    return os.path.join(directory, f"{number:08}.wal")


def spare_path(directory: str, number: int) -> str:
    """Of a preallocated segment."""
    return os.path.join(directory, f"spare.{number}")


def torn_path(directory: str, segment: int, offset: int) -> str:
    """Of a copy of the torn tail that recovery cut off."""
    return os.path.join(directory, f"torn.{segment}.{offset}")


def damaged_path(directory: str, segment: int, offset: int) -> str:
    """Of a copy of the damaged bytes that repair took out."""
    return os.path.join(directory, f"damaged.{segment}.{offset}")


def aside_path(directory: str, segment: int) -> str:
    """Of a segment of a second writer that repair set aside."""
    return os.path.join(directory, f"second-writer.{segment}")


def candidates(path: str) -> Iterator[str]:
    """Names for a file that must not replace another: `path`, then `path.1`, `path.2`, ..."""
    yield path
    number = 0
    while True:
        number += 1
        yield f"{path}.{number}"


def segment_numbers(names: list[str]) -> list[int]:
    """Of the segments among these names, ascending."""
    found = {match[0]: int(match[1]) for match in map(_SEGMENT.fullmatch, names) if match}
    return sorted(number for name, number in found.items() if name == f"{number:08}.wal")


def spare_numbers(names: list[str]) -> list[int]:
    """Of the spares among these names, ascending."""
    found = {match[0]: int(match[1]) for match in map(_SPARE.fullmatch, names) if match}
    return sorted(number for name, number in found.items() if name == f"spare.{number}")
