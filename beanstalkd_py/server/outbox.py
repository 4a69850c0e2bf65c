"""Pending replies, which wait for the log, and the timers of the log.

Invariant "a reply is a promise": a reply is sent only when every record that was appended before it
is as durable as the mode promises. All replies are sent in the order in which they were added, so
no reply overtakes another one of the same client.

The outbox is deterministic: it has no clock, no socket and no thread. Its owner passes two
functions that return the time. The server, the simulation and the crash sweeps run this class.

One poll batch of an owner with a log:

1. `begin_batch` with the number of readiness events;
2. commands are executed: records are appended, replies added;
3. `end_of_batch` commits what was appended, delivers the replies whose promise holds, and then does
   a step of compaction;
4. when the log has reported progress: `log_event`, and then `end_of_batch` again;
5. at `next_at`: `on_timers`, and then `end_of_batch`.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.queue.model import NEVER

MS: Final = 1_000_000  # in ns
# An inline commit runs on the loop thread: a single client gets its reply sooner. If an inline
# commit takes longer than the limit, the disk is slow, and commits go to the log's thread for the
# time of the back-off.
INLINE_COMMIT_LIMIT_NS: Final = 20 * MS
INLINE_COMMIT_BACKOFF_NS: Final = 10_000 * MS
# When nothing was appended for this time, the log writes its durable watermark. Then recovery can
# distinguish a torn tail from damage; docs/durability.md promises at most one second.
WATERMARK_NS: Final = 500 * MS
RETRY_NS: Final = 500 * MS  # between attempts to allocate space on a full disk


class Recipient(Protocol):
    """What sends replies to one client: a connection."""

    def deliver(self, data: bytes) -> None:
        """Sends a reply. It may call `add` of the outbox, and no other method of it."""


class Outbox:
    """binlog: None if there is no log; then each reply is sent at the end of its poll batch.

    sync_ms: the window of -f, in milliseconds; 0 if each reply waits for a sync, or none does.
    now: boot time, in ns. wall: wall-clock time, in ns. next_at: when `on_timers` is due.

    send: called after replies were delivered. It sends what recipients have only collected, and
    returns whether another batch must end soon.

    on_commit: called before each commit with the LSN of its last record.

    immediate: no reply waits for a log. A recipient without an earlier reply here need not add one,
    but may give it to `send` at once.
    """

    def __init__(
        self,
        binlog: Binlog | None,
        sync_ms: int,
        now: Callable[[], int],
        wall: Callable[[], int],
        send: Callable[[], bool] = lambda: False,
    ) -> None:
        self._binlog = binlog
        self._log = None if binlog is None else binlog.log
        self.immediate = binlog is None
        # A commit then writes and does not sync: fast enough for the loop thread.
        self._only_writes = self._log is not None and not self._log.promise_durable
        self._sync_ns = sync_ms * MS
        self._now = now
        self._wall = wall
        self._send = send
        # Each with the LSN that it waits for.
        self._pending: deque[tuple[int, Recipient, bytes]] = deque()
        self._single = False
        self._inline_from = 0
        self._sync_at = self._watermark_at = self._retry_at = NEVER
        self._watermark_lsn = 0  # the log's LSN when the watermark's timer was set
        self.next_at = NEVER
        self.on_commit: Callable[[int], None] | None = None
        if binlog is not None:
            # The start may have compacted: its records must be synced even if no client sends
            # anything.
            self._set_timers(now())

    # --- replies ----------------------------------------------------------------------------------

    @property
    def empty(self) -> bool:
        """Whether no reply waits."""
        return not self._pending

    def add(self, recipient: Recipient, data: bytes) -> None:
        """Adds a reply. It is sent when the log's promised LSN has reached the LSN of now."""
        log = self._log
        self._pending.append((0 if log is None else log.lsn, recipient, data))

    def discard(self) -> None:
        """Discards all replies: the log failed, so their promises cannot be kept."""
        self._pending.clear()

    def _deliver(self) -> bool:
        """Delivers replies whose promise holds. Replies that recipients add meanwhile come last.
        Returns what `send` returns.
        """
        pending = self._pending
        promised = NEVER if self._log is None else self._log.promised_lsn
        if not pending or pending[0][0] > promised:
            return self.immediate and self._send()
        while pending and pending[0][0] <= promised:
            _, recipient, data = pending.popleft()
            recipient.deliver(data)
        return self._send()

    # --- poll batches -----------------------------------------------------------------------------

    def begin_batch(self, events: int) -> None:
        """events: how many sockets are ready to be read in this batch.

        If there is one event and no pending reply, no other client gains from a commit on the log's
        thread. So the commit may be inline.
        """
        self._single = events == 1 and not self._pending

    def end_of_batch(self) -> bool:
        """Commits, delivers the replies whose promise holds, and does a step of compaction. True if
        the owner must end another batch soon, even without events. Clients wait for the first two,
        so they come first.

        Raises LogFailed. Replies of a server without a log, or of a batch without changes, are
        delivered here too.
        """
        binlog = self._binlog
        if binlog is None or not binlog.busy:
            self._single = False
            more = self._deliver()
            # A delivery may find a broken connection. Closing it may have appended records.
            return more or (binlog is not None and binlog.busy)
        now = self._now()
        wall = self._wall()
        self._commit(binlog, now, wall)
        more = self._deliver()
        more = binlog.keep_up(now, wall) or more
        self._set_timers(now)
        return more or binlog.busy

    def _commit(self, binlog: Binlog, now: int, wall: int) -> None:
        inline = (self._single or self._only_writes) and now >= self._inline_from
        self._single = False
        if self.on_commit is not None:
            self.on_commit(binlog.log.lsn)
        binlog.commit(now, wall, inline)
        if inline and self._now() - now > INLINE_COMMIT_LIMIT_NS:
            self._inline_from = now + INLINE_COMMIT_BACKOFF_NS

    def log_event(self) -> None:
        """The log has reported progress, or its failure. Raises LogFailed.

        Delivers nothing: the end of the batch does.
        """
        binlog = self._binlog
        if binlog is not None:
            binlog.collect()
            if binlog.needs_retry:
                self._set_timers(self._now())

    # --- timers -----------------------------------------------------------------------------------

    def set_window(self, sync_ms: int) -> None:
        """Another window of -f. A window that has begun does not last longer than the new one."""
        self._sync_ns = sync_ms * MS
        if self._sync_at != NEVER:
            self._sync_at = min(self._sync_at, self._now() + self._sync_ns)
            self.next_at = min(self.next_at, self._sync_at)

    def _set_timers(self, now: int) -> None:
        """Sets each timer that is needed and not set."""
        binlog, log = self._binlog, self._log
        assert binlog is not None and log is not None
        if self._sync_at == NEVER and self._sync_ns and log.durable_lsn < log.lsn:
            self._sync_at = now + self._sync_ns
            self.next_at = min(self.next_at, self._sync_at)
        if self._watermark_at == NEVER:
            self._set_watermark_timer(now)
        if self._retry_at == NEVER and binlog.needs_retry:
            self._retry_at = now + RETRY_NS
            self.next_at = min(self.next_at, self._retry_at)

    def _set_watermark_timer(self, now: int) -> None:
        assert self._log is not None
        self._watermark_lsn = self._log.lsn
        self._watermark_at = now + WATERMARK_NS
        self.next_at = min(self.next_at, self._watermark_at)

    def on_timers(self) -> None:
        """Does what is due. `end_of_batch` must be called afterwards."""
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
            self._retry_at = now + RETRY_NS if binlog.needs_retry else NEVER
        self.next_at = min(self._sync_at, self._watermark_at, self._retry_at)

    def _on_watermark_timer(self, now: int) -> None:
        """Writes the watermark if nothing was appended since the timer was set.

        While the watermark is behind, the timer is set again. There are three reasons: a sync has
        not ended, the window of -f has not ended, or the active segment is full.
        """
        log = self._log
        assert log is not None
        self._watermark_at = NEVER
        idle = log.lsn == self._watermark_lsn
        if idle:
            log.write_watermark(self._wall())
        if log.watermark_behind or not idle:
            self._set_watermark_timer(now)
