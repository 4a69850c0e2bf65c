"""Iterations of the loop, and what happens in them without traffic."""

from __future__ import annotations

import os
import re
import sys

import beanstalkd_wal as wal
import pytest
from testkit.start import Start
from testkit.waiting import HANG_S, wait_until

from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.binlog.records import Delete, Full, encode
from beanstalkd_py.protocol.dispatch import OUTPUT_LIMIT
from beanstalkd_py.queue.model import READY

ALWAYS_MORE = """
import os, signal, sys
from beanstalkd_py import cli
from beanstalkd_py.binlog import journal as binlog

iterations = 0

def keep_up(self, now, wall):
    global iterations
    iterations += 1
    if iterations == 2000:
        os.kill(os.getpid(), signal.SIGTERM)
    return iterations < 2000

binlog.Binlog.busy = property(lambda self: True)
binlog.Binlog.keep_up = keep_up
sys.exit(cli.main(["busy", *sys.argv[1:]]))
"""


@pytest.mark.sources
def test_loop_does_not_block_while_compaction_has_work(launch: Start, log: str) -> None:
    daemon = launch("-b", log, program=(sys.executable, "-c", ALWAYS_MORE))
    assert daemon.wait_end() == 0


def test_greedy_client_does_not_keep_others_waiting(start: Start) -> None:
    """A client gets a limited number of replies in one iteration, however fast it reads. Then other
    clients are served.
    """
    size = 1000
    daemon = start(at="127.0.0.1")
    greedy, other = daemon.client(), daemon.client()
    greedy.put(b"x" * size)
    other.ask(b"list-tube-used\r\n")
    with daemon.stopped():
        greedy.say(b"peek 1\r\n" * 5000)
        other.say(b"stats\r\n" * 3)
    asked = [
        int(found[1]) for stats in other.hear(3) if (found := re.search(rb"cmd-peek: (\d+)", stats))
    ]
    assert asked == [OUTPUT_LIMIT // (size + len(b"FOUND 1 1000\r\n\r\n")) + 1] * 3
    greedy.hear_bytes(5000 * (size + 16))
    assert other.stat(b"cmd-peek") == b"5000"


PROGRESS_BEFORE_SERVING = f"""
HANG_S = {HANG_S}
import os, signal, sys, threading, time
from testkit.waiting import HANG_S
from beanstalkd_py import cli
from beanstalkd_py.binlog import opening
from beanstalkd_py.server import server

opened = opening.open_binlog
serve = server.Server.serve

def wait_for(happens):
    give_up_at = time.monotonic() + HANG_S
    while not happens() and time.monotonic() < give_up_at:
        time.sleep(0.002)

def late(*arguments, **keywords):
    it = opened(*arguments, **keywords)
    wait_for(lambda: it.log._progress.events and it.log._threads.preparer.queue.empty())
    time.sleep(0.1)
    return it

def watched(self, it, ready, stopping):
    def watch():
        wait_for(lambda: it.log.spare_bytes)
        print(it.log.spare_bytes > 0, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch).start()
    serve(self, it, ready, stopping)

opening.open_binlog = late
server.Server.serve = watched
sys.exit(cli.main(["late", *sys.argv[1:]]))
"""


def test_log_progress_before_the_loop_ran_is_collected(launch: Start, log: str) -> None:
    """Otherwise the first put would preallocate again, on the loop thread."""
    daemon = launch("-b", log, program=(sys.executable, "-c", PROGRESS_BEFORE_SERVING))
    assert daemon.wait_end() == 0
    assert daemon.said() == "True\n"


def many_dead(directory: str, segment_bytes: int) -> None:
    """A log of one job below many that were deleted: a start has something to compact."""
    replay = wal.Replay(directory)
    assert list(replay) == []
    log = wal.Log.open(
        replay, segment_bytes, wal.Durability.NEVER, meta=lambda: encode_meta(1000), threaded=False
    )
    for id in range(1, 1000):
        log.ensure_headroom(10_000)
        log.append(encode(Full(READY, 0, id, 0, 60, 0, 0, 0, 0, 0, 0, 0, b"default", bytes(1000))))
        if id > 1:
            log.append(encode(Delete(id)))
    log.close(0)


def test_compaction_of_the_start_is_synced_without_traffic(start: Start, log: str) -> None:
    """Durable by default: within the window, also without traffic. The sync shows in that the
    retired segment is deleted.
    """
    many_dead(log, 1 << 16)
    start("-b", log, "-s", "65536", "-f", "50")
    wait_until(lambda: "00000001.wal" not in os.listdir(log), "the oldest segment is gone")


def watermark(directory: str) -> int:
    """The durable watermark that the log holds."""
    replay = wal.Replay(directory)
    assert len(list(replay)) > 0
    return replay.watermark


def test_idle_log_writes_its_watermark_after_a_long_window(start: Start, log: str) -> None:
    """Half a second after the last command nothing is synced yet: the server tries again."""
    start("-b", log, "-f", "1600").client().put()
    wait_until(lambda: watermark(log) == 1, "the watermark is written")


def test_delay_ends_for_a_waiting_client_without_traffic(start: Start) -> None:
    """Timers and commands use one clock, the monotonic one."""
    daemon = start()
    daemon.client().say(b"put 0 1 60 1\r\nx\r\n")
    assert daemon.client().ask(b"reserve\r\n") == b"RESERVED 1 1\r\nx\r\n"
