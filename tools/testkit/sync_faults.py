"""Syncs that fail in a program that runs with `environment`: see sync_faults.c."""

from __future__ import annotations

import os
from pathlib import Path

from .preload import library

_SOURCE = Path(__file__).with_name("sync_faults.c")


def environment(**faults: int | str) -> dict[str, str]:
    """faults: the variables that sync_faults.c describes. Raises NoCompiler."""
    return {
        "LD_PRELOAD": os.fspath(library(_SOURCE)),
        **{name: str(value) for name, value in faults.items()},
    }
