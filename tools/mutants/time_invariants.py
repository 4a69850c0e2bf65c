"""Mutants of the clocks: suspension, wrong wall clocks, clocks out of range."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import SIMULATION, Mutant

TIME = (
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "suspension-not-counted",
        "instants in memory do not count the time in which the machine is suspended",
        "beanstalkd_py/host/clock.py",
        "partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)",
        "partial(time.clock_gettime_ns, time.CLOCK_MONOTONIC)",
        ("tests/server/test_server_clock.py -k suspension_counts",),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "timer-as-long-as-the-delay",
        "the loop does not look at the clock before a timer is due",
        "beanstalkd_py/server/server.py",
        "    return min(max(left_ns / 1e9, 0.0), WAIT_MAX_S)\n",
        "    return max(left_ns / 1e9, 0.0)\n",
        ("tests/server/test_server_clock.py -k looks_at_the_clock",),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "restored-delay-not-limited",
        "a restored delay may be longer than the whole delay",
        "beanstalkd_py/binlog/replay.py",
        "            return state, min(deadline_at - self.offset, self.now + delay)\n",
        "            return state, deadline_at - self.offset\n",
        ("tests/binlog/test_clocks.py -k whole_length", SIMULATION),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "restored-pause-not-limited",
        "a restored pause may be longer than the whole pause",
        "beanstalkd_py/binlog/replay.py",
        "min(pause.until - self.offset, self.now + pause.pause) or -1",
        "pause.until - self.offset or -1",
        ("tests/binlog/test_clocks.py -k whole_length", SIMULATION),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "frame-without-early-times",
        "a frame cannot hold a time before 1970",
        "wal/beanstalkd_wal/format.py",
        '_BODY = struct.Struct("<QQqIIII")',
        '_BODY = struct.Struct("<QQQIIII")',
        ("tests/wal/test_format.py -k any_wall_time", SIMULATION),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "put-fails-on-a-far-clock",
        "a put whose instants do not fit into 64 bits ends the server",
        "beanstalkd_py/binlog/journal.py",
        "        except StructError:  # the wall clock is far ahead\n",
        "        except ZeroDivisionError:\n",
        ("tests/binlog/test_clocks.py -k far_clock", SIMULATION),
    ),
    Mutant(
        Invariant.IDS_ARE_NEVER_REUSED,
        "large-ids-not-counted",
        "ids beyond the plausible ones do not count, even if they follow the highest one",
        "beanstalkd_py/binlog/replay.py",
        "        if id < MAX_PLAUSIBLE_ID or id - self.highest_id < IDS_IN_SEQUENCE:\n",
        "        if id < MAX_PLAUSIBLE_ID:\n",
        ("tests/binlog/test_clocks.py -k plausible",),
    ),
)
