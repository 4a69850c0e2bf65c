"""The log's threads without what they need: the system refuses a thread, or memory runs out."""

import errno
import subprocess
import sys
import threading
from queue import SimpleQueue

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.operations import Batch, Close, Fence, Write
from simulation.disk import MemoryDisk

from tests.wal.logs import DIRECTORY, opened
from tests.wal.test_threads import Owner


@pytest.mark.parametrize("refused", ["wal-committer", "wal-preparer"])
def test_refused_thread_is_an_error_of_its_own(monkeypatch, refused):
    start = threading.Thread.start

    def start_some(thread):
        if thread.name == refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    before = threading.active_count()
    with pytest.raises(wal.NoThread, match="cannot start a thread"):
        Owner(DIRECTORY, fs=MemoryDisk())
    assert threading.active_count() == before


NO_STACK = """
import resource, threading
import beanstalkd_wal as wal

with open("/proc/self/status") as status:
    (used,) = (int(line.split()[1]) for line in status if line.startswith("VmSize"))
limit = (used << 10) + (2 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    wal.start_thread(threading.Thread(target=print))
except wal.NoThread as error:
    print(error)
"""


def test_refused_thread_names_the_limit_on_memory():
    """A thread needs a stack. The system reports a lack of memory for it like too many threads."""
    said = subprocess.run([sys.executable, "-c", NO_STACK], stdout=subprocess.PIPE, text=True)
    assert said.stdout == "cannot start a thread; the limit may be ulimit -v or LimitAS=\n"


class ShortQueue(SimpleQueue):
    """The committer's queue. There is no memory when it looks for a second batch."""

    failures = 1

    def empty(self) -> bool:
        if self.failures:
            self.failures -= 1
            raise MemoryError
        return super().empty()


CLOSE = Close(0, truncate=True)


@pytest.mark.sources
@pytest.mark.parametrize(
    "batches", [[[CLOSE]], [[Write(1, [b"a"])], [CLOSE]], [[Fence(threading.Event())], [CLOSE]]]
)
def test_committer_without_memory_for_its_batches_fails_the_log(batches):
    """Its loop goes on: otherwise clients and the end of the log would wait for ever."""
    log = opened(MemoryDisk())
    committer = log._threads.committer
    committer.queue = ShortQueue()
    for operations in batches:
        committer.queue.put(Batch(1, operations))
    committer.run()
    assert all(each.passed.is_set() for (each,) in batches if isinstance(each, Fence))
    with pytest.raises(wal.LogFailed) as failed:
        log.collect()
    assert failed.value.errno == errno.ENOMEM
