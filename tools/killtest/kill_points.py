"""Kill points: when the server is killed. They are found by events of the directory, not by time.

A KillPoint kills or stops the server under load, and returns the name of the kill point. It returns
"load" if the expected event did not happen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from testkit.daemon import Daemon

from .conversation import Closed, Conversation
from .inotify import Event, Watch

SEGMENT = r"\d{8,}\.wal"
SPARE = r"spare\.\d+"
OLD_FILE = r"binlog\.\d+"
FOLDER = r"beanstalkd-binlog-.*"

LOAD = "load"
TIMEOUT_S = 8.0
LOOK_AGAIN_S = 0.002
SLICE_S = 0.05  # of waiting for an event

KillPoint = Callable[[Daemon], str]


class Trigger(NamedTuple):
    """The events that a kill point waits for: kinds of events and names of files."""

    kinds: frozenset[str]
    file: re.Pattern[str]

    def fits(self, event: Event) -> bool:
        return event.kind in self.kinds and self.file.fullmatch(event.name) is not None


def _trigger(kinds: str, file: str) -> Trigger:
    return Trigger(frozenset(kinds.split(", ")), re.compile(file))


UNDER_LOAD = {
    "rotation": _trigger("moved to", SEGMENT),
    "spare": _trigger("created, moved to", SPARE),
    "drop": _trigger("deleted, moved from", SEGMENT),
}
AT_START = {
    "start: reading": _trigger("opened, read", SEGMENT),
    "start: cutting": _trigger("changed", SEGMENT),
    "start: first segment": _trigger("moved to", SEGMENT),
}
TAKING_OVER = {
    "import: reading": _trigger("opened, read", OLD_FILE),
    "import: writing": _trigger("changed", SEGMENT),
    "import: rotation": _trigger("moved to", SEGMENT),
    "import: folder": _trigger("created", FOLDER),
    "import: moving": _trigger("moved from", OLD_FILE),
}


def after(
    seconds: float, act: Callable[[Daemon], object] = Daemon.kill, name: str = LOAD
) -> KillPoint:
    """After this time."""

    def end(daemon: Daemon) -> str:
        time.sleep(seconds)
        act(daemon)
        return name

    return end


def at(name: str, rng: Random, timeout_s: float = TIMEOUT_S) -> KillPoint:
    """At an event of UNDER_LOAD, some time after the load began."""
    begin_s, later_s = 0.3 * rng.random(), _short_delay(rng)

    def end(daemon: Daemon) -> str:
        with Watch(daemon.directory) as watch:
            time.sleep(begin_s)
            watch.forget()
            end_at = time.monotonic() + timeout_s
            found = _wait_for(watch, UNDER_LOAD[name], 0, lambda: time.monotonic() < end_at)
            time.sleep(later_s)
            daemon.kill()
        return name if found else LOAD

    return end


def compacting(rng: Random, timeout_s: float = TIMEOUT_S) -> KillPoint:
    """While compaction copies jobs, according to the statistics of the server."""
    begin_s = 0.3 * rng.random()

    def end(daemon: Daemon) -> str:
        time.sleep(begin_s)
        found = _wait_for_compaction(daemon, timeout_s)
        daemon.kill()
        return "compaction" if found else LOAD

    return end


def stopping(rng: Random) -> KillPoint:
    """During an orderly stop."""
    begin_s, later_s = 0.3 * rng.random(), 0.03 * rng.random()

    def end(daemon: Daemon) -> str:
        time.sleep(begin_s)
        daemon.terminate()
        time.sleep(later_s)
        was_up = daemon.is_up()
        daemon.kill()
        return "stop" if was_up else "stopped"

    return end


def kill_at_start(daemon: Daemon, name: str, rng: Random, skip: int = 0) -> str:
    """Starts the server and kills it at an event of AT_START or TAKING_OVER.

    `skip` events are ignored first. Returns "start" if the event did not happen.
    """
    with Watch(daemon.directory) as watch:
        daemon.launch()
        found = _wait_for(
            watch, {**AT_START, **TAKING_OVER}[name], skip, lambda: _is_starting(daemon)
        )
        time.sleep(_short_delay(rng))
        daemon.kill()
    return name if found else "start"


def _is_starting(daemon: Daemon) -> bool:
    return daemon.is_up() and not daemon.ready_line()


def _wait_for(watch: Watch, trigger: Trigger, skip: int, may_come: Callable[[], bool]) -> bool:
    """Whether the event happened. It may come as long as `may_come` is true."""
    waits = True
    while waits:
        waits = may_come()  # what happened before is among the events
        for event in watch.events(SLICE_S, SLICE_S):
            if trigger.fits(event):
                skip -= 1
                if skip < 0:
                    return True
    return False


def _wait_for_compaction(daemon: Daemon, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    before: int | None = None
    try:
        with Conversation(daemon.connect()) as server:
            while time.monotonic() < deadline:
                now = int(server.stats()["binlog-records-migrated"])
                if before is not None and now > before:
                    return True
                before = now
                time.sleep(LOOK_AGAIN_S)
    except (OSError, Closed):
        pass  # the server has ended; the round reports it
    return False


def _short_delay(rng: Random) -> float:
    """In seconds; often 0."""
    return rng.choice((0.0, 0.0, 0.001, 0.005)) * rng.random()
