"""The turn of the loop."""

from __future__ import annotations

import os
import re
import sys

import beanstalkd_wal as wal
import pytest
from testkit.start import Start
from testkit.waiting import wait_until

from beanstalkd_py.binlog.records import Delete, Full, encode, encode_meta
from beanstalkd_py.protocol.session import OUTPUT_LIMIT
from beanstalkd_py.queue.model import READY

ALWAYS_MORE = """
import os, signal, sys
from beanstalkd_py import cli
from beanstalkd_py.binlog import journal as binlog

turns = 0

def turn(self, now, wall, inline):
    global turns
    turns += 1
    if turns == 2000:
        os.kill(os.getpid(), signal.SIGTERM)
    return turns < 2000

binlog.Binlog.busy = property(lambda self: True)
binlog.Binlog.end_iteration = turn
sys.exit(cli.main(["busy", *sys.argv[1:]]))
"""


@pytest.mark.sources
def test_the_loop_does_not_sleep_while_compaction_has_more_to_do(launch: Start, log: str) -> None:
    daemon = launch("-b", log, program=(sys.executable, "-c", ALWAYS_MORE))
    assert daemon.wait_end() == 0


def test_who_asks_for_much_does_not_keep_others_waiting(start: Start) -> None:
    """However fast it takes its replies: each turn it gets so many, then the next one is served."""
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


NEWS_BEFORE_SERVING = """
import os, signal, sys, threading, time
from beanstalkd_py import cli
from beanstalkd_py.binlog import opening
from beanstalkd_py.server import server

opened = opening.open_binlog
serve = server.Server.serve

def wait_for(happens):
    give_up_at = time.monotonic() + 10
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


def test_what_the_log_prepared_before_the_loop_ran_is_known(launch: Start, log: str) -> None:
    """Otherwise the first put prepares it once more, on the loop."""
    daemon = launch("-b", log, program=(sys.executable, "-c", NEWS_BEFORE_SERVING))
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


def test_what_a_start_has_compacted_is_synced_though_nobody_says_anything(
    start: Start, log: str
) -> None:
    """Law 3: within the window, also without traffic. What shows it is that the segment goes which
    is not needed any more.
    """
    many_dead(log, 1 << 16)
    start("-b", log, "-s", "65536", "-f", "50")
    wait_until(lambda: "00000001.wal" not in os.listdir(log), "the oldest segment is gone")


def claimed(directory: str) -> int:
    """Up to which LSN the log says that it is durable."""
    replay = wal.Replay(directory)
    assert len(list(replay)) > 0
    return replay.watermark


def test_an_idle_log_says_that_it_is_durable_however_long_the_window(
    start: Start, log: str
) -> None:
    """Law 5. Half a second after the last command nothing is synced yet: one must look again."""
    start("-b", log, "-f", "1600").client().put()
    wait_until(lambda: claimed(log) == 1, "the put is claimed")


def test_a_delay_ends_for_who_waits_though_nobody_says_anything(start: Start) -> None:
    """Law 8: timers and commands go by one clock, the monotonic one."""
    daemon = start()
    daemon.client().say(b"put 0 1 60 1\r\nx\r\n")
    assert daemon.client().ask(b"reserve\r\n") == b"RESERVED 1 1\r\nx\r\n"
