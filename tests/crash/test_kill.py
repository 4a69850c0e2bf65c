"""SIGKILL at any moment: no acknowledged put lost, no acknowledged delete undone, no job altered, no id given twice."""

from __future__ import annotations

import pytest
from crash.conversation import Conversation, put
from crash.daemon import Daemon
from crash.directory import await_that, sizes
from crash.mix import Mix
from crash.rounds import Rounds

import wal


@pytest.mark.timeout(120)
def test_twenty_rounds_of_sigkill_under_mixed_load_at_fifty_connections(daemon, seed):
    rounds = Rounds(daemon, seed)
    for _ in range(20):
        rounds.run(1)
        assert not rounds.refused, f"seed {seed}"
    assert rounds.world.answers > 10_000, f"seed {seed}"


def test_what_had_been_told_about_timeouts_stands_after_sigkill(daemon, seed):
    """The only rounds that last longer than a TTR."""
    rounds = Rounds(daemon, seed, Mix(jobs=500, short_ttr=0.5, haste=0.02))
    for _ in range(2):
        rounds.round(("-s", "65536"), 2.0)
    assert any(job.start.timeouts for job in rounds.world.jobs.values())


def test_sigterm_under_load_leaves_nothing_half_done(daemon, seed):
    rounds = Rounds(daemon, seed)
    statuses = []
    for _ in range(2):
        rounds.round(("-s", "131072"), 0.2, lambda daemon: statuses.append(daemon.stop()))
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
            await_that(lambda: len(list(directory.glob("*.wal"))) == 1, lambda: sizes(directory))
        end(daemon)
        assert not [frame for frame in wal.Replay(directory) if frame.records]
