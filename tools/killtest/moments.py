"""When the server is killed: moments that are found by what it does, not by the clock.

May know: the directory's files, a connection for stats, signals. Promises: an End kills the server
(or stops it) while clients are at it, and returns the name of the moment at which it did: "load" if
the one that it waited for did not come.
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
PATIENCE_S = 8.0
SILENCE_S = 2.0  # of a server that starts
LOOK_AGAIN_S = 0.002

End = Callable[[Daemon], str]


class Sign(NamedTuple):
    """What tells of a moment: one of these kinds of events of such a file."""

    kinds: frozenset[str]
    file: re.Pattern[str]

    def fits(self, event: Event) -> bool:
        return event.kind in self.kinds and self.file.fullmatch(event.name) is not None


def _sign(kinds: str, file: str) -> Sign:
    return Sign(frozenset(kinds.split(", ")), re.compile(file))


UNDER_LOAD = {
    "rotation": _sign("moved to", SEGMENT),
    "spare": _sign("created, moved to", SPARE),
    "drop": _sign("deleted, moved from", SEGMENT),
}
AT_START = {
    "start: reading": _sign("opened, read", SEGMENT),
    "start: cutting": _sign("changed", SEGMENT),
    "start: first segment": _sign("moved to", SEGMENT),
}
TAKING_OVER = {
    "import: reading": _sign("opened, read", OLD_FILE),
    "import: writing": _sign("changed", SEGMENT),
    "import: rotation": _sign("moved to", SEGMENT),
    "import: folder": _sign("created", FOLDER),
    "import: moving": _sign("moved from", OLD_FILE),
}


def after(seconds: float, act: Callable[[Daemon], object] = Daemon.kill, name: str = LOAD) -> End:
    """Whatever it does then."""

    def end(daemon: Daemon) -> str:
        time.sleep(seconds)
        act(daemon)
        return name

    return end


def at(name: str, chance: Random, patience_s: float = PATIENCE_S) -> End:
    """One of UNDER_LOAD, some time after the load began."""
    begin_s, later_s = 0.3 * chance.random(), _a_little(chance)

    def end(daemon: Daemon) -> str:
        with Watch(daemon.directory) as watch:
            time.sleep(begin_s)
            watch.forget()
            found = _awaited(watch, UNDER_LOAD[name], 0, patience_s, patience_s)
            time.sleep(later_s)
            daemon.kill()
        return name if found else LOAD

    return end


def compacting(chance: Random, patience_s: float = PATIENCE_S) -> End:
    """Jobs are just being written again, as the server's own statistics say."""
    begin_s = 0.3 * chance.random()

    def end(daemon: Daemon) -> str:
        time.sleep(begin_s)
        found = _migrates(daemon, patience_s)
        daemon.kill()
        return "compaction" if found else LOAD

    return end


def stopping(chance: Random) -> End:
    """Amid an orderly end."""
    begin_s, later_s = 0.3 * chance.random(), 0.03 * chance.random()

    def end(daemon: Daemon) -> str:
        time.sleep(begin_s)
        daemon.terminate()
        time.sleep(later_s)
        was_up = daemon.is_up()
        daemon.kill()
        return "stop" if was_up else "stopped"

    return end


def kill_at_start(daemon: Daemon, name: str, chance: Random, skip: int = 0) -> str:
    """Starts it, and kills it at one of AT_START or TAKING_OVER, behind `skip` signs of it. "start"
    if that did not come.
    """
    with Watch(daemon.directory) as watch:
        daemon.launch()
        found = _awaited(watch, {**AT_START, **TAKING_OVER}[name], skip, PATIENCE_S, SILENCE_S)
        time.sleep(_a_little(chance))
        daemon.kill()
    return name if found else "start"


def _awaited(watch: Watch, sign: Sign, skip: int, seconds: float, silence: float) -> bool:
    """Whether the sign came in this time."""
    for event in watch.events(seconds, silence):
        if sign.fits(event):
            skip -= 1
            if skip < 0:
                return True
    return False


def _migrates(daemon: Daemon, seconds: float) -> bool:
    give_up_at = time.monotonic() + seconds
    before: int | None = None
    try:
        with Conversation(daemon.connect()) as server:
            while time.monotonic() < give_up_at:
                now = int(server.stats()["binlog-records-migrated"])
                if before is not None and now > before:
                    return True
                before = now
                time.sleep(LOOK_AGAIN_S)
    except (OSError, Closed):
        pass  # it ended by itself: the round says so
    return False


def _a_little(chance: Random) -> float:
    """Seconds: at once as often as not."""
    return chance.choice((0.0, 0.0, 0.001, 0.005)) * chance.random()
