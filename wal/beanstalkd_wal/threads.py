"""The two threads behind a log, or, inline, none: then everything is done within the call.

May know: who does what. Promises: what is handed over is carried out in order; the last order ends
both threads, and no thread keeps the process from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from beanstalkd_wal.committer import Committer
from beanstalkd_wal.directory import Durability
from beanstalkd_wal.operations import Batch, Close, Fence, Operation, Sync
from beanstalkd_wal.preparer import Preparer
from beanstalkd_wal.progress import Progress
from beanstalkd_wal.recover import Recovered


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
        self.preparer = Preparer(found.directory, self.progress, segment_bytes, found.dirty)
        self.committer = Committer(found, self.progress, durability, self.prepare)
        # Inline: the owner is in the middle of a call, and would not collect before it sees the
        # outcome.
        self.take: Callable[[], None] = _nothing
        self._handed = 0  # batches, to the committer's thread
        self._owner_notify = notify
        self._path = found.directory.path
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=self.committer.run, name="wal-committer", daemon=True),
            threading.Thread(target=self.preparer.run, name="wal-preparer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _notify(self) -> None:
        self.take()
        try:
            self._owner_notify()
        except (
            Exception
        ) as error:  # nobody is told any more, which must not end the thread that close() waits for
            self.progress.fail(self._path, 0, error)

    def commit(self, operations: list[Operation], at: int) -> None:
        if self._threads:
            self._handed += 1
            self.committer.queue.put(Batch(at, operations))
        else:
            self.committer.carry_out([Batch(at, operations)])
            self.committer.tell()

    def commit_inline(self, operations: list[Operation], at: int) -> bool:
        """Carries them out on this thread, and tells nobody. False if the committer is at work:
        nothing was done.
        """
        if self._threads and self._handed != self.progress.carried:
            return False
        self.committer.carry_out([Batch(at, operations)])
        return True

    def prepare(self, order: tuple[int, ...]) -> None:
        if self._threads:
            self.preparer.queue.put(order)
        else:
            self.preparer.carry_out(order)

    def drain(self, at: int) -> None:
        """Syncs (drops may wait for it), and waits for both threads."""
        if not self._threads:
            self.commit([Sync(False, 0)], at)
            return
        passed = threading.Event()
        self.commit([Sync(False, 0), Fence(passed)], at)
        passed.wait()
        passed = threading.Event()
        self.preparer.queue.put(passed)
        passed.wait()

    def close(self, operations: list[Operation], at: int, cut: bool) -> None:
        self.commit([*operations, Close(cut)], at)
        if self._threads:
            committer, preparer = self._threads
            committer.join()  # the last drops go from one to the other
            self.preparer.queue.put(None)
            preparer.join()


def _nothing() -> None:
    pass
