"""What a reload changes in a running server, and what waits for a restart."""

from __future__ import annotations

from typing import NamedTuple

from beanstalkd_py.config.options import Options
from beanstalkd_py.config.table import IN_FILE


class Changes(NamedTuple):
    """options: what the server runs with after the reload. applied, refused: keys with their
    values, such as `max_job_size 10 -> 20`. refused: those that need a restart.
    """

    options: Options
    applied: tuple[str, ...]
    refused: tuple[str, ...]

    def __str__(self) -> str:
        texts = []
        if self.applied:
            texts.append("changed: " + ", ".join(self.applied))
        if self.refused:
            texts.append("not changed without a restart: " + ", ".join(self.refused))
        return "; ".join(texts) or "nothing has changed"


def compare(running: Options, wanted: Options) -> Changes:
    applied, refused = [], []
    options = running
    for key, option in IN_FILE.items():
        old, new = getattr(running, key), getattr(wanted, key)
        if old == new:
            continue
        shown = f"{key} {_shown(key, old)} -> {_shown(key, new)}"
        if option.reload.allows(old, new):
            options = options._replace(**{key: new})
            applied.append(shown)
        else:
            refused.append(shown)
    if running.schedule != wanted.schedule:
        options = options._replace(schedule=wanted.schedule)
        applied.append(f"schedule: {', '.join(map(str, wanted.schedule)) or 'none'}")
    return Changes(options, tuple(applied), tuple(refused))


def _shown(key: str, value: object) -> str:
    if value is None:
        return "(unset)"
    if key == "socket_mode":
        return f"{value:o}"
    return str(value).lower() if isinstance(value, bool) else str(value)
