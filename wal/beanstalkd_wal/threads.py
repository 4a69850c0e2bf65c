"""The log's two threads, the committer's and the preparer's. Without `start`, all work is inline.

Promises: batches are executed in order. Inline, a call has done all its work when it returns.
`close` ends both threads, and waits for no work that only prepares. They are daemon threads, so
they never keep the process alive.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable

from beanstalkd_wal.committer import Committer
from beanstalkd_wal.directory import Durability
from beanstalkd_wal.errors import NoThread
from beanstalkd_wal.operations import Batch, Fence, Operation, Sync
from beanstalkd_wal.preparer import Preparer
from beanstalkd_wal.progress import Progress
from beanstalkd_wal.recover import Recovered

STACK_BYTES = 8 << 20  # of a thread, by default


class Threads:
    def __init__(
        self,
        found: Recovered,
        segment_bytes: int,
        durability: Durability,
        lsn: int,
        notify: Callable[[], None],
    ) -> None:
        self.progress = Progress(lsn, found.durable_lsn, found.watermark, self._notify)
        # To reuse a deleted segment, its whole file must be filled and synced. NEVER avoids that.
        reuse = durability is not Durability.NEVER and found.directory.may_reuse
        self.preparer = Preparer(
            found.directory, self.progress, segment_bytes, found.dirty, reuse, found.disk_full
        )
        self.committer = Committer(found, self.progress, durability, self.wake_preparer)
        self._batches_sent = 0  # to the committer's thread
        self._owner_notify = notify
        self._collect: Callable[[], None] = _nothing
        self._path = found.directory.path
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Raises NoThread. Then no thread is left."""
        committer = threading.Thread(target=self.committer.run, name="wal-committer", daemon=True)
        preparer = threading.Thread(target=self.preparer.run, name="wal-preparer", daemon=True)
        start_thread(committer)
        try:
            start_thread(preparer)
        except NoThread:
            self.committer.end_unused()
            committer.join()
            raise
        self._threads = [committer, preparer]

    def run_inline(self, collect: Callable[[], None]) -> None:
        """Called instead of start. collect is called before the owner is notified: the owner is in
        the middle of a call of the log, which needs the new figures.
        """
        self._collect = collect

    def _notify(self) -> None:
        self._collect()
        try:
            self._owner_notify()
        except Exception as error:  # must not end this thread: Log.close waits for it
            self.progress.fail(self._path, 0, error)

    def commit(self, operations: list[Operation], at: int) -> None:
        """at: wall time, ns."""
        if self._threads:
            self._batches_sent += 1
            self.committer.queue.put(Batch(at, operations))
        else:
            self.committer.execute([Batch(at, operations)])
            self.committer.notify()

    def commit_inline(self, operations: list[Operation], at: int) -> bool:
        """Executes them on this thread, without a notification. False if nothing was done, because
        the committer is busy, or because the commit might sync for a retirement only.
        """
        if self._threads and self._batches_sent != self.progress.batches_done:
            return False
        if self._threads and self.committer.may_sync_for_retirement:
            return False
        self.committer.execute([Batch(at, operations)])
        return True

    def wake_preparer(self, retired: tuple[int, ...] = ()) -> None:
        """retired: numbers of segments to delete."""
        if self._threads:
            self.preparer.queue.put(retired)
        else:
            self.preparer.execute(retired)

    def drain(self, at: int) -> None:
        """Syncs, because retirements may wait for that, and waits until both threads are idle."""
        if not self._threads:
            self.commit([Sync(False, 0)], at)
            return
        passed = threading.Event()
        self.commit([Sync(False, 0), Fence(passed)], at)
        passed.wait()
        passed = threading.Event()
        self.preparer.queue.put(passed)
        passed.wait()

    def close(self, operations: list[Operation], at: int) -> None:
        """Executes the operations, of which the last one is Close, and ends the threads.

        Each step of the preparer ends in a sync, and on a slow disk a stop must not wait for them.
        """
        self.preparer.abandoned = bool(self._threads)
        self.commit(operations, at)
        if self._threads:
            committer, preparer = self._threads
            self.preparer.queue.put(None)
            committer.join()
            preparer.join()


def start_thread(thread: threading.Thread) -> None:
    """Raises NoThread if the system refuses it."""
    try:
        thread.start()
    except RuntimeError as error:
        raise NoThread(_limits()) from error


def _limits() -> str:
    """What may have refused a thread. The system gives the same errno for too many threads and for
    a lack of memory for the stack.
    """
    try:
        mmap.mmap(-1, STACK_BYTES).close()
    except OSError:
        return "ulimit -v or LimitAS="
    return "ulimit -u, TasksMax= or pids.max"


def _nothing() -> None:
    pass
