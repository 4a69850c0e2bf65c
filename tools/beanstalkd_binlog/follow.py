"""`follow`: records as a running server makes them durable, until it is stopped."""

from __future__ import annotations

import time
from collections import deque
from typing import NoReturn

import click
from beanstalkd_wal import NewerVersion

from beanstalkd_binlog.dump import Filter, Printer
from beanstalkd_binlog.entry import Entry, entries, first_put, frame_entries
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.status import INTERRUPTED, NewerLog, complain
from beanstalkd_binlog.tail import Tail
from beanstalkd_binlog.walk import Walk

POLL_S = 0.1


class Follower:
    """Entries wait here until the log says that they are durable."""

    def __init__(self, walk: Walk, printer: Printer, wanted: Filter) -> None:
        self._directory = walk.directory
        self._printer = printer
        self._wanted = wanted
        self._waiting: deque[Entry] = deque()
        self._walk = walk
        self._tail = Tail(walk.directory, walk.reading)

    def begin(self, last: int) -> None:
        """Reads what is there, and shows the last few records of it."""
        self._read(last)
        self._walk.report()
        if not self._walk.reading.running:
            complain(f"{self._directory}: no server has it open; waiting for one")
        self._show()

    def _read(self, last: int | None) -> None:
        """The whole log, and where it ends. Keeps what is new and wanted, at most the last few of
        it.
        """
        self._waiting = deque(maxlen=last)
        for found in entries(self._walk):
            if isinstance(found, Entry) and self._wanted.wants(found):
                self._waiting.append(found)
        self._waiting = deque(self._waiting)
        self._tail = Tail(self._directory, self._walk.reading)
        if not self._walk.reading.running:  # a start will take all of it for good
            self._tail.durable_lsn = self._walk.reading.next_lsn - 1

    def go_on(self) -> None:
        """What has come since."""
        for found in self._tail.poll():
            if isinstance(found, Gap):
                self._catch_up(found)
                break
            next_id = first_put(self._tail.meta, self._tail.begins_segment(found))
            for entry in frame_entries(found, self._walk.replayer, next_id):
                if self._wanted.wants(entry):
                    self._waiting.append(entry)
        self._show()

    def _catch_up(self, gap: Gap) -> None:
        """The server has dropped segments that we had not read: all is read anew, to know the jobs."""
        self._tail.durable_lsn = gap.first_lsn - 1  # or it would not have been dropped
        self._show()
        complain(
            f"{self._directory}: what came meanwhile was dropped; the log goes on with LSN {gap.first_lsn}"
        )
        self._walk = Walk(self._directory, replay=False)
        self._read(None)

    def _show(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0].lsn <= self._tail.durable_lsn:
            self._printer.entry(waiting.popleft())


def follow(walk: Walk, output: Output, printer: Printer, wanted: Filter, last: int) -> NoReturn:
    """Ends by a signal only, or a broken pipe."""
    follower = Follower(walk, printer, wanted)
    follower.begin(last)
    try:
        while True:
            output.flush()
            time.sleep(POLL_S)
            follower.go_on()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except NewerVersion as error:
        raise NewerLog(str(error)) from error
