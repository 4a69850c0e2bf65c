"""Replies that wait for the log, and the instants at which the log needs a call.

Invariant "a reply is a promise": a reply leaves only when everything that was appended up to the
moment of the reply is as durable as the mode promises. All replies leave in the order in which they
were added, so no reply overtakes another one of the same client.

The outbox is deterministic: it has no clock, no socket and no thread. Its owner passes two
functions that tell the time. The server, the simulation and the crash sweeps run this class.

One poll batch of an owner with a log:

1. `begin_batch` with the number of readiness events;
2. commands are executed: records are appended, replies added;
3. `end_of_batch` commits what was appended, compacts a little, and delivers what may leave;
4. when the log has reported progress: `log_event`, and then the end of a batch again;
5. at `next_at`: `on_timers`, and then the end of a batch.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.queue.model import NEVER

MS = 1_000_000  # in ns
# A single client gets its reply sooner when the loop thread itself commits. After an inline commit
# that took longer than the limit, commits go to the log's thread for a while: the disk is slow.
INLINE_COMMIT_LIMIT_NS = 20 * MS
INLINE_COMMIT_BACKOFF_NS = 10_000 * MS
# A log that was idle for so long writes its durable watermark. Recovery can then tell a torn tail
# from damage (docs/durability.md); the promise is one second.
WATERMARK_NS = 500 * MS
RETRY_NS = 500 * MS  # between attempts to allocate space on a full disk


class Recipient(Protocol):
    """A client's end of a connection."""

    def deliver(self, data: bytes) -> None:
        """Sends a reply. May add replies to the outbox; may not call anything else of it."""


class Outbox:
    """binlog: None if there is no log; then each reply leaves at the end of its poll batch.

    sync_ms: the window of -f, in milliseconds; 0 if each reply waits for a sync, or none does.
    now: monotonic time, in ns. wall: wall-clock time, in ns. next_at: when `on_timers` is due.
    """

    def __init__(
        self,
        binlog: Binlog | None,
        sync_ms: int,
        now: Callable[[], int],
        wall: Callable[[], int],
    ) -> None:
        self._binlog = binlog
        self._log = None if binlog is None else binlog.log
        # a commit is a write and no sync: cheap enough for the loop thread
        self._only_writes = self._log is not None and not self._log.promise_durable
        self._sync_ns = sync_ms * MS
        self._now = now
        self._wall = wall
        self._pending: deque[tuple[int, Recipient, bytes]] = deque()  # with the LSN each waits for
        self._single = False
        self._inline_from = 0
        self._sync_at = self._watermark_at = self._retry_at = NEVER
        self._watermark_lsn = 0  # of the last record, when the watermark's timer was set
        self.next_at = NEVER
        if binlog is not None:
            # The start may have compacted: that is to be synced though no client sends anything.
            self._set_timers(now())

    # --- replies ----------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """Whether no reply waits."""
        return not self._pending

    def add(self, recipient: Recipient, data: bytes) -> None:
        """Takes a reply; it leaves when the log has reached its present LSN."""
        log = self._log
        self._pending.append((0 if log is None else log.lsn, recipient, data))

    def discard(self) -> None:
        """Drops all replies: the log failed, so what they promise cannot be kept."""
        self._pending.clear()

    def _deliver(self) -> None:
        """Replies that recipients add meanwhile leave behind those that wait."""
        pending = self._pending
        promised = NEVER if self._log is None else self._log.promised_lsn
        while pending and pending[0][0] <= promised:
            _, recipient, data = pending.popleft()
            recipient.deliver(data)

    # --- poll batches -----------------------------------------------------------------------------

    def begin_batch(self, events: int) -> None:
        """events: how many sockets are ready to be read in this batch.

        With a single one, and no reply that waits from before, no other client gains from a commit
        on the log's thread.
        """
        self._single = events == 1 and not self._pending

    def end_of_batch(self) -> bool:
        """Commits, compacts a little, and delivers what may leave. True if the owner is to run
        another batch soon, whether or not there are events.

        Raises LogFailed. The reply of a batch without a log, or without changes, leaves here too.
        """
        binlog = self._binlog
        if binlog is None:
            if self._pending:
                self._deliver()
            return False
        more = self._commit(binlog) if binlog.busy else False
        self._single = False
        if self._pending:
            self._deliver()
            # A recipient that was lost gives back its jobs: that may have appended.
            more = more or binlog.busy
        return more

    def _commit(self, binlog: Binlog) -> bool:
        now = self._now()
        inline = (self._single or self._only_writes) and now >= self._inline_from
        more = binlog.end_iteration(now, self._wall(), inline)
        if inline and self._now() - now > INLINE_COMMIT_LIMIT_NS:
            self._inline_from = now + INLINE_COMMIT_BACKOFF_NS
        self._set_timers(now)
        return more

    def log_event(self) -> None:
        """The log has reported progress, or its failure. Raises LogFailed.

        Delivers nothing: the end of the batch does.
        """
        binlog = self._binlog
        if binlog is not None:
            binlog.collect()
            if binlog.is_full:
                self._set_timers(self._now())

    # --- timers -----------------------------------------------------------------------------------

    def _set_timers(self, now: int) -> None:
        """Sets those that are needed and not set yet."""
        binlog, log = self._binlog, self._log
        assert binlog is not None and log is not None
        if self._sync_at == NEVER and self._sync_ns and log.durable_lsn < log.lsn:
            self._sync_at = now + self._sync_ns
            self.next_at = min(self.next_at, self._sync_at)
        if self._watermark_at == NEVER:
            self._set_watermark_timer(now)
        if self._retry_at == NEVER and binlog.is_full:
            self._retry_at = now + RETRY_NS
            self.next_at = min(self.next_at, self._retry_at)

    def _set_watermark_timer(self, now: int) -> None:
        assert self._log is not None
        self._watermark_lsn = self._log.lsn
        self._watermark_at = now + WATERMARK_NS
        self.next_at = min(self.next_at, self._watermark_at)

    def on_timers(self) -> None:
        """Does what is due by now. The end of a batch must follow."""
        binlog, log = self._binlog, self._log
        if binlog is None or log is None:
            return
        now = self._now()
        if self._sync_at <= now:
            self._sync_at = NEVER
            log.sync(self._wall())
        if self._watermark_at <= now:
            self._on_watermark_timer(now)
        if self._retry_at <= now:
            binlog.retry()
            self._retry_at = now + RETRY_NS if binlog.is_full else NEVER
        self.next_at = min(self._sync_at, self._watermark_at, self._retry_at)

    def _on_watermark_timer(self, now: int) -> None:
        """Writes the watermark if nothing was appended since the timer was set.

        The timer is set again while the watermark is behind: a sync may still be under way, or the
        window not over, or the active segment full.
        """
        log = self._log
        assert log is not None
        self._watermark_at = NEVER
        idle = log.lsn == self._watermark_lsn
        if idle:
            log.write_watermark(self._wall())
        if log.watermark_behind or not idle:
            self._set_watermark_timer(now)
