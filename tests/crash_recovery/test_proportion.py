"""The disk stays in proportion: at most 2 x live bytes + 2 segments after compaction."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from killtest.conversation import Conversation, batches, put
from killtest.directory import PeakSize, sizes, total
from testkit.daemon import Daemon
from testkit.waiting import wait_until

from beanstalkd_py.binlog.records import FULL_STRUCT

MIB = 1 << 20
LENGTH_FIELD = 4
RELEASES = 20_000
PAIRS = 200_000
BATCH = 20_000


def live_bytes(jobs: Iterable[bytes], tube: str = "default") -> int:
    """The size of the latest records of jobs with these bodies."""
    return sum(FULL_STRUCT.size + LENGTH_FIELD + len(tube) + len(body) for body in jobs)


def wait_for_proportion(
    directory: str | Path, segment_bytes: int, bodies: Sequence[bytes] = ()
) -> None:
    most = 2 * live_bytes(bodies) + 2 * segment_bytes
    wait_until(
        lambda: total(directory) <= most,
        lambda: f"{total(directory)} bytes instead of {most}: {sizes(directory)}",
    )


def release_with_delay(client: Conversation, id: int, body: bytes, times: int) -> None:
    sent = b"reserve-job %d\r\nrelease %d 5 1000\r\n" % (id, id)
    expected = b"RESERVED %d %d\r\n%b\r\nRELEASED\r\n" % (id, len(body), body)
    for _ in range(times // BATCH):
        client.expect(sent * BATCH, expected * BATCH)


def put_and_delete(client: Conversation, first: int, pairs: int) -> None:
    """Pipelined, so the ids are predicted."""
    for start in range(first, first + pairs, BATCH):
        ids = range(start, start + BATCH)
        client.expect(
            b"".join([b"put 0 0 60 4\r\nshrt\r\ndelete %d\r\n" % id for id in ids]),
            b"".join([b"INSERTED %d\r\nDELETED\r\n" % id for id in ids]),
        )


def bury(client: Conversation, bodies: Sequence[bytes]) -> list[int]:
    ids = [reply.id for reply in client.ask(*[put(body) for body in bodies])]
    for batch in batches((b"reserve-job %d" % id for id in ids), 50):
        client.ask(*batch)
    assert set(client.say(*[b"bury %d 0" % id for id in ids])) == {"BURIED"}
    return ids


@pytest.mark.parametrize("segment_bytes", [MIB, 10 * MIB], ids=["1 MiB", "10 MiB"])
def test_compaction_with_old_live_jobs(daemon, segment_bytes):
    """The live jobs are older than all others, and only their latest records are needed."""
    body = b"the job that is released"
    old = [b"%d" % number * 50 for number in range(400)]
    pairs = PAIRS if segment_bytes == MIB else PAIRS // 10
    daemon.options = ("-s", str(segment_bytes))
    daemon.start()
    with PeakSize(daemon.directory) as high_water:
        with Conversation(daemon.connect()) as client:
            (reply,) = client.ask(put(body))
            release_with_delay(client, reply.id, body, RELEASES)
            wait_for_proportion(daemon.directory, segment_bytes, [body])
            buried = bury(client, old)
            put_and_delete(client, buried[-1] + 1, pairs)
            wait_for_proportion(daemon.directory, segment_bytes, [body, *old])
        assert daemon.stop() == 0
        assert total(daemon.directory) <= 2 * live_bytes([body, *old]) + 2 * segment_bytes
        daemon.start()
        wait_for_proportion(daemon.directory, segment_bytes, [body, *old])
        with Conversation(daemon.connect()) as client:
            stats = client.stats()
            assert (stats["current-jobs-buried"], stats["current-jobs-delayed"]) == ("400", "1")
            assert client.stats(b"stats-job %d" % reply.id)["releases"] == str(RELEASES)
            assert set(client.say(*[b"delete %d" % id for id in (reply.id, *buried)])) == {
                "DELETED"
            }
            wait_for_proportion(daemon.directory, segment_bytes)
    # During the test: what the client writes until segments are deleted. It would be 20 MB without
    # compaction.
    assert high_water.nbytes <= 2 * live_bytes([body, *old]) + 2 * segment_bytes + 12 * MIB, (
        high_water.sizes
    )


@pytest.mark.parametrize("segment_bytes", [65536, 131072])
def test_idle_server_is_in_proportion_at_any_time(daemon, segment_bytes, seed):
    """Jobs are put, changed and deleted at random. Whenever this stops, the limit holds soon."""
    rng = random.Random(seed)
    daemon.options = ("-s", str(segment_bytes))
    daemon.start()
    jobs: dict[int, bytes] = {}
    with Conversation(daemon.connect()) as client:
        for _ in range(25):
            wanted = rng.choice((0, 1, 20, 100, 500, 2000))
            for _ in range(rng.randrange(1, 12)):
                change_some_jobs(client, rng, jobs, wanted)
            try:
                wait_for_proportion(daemon.directory, segment_bytes, list(jobs.values()))
            except AssertionError as error:
                raise AssertionError(f"CRASH_SEED={seed}: {error}") from error


def change_some_jobs(
    client: Conversation, rng: random.Random, jobs: dict[int, bytes], wanted: int
) -> None:
    """Up to two hundred puts, releases and deletes."""
    gone = [
        id
        for id in rng.sample(list(jobs), min(200, len(jobs)))
        if len(jobs) > wanted or rng.random() < 0.3
    ]
    assert set(client.say(*[b"delete %d" % id for id in gone])) <= {"DELETED"}
    for id in gone:
        del jobs[id]
    bodies = [
        rng.randbytes(rng.choice((0, 10, 100, 1000))) for _ in range(min(200, wanted - len(jobs)))
    ]
    jobs.update(zip((reply.id for reply in client.ask(*map(put, bodies))), bodies, strict=True))
    changed = rng.sample(list(jobs), min(100, len(jobs)))
    client.ask(
        *[command % id for id in changed for command in (b"reserve-job %d", b"release %d 1 1000")]
    )


def test_directory_of_an_idle_server_is_small(daemon: Daemon):
    daemon.start()
    wait_for_proportion(daemon.directory, 10 * MIB)
