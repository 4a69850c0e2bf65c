"""SIGKILL at any moment: no acknowledged put lost, no acknowledged delete undone, no job altered,
no id given twice.
"""

from __future__ import annotations

import beanstalkd_wal as wal
import pytest
from killtest.conversation import Conversation, put
from killtest.directory import segments, sizes
from killtest.lives import Life
from killtest.mix import Mix
from killtest.moments import AT_START, TAKING_OVER, UNDER_LOAD, after, at, compacting
from killtest.rounds import Rounds
from testkit.c_server import find_c_server
from testkit.daemon import Daemon
from testkit.waiting import wait_until


@pytest.mark.timeout(180)
def test_a_life_of_nine_rounds_of_sigkill_at_fifty_connections(daemon, seed):
    """Each moment once: the short form of `make killtest`."""
    lines = []
    life = Life(daemon, 2 * seed, None, say=lines.append)
    life.run(len(UNDER_LOAD) + len(AT_START) + 3)
    assert life.rounds.world.answers > 5_000, lines
    assert sum(life.rounds.moments.values()) >= 9 + len(AT_START), lines


@pytest.mark.parametrize("name", ["compaction", *UNDER_LOAD])
def test_each_moment_under_load_comes(daemon, seed, name):
    rounds = Rounds(daemon, seed, Mix(jobs=1000))
    rounds.round(
        ("-s", "65536"),
        compacting(rounds.chance) if name == "compaction" else at(name, rounds.chance),
    )
    assert rounds.moments == {name: 1}


def test_a_take_over_killed_at_each_of_its_stages(daemon, seed):
    c_server = find_c_server()
    assert c_server, "beanstalkd is not installed (Debian: apt-get install beanstalkd)"
    life = Life(daemon, 2 * seed + 1, c_server)
    life.run(0)
    # The files may all be moved before the kill comes.
    assert TAKING_OVER.keys() - {"import: moving"} <= life.rounds.moments.keys()


def test_what_had_been_told_about_timeouts_stands_after_sigkill(daemon, seed):
    """The only rounds that last longer than a TTR."""
    rounds = Rounds(daemon, seed, Mix(jobs=500, short_ttr=0.5, haste=0.02))
    for _ in range(2):
        rounds.round(("-s", "65536"), after(2.0))
    assert any(job.start.timeouts for job in rounds.world.jobs.values())


def test_sigterm_under_load_leaves_nothing_half_done(daemon, seed):
    rounds = Rounds(daemon, seed)
    statuses = []
    for _ in range(2):
        rounds.round(("-s", "131072"), after(0.2, lambda daemon: statuses.append(daemon.stop())))
    assert statuses == [0, 0]


@pytest.mark.parametrize("end", [Daemon.kill, Daemon.stop])
def test_no_id_is_given_twice_though_nothing_is_left_of_the_jobs(daemon, directory, end):
    """Not a record speaks of the last id any more, only the segments' headers do."""
    daemon.options = ("-s", "65536")
    last = 0
    for _ in range(2):
        daemon.start()
        with Conversation(daemon.connect()) as client:
            given = [reply.id for reply in client.ask(*[put(bytes(100))] * 1000)]
            assert given == list(range(last + 1, last + 1001))
            last = given[-1]
            assert set(client.say(*[b"delete %d" % id for id in given])) == {"DELETED"}
        for _ in range(2):
            end(daemon)
            daemon.start()
            wait_until(lambda: len(segments(directory)) == 1, lambda: sizes(directory))
        end(daemon)
        assert not [frame for frame in wal.Replay(directory) if frame.records]
