"""An outbox on a fake log with a fake clock, and fake clients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from beanstalkd_py.server.outbox import MS, Outbox

START = 1000 * MS


@dataclass
class FakeLog:
    promise_durable: bool = True
    lsn: int = 10
    promised_lsn: int = 10
    durable_lsn: int = 10
    watermark: int = 10
    syncs: list[int] = field(default_factory=list)  # the LSN at each
    watermarks: list[int] = field(default_factory=list)  # the same

    def sync(self, at: int) -> None:
        self.syncs.append(self.lsn)

    def write_watermark(self, at: int) -> None:
        self.watermarks.append(self.lsn)
        self.watermark = self.durable_lsn

    @property
    def watermark_behind(self) -> bool:
        return self.watermark < self.lsn


class FakeBinlog:
    """A commit takes `commit_ns` and makes nothing durable, unless it `is_quick`. `World.reach`
    makes records durable.
    """

    def __init__(self, world: World, log: FakeLog) -> None:
        self.world = world
        self.log = log
        self.busy = False
        self.more = False
        self.is_full = False
        self.is_quick = False
        self.commits: list[bool] = []  # whether each was inline
        self.retries = 0
        self.commit_ns = 0

    def commit(self, now: int, wall: int, inline: bool) -> None:
        self.commits.append(inline)
        self.world.now += self.commit_ns
        if self.is_quick:
            self.log.promised_lsn = self.log.lsn

    def keep_up(self, now: int, wall: int) -> bool:
        self.busy = self.more
        self.world.steps.append("compaction")
        return self.more

    def collect(self) -> None:
        pass

    @property
    def needs_retry(self) -> bool:
        return self.is_full

    def retry(self) -> None:
        self.retries += 1


class Client:
    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.says_more: list[bytes] = []

    def deliver(self, data: bytes) -> None:
        self.world.delivered.append((self.name, data))
        while self.says_more:
            self.world.outbox.add(self, self.says_more.pop(0))


class World:
    def __init__(self, sync_ms: int = 0, log: FakeLog | None = None, full: bool = False) -> None:
        self.now = START
        self.log = log or FakeLog()
        self.binlog: Any = FakeBinlog(self, self.log)
        self.binlog.is_full = full
        self.delivered: list[tuple[str, bytes]] = []
        self.steps: list[str] = []
        self.outbox = Outbox(
            self.binlog, sync_ms, lambda: self.now, lambda: self.now + 7, self._send
        )
        self.a, self.b = Client(self, "a"), Client(self, "b")

    def _send(self) -> bool:
        self.steps.append("send")
        return False

    def change(self, client: Client, data: bytes = b"x") -> None:
        """A command that appends a record, and its reply."""
        self.log.lsn += 1
        self.binlog.busy = True
        self.outbox.add(client, data)

    def batch(self, events: int = 2, changes: int = 1) -> bool:
        """Returns whether another batch is asked for."""
        self.outbox.begin_batch(events)
        for _ in range(changes):
            self.change(self.a)
        return self.outbox.end_of_batch()

    def reach(self, lsn: int) -> bool:
        """Runs the batch of the event that tells that the log has reached this LSN."""
        self.log.promised_lsn = lsn
        self.outbox.begin_batch(1)
        self.outbox.log_event()
        return self.outbox.end_of_batch()

    def until(self, at: int) -> None:
        """Runs all timers up to that time."""
        while self.outbox.next_at <= at:
            self.now = max(self.now, self.outbox.next_at)
            self.outbox.on_timers()
            self.outbox.end_of_batch()
        self.now = at
