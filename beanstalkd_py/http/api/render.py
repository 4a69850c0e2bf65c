"""Values as JSON, in slices."""

import json
from collections.abc import Iterator
from typing import Any

from beanstalkd_py.http.api.turns import Turns

LONG = 20  # items; a longer list is rendered item by item


def rendered(figures: dict[str, Any], turns: Turns) -> Iterator[bytes]:
    """An object in pieces. To be called while working (`Turns.work`)."""
    separator = "{"
    for key, value in figures.items():
        yield f"{separator}{json.dumps(key)}: ".encode()
        separator = ", "
        if not isinstance(value, list) or len(value) <= LONG:
            yield json.dumps(value).encode()
            continue
        between = "["
        for item in turns.each(value):
            yield f"{between}{json.dumps(item)}".encode()
            between = ", "
        yield b"]"
    yield b"}" if figures else b"{}"
