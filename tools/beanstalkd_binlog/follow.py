"""`follow`: records as a running server makes them durable, until interrupted.

Promises: a record is shown only after the log's durable watermark has passed it.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NoReturn

import click
from beanstalkd_wal import NewerVersion

from beanstalkd_binlog.dump import Filter, Printer
from beanstalkd_binlog.entry import Entry, entries, first_new_id, frame_entries
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.status import INTERRUPTED, BadLog, warn
from beanstalkd_binlog.tail import Tail
from beanstalkd_binlog.walk import Walk

POLL_S = 0.1


class Follower:
    """Holds entries back until they are durable."""

    def __init__(self, walk: Walk, printer: Printer, chosen: Filter) -> None:
        self._directory = walk.directory
        self._printer = printer
        self._chosen = chosen
        self._pending: deque[Entry] = deque()
        self._walk = walk
        self._tail = Tail(walk.directory, walk.reading)

    def begin(self, last: int) -> None:
        """Reads the log, and shows at most its last few selected records."""
        self._read(last)
        self._walk.report()
        if not self._walk.reading.running:
            warn(f"{self._directory}: no server has the log open; waiting for a server")
        self._show()

    def _read(self, last: int | None) -> None:
        """Reads the whole log. Holds back the selected entries, at most the last few of them."""
        newest: deque[Entry] = deque(maxlen=last)
        for found in entries(self._walk):
            if isinstance(found, Entry) and self._chosen.selects(found):
                newest.append(found)
        self._pending = deque(newest)
        self._tail = Tail(self._directory, self._walk.reading)
        if not self._walk.reading.running:  # the next start makes all of it durable
            self._tail.durable_lsn = self._walk.reading.next_lsn - 1

    def poll(self) -> None:
        """Reads what was written since, and shows what has become durable."""
        for found in self._tail.poll():
            if isinstance(found, Gap):
                self._read_again(found)
                break
            new_id = first_new_id(self._tail.meta, self._tail.begins_segment(found))
            for entry in frame_entries(found, self._walk.replayer, new_id):
                if self._chosen.selects(entry):
                    self._pending.append(entry)
        self._show()

    def _read_again(self, gap: Gap) -> None:
        """The server deleted segments that were not read. The log is read again from its
        beginning, because the jobs must be known.
        """
        self._tail.durable_lsn = gap.first_lsn - 1  # only durable segments are deleted
        self._show()
        warn(f"{self._directory}: {gap}")
        self._walk = Walk(self._directory, replay=False)
        self._read(None)

    def _show(self) -> None:
        pending = self._pending
        while pending and pending[0].lsn <= self._tail.durable_lsn:
            self._printer.entry(pending.popleft())


def follow(walk: Walk, output: Output, printer: Printer, chosen: Filter, last: int) -> NoReturn:
    """Ends only by a signal or a broken pipe."""
    follower = Follower(walk, printer, chosen)
    follower.begin(last)
    try:
        while True:
            output.flush()
            time.sleep(POLL_S)
            follower.poll()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except NewerVersion as error:
        raise BadLog(str(error)) from error
