"""The turn of the loop."""

from __future__ import annotations

import sys

from tests.beanstalkd_py.conftest import Start

ALWAYS_MORE = """
import os, signal, sys
from beanstalkd_py import binlog, cli

turns = 0

def turn(self, now, wall):
    global turns
    turns += 1
    if turns == 2000:
        os.kill(os.getpid(), signal.SIGTERM)
    return turns < 2000

binlog.Binlog.busy = property(lambda self: True)
binlog.Binlog.turn = turn
sys.exit(cli.main(["busy", *sys.argv[1:]]))
"""


def test_the_loop_does_not_sleep_while_compaction_has_more_to_do(launch: Start, log: str) -> None:
    daemon = launch("-b", log, program=(sys.executable, "-c", ALWAYS_MORE))
    assert daemon.ended() == 0
