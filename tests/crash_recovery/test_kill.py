"""SIGKILL at any time: no acknowledged put is lost, no acknowledged delete undone, no job altered,
no id reused.
"""

from __future__ import annotations

import beanstalkd_wal as wal
import pytest
from killtest.conversation import Conversation, put
from killtest.directory import segments, sizes
from killtest.kill_points import AT_START, LOAD, TAKING_OVER, UNDER_LOAD, after, at, compacting
from killtest.life import Life
from killtest.mix import Mix
from killtest.rounds import Rounds
from testkit.c_server import find_c_server
from testkit.daemon import Daemon
from testkit.waiting import HANG_S, wait_until


def test_life_with_every_kill_point(daemon, seed):
    """Each kill point once, fifty connections: the short form of `make killtest`."""
    lines = []
    life = Life(daemon, 2 * seed, None, say=lines.append)
    life.rounds.least_answers = 600
    life.run(len(UNDER_LOAD) + len(AT_START) + 3)
    assert life.rounds.knowledge.answers > 5_000, lines
    assert sum(life.rounds.kill_points.values()) >= 9 + len(AT_START), lines


def test_each_kill_point_under_load_is_reached(daemon, seed):
    rounds = Rounds(daemon, seed, Mix(jobs=1000))
    rounds.round(("-s", "65536"), compacting(rounds.rng, HANG_S))
    for name in UNDER_LOAD:
        rounds.round(("-s", "65536"), at(name, rounds.rng, HANG_S))
    assert rounds.kill_points == dict.fromkeys(["compaction", *UNDER_LOAD], 1)


def test_take_over_is_killed_at_each_stage(daemon, seed):
    c_server = find_c_server()
    assert c_server, "beanstalkd is not installed (Debian: apt-get install beanstalkd)"
    life = Life(daemon, 2 * seed + 1, c_server)
    life.run(0)
    # All files may have been moved before the kill.
    assert TAKING_OVER.keys() - {"import: moving"} <= life.rounds.kill_points.keys()


def test_timeout_counts_survive_sigkill(daemon, seed):
    """These rounds last until some TTRs have ended."""
    rounds = Rounds(daemon, seed, Mix(jobs=500, short_ttr=0.5, give_away_rate=0.02))
    for _ in range(2):
        rounds.round(("-s", "65536"), timed_out)
    assert any(job.start.timeouts for job in rounds.knowledge.jobs.values())


def timed_out(daemon: Daemon) -> str:
    """A kill point."""
    with Conversation(daemon.connect()) as client:
        wait_until(lambda: int(client.stats()["job-timeouts"]) > 20, "jobs time out")
    daemon.kill()
    return LOAD


def test_sigterm_under_load_completes_everything(daemon, seed):
    rounds = Rounds(daemon, seed)
    statuses = []
    for _ in range(2):
        rounds.round(("-s", "131072"), after(0.2, lambda daemon: statuses.append(daemon.stop())))
    assert statuses == [0, 0]


@pytest.mark.parametrize("end", [Daemon.kill, Daemon.stop])
def test_ids_are_not_reused_after_all_jobs_are_deleted(daemon, directory, end):
    """No record contains the last id any more; only the segment headers do."""
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
