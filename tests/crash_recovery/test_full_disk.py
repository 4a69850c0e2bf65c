"""A disk that is really full: puts are refused, everything else goes on, nothing is stranded, and
puts go on when there is room (law 4).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from killtest.conversation import Conversation, batches, put
from killtest.directory import sizes
from killtest.mix import Mix
from killtest.moments import after
from killtest.rounds import Rounds
from killtest.smalldisk import Neighbour, SmallDisk
from testkit.daemon import Daemon
from testkit.waiting import wait_until

MIB = 1 << 20
LATER_S = 100_000
BATCH = 500


def fill(client: Conversation, body_bytes: int) -> list[int]:
    """Puts until they are refused. Returns the ids."""
    count = max(1, min(200, 500_000 // body_bytes))
    ids: list[int] = []
    while True:
        found = [
            reply.id
            for reply in client.ask(*[put(random.randbytes(body_bytes))] * count)
            if str(reply) != "OUT_OF_MEMORY"
        ]
        ids += found
        if len(found) < count:
            return ids


def spares(disk: SmallDisk) -> list[str]:
    return [name for name in sizes(disk.path / "log") if name.startswith("spare.")]


def each(client: Conversation, ids: Iterable[int], *commands: bytes) -> Counter[bytes]:
    """The commands for every job, and how often each first word came back."""
    words: Counter[bytes] = Counter()
    for batch in batches(
        (command % id if b"%d" in command else command for id in ids for command in commands), BATCH
    ):
        words.update(reply.words[0] for reply in client.ask(*batch))
    return words


# What can be done to a ready job, after which it is ready again, and what must be said.
CYCLE = (
    ((b"reserve-job %d", b"RESERVED"), (b"release %%d 7 %d" % LATER_S, b"RELEASED")),
    ((b"reserve-job %d", b"RESERVED"), (b"touch %d", b"TOUCHED"), (b"release %d 8 0", b"RELEASED")),
    (
        (b"reserve-job %d", b"RESERVED"),
        (b"bury %d 9", b"BURIED"),
        (b"pause-tube default 1000", b"PAUSED"),
    ),
    ((b"kick-job %d", b"KICKED"), (b"pause-tube default 0", b"PAUSED"), (b"stats-job %d", b"OK")),
)


def go_round(client: Conversation, ids: list[int]) -> None:
    """Everything but put, with all jobs."""
    for steps in CYCLE:
        expected = Counter(dict.fromkeys((word for _, word in steps), len(ids)))
        assert each(client, ids, *[command for command, _ in steps]) == expected
    client.ask(b"stats", b"stats-tube default")


def assert_put_works(client: Conversation, body: bytes = b"room again") -> None:
    """Soon. body: such a one as was refused; a short one may be taken before the server knows that
    there is room.
    """

    def works() -> bool:
        (reply,) = client.ask(put(body))
        if reply.words[0] == b"INSERTED":
            client.ask(b"delete %d" % reply.id)
        return reply.words[0] == b"INSERTED"

    wait_until(works, lambda: "puts are still refused")


def jobs(client: Conversation) -> int:
    stats = client.stats()
    return sum(
        int(stats[f"current-jobs-{where}"]) for where in ("ready", "reserved", "delayed", "buried")
    )


@pytest.mark.parametrize(
    ("disk_bytes", "segment_bytes", "body_bytes"),
    [(3 * MIB, MIB // 4, 100), (24 * MIB, MIB, 60_000), (40 * MIB, 10 * MIB, 5_000)],
    ids=["many small jobs", "few large jobs", "segments of 10 MiB"],
)
def test_everything_but_put_goes_on(small_disk, disk_bytes, segment_bytes, body_bytes):
    disk = small_disk(disk_bytes)
    with disk.daemon("-s", str(segment_bytes)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = fill(client, body_bytes)
            assert len(ids) * body_bytes > disk_bytes // 4
            for _ in range(2):
                go_round(client, ids)
            more = fill(client, body_bytes)  # what a little less waste has room for
            assert len(more) <= len(ids) // 20
            ids += more
        daemon.kill()
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert jobs(client) == len(ids)
            go_round(client, ids)
            assert each(client, ids[::2], b"delete %d") == {b"DELETED": len(ids[::2])}
            assert_put_works(client)
            go_round(client, ids[1::2])
            assert each(client, ids[1::2], b"delete %d") == {b"DELETED": len(ids[1::2])}
            assert_put_works(client)
            wait_until(
                lambda: sum(sizes(disk.path / "log").values()) <= 2 * segment_bytes,
                lambda: sizes(disk.path / "log"),
            )
        assert daemon.stop() == 0


def test_half_of_the_jobs_deleted_is_half_of_the_jobs_put_anew(small_disk):
    disk = small_disk(12 * MIB)
    with disk.daemon("-s", str(MIB)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = fill(client, 1000)
            for _ in range(3):
                gone, ids = ids[::2], ids[1::2]
                each(client, gone, b"delete %d")
                wanted = len(ids) + 0.9 * len(gone)
                wait_until(
                    lambda ids=ids, wanted=wanted: (
                        ids.extend(fill(client, 1000)) or len(ids) > wanted
                    ),
                    lambda: "too few puts",
                    10,
                )


def test_somebody_else_fills_the_disk(small_disk):
    disk = small_disk(24 * MIB)
    with disk.daemon("-s", str(MIB)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = [reply.id for reply in client.ask(*[put(bytes(1000))] * 10)]
            wait_until(lambda: disk.fill() == 0, lambda: disk.free_bytes)
            ids += fill(client, 100)
            for _ in range(20 if len(ids) < 1000 else 3):
                go_round(client, ids)
        daemon.kill()
        disk.fill()
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert jobs(client) == len(ids)
            go_round(client, ids)
            assert client.say(put(bytes(60_000))) == ["OUT_OF_MEMORY"]
            disk.free()
            assert_put_works(client, bytes(60_000))
            assert len(fill(client, 1000)) > 10_000


def test_start_on_a_full_disk_after_a_clean_stop(small_disk):
    disk = small_disk(24 * MIB)
    with disk.daemon("-s", str(MIB)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = [reply.id for reply in client.ask(*[put(bytes(1000))] * 1000)]
        assert daemon.stop() == 0
        for _ in range(5):
            daemon.start()
            with Conversation(daemon.connect()) as client:
                assert jobs(client) == len(ids)
                go_round(client, ids)
            assert daemon.stop() == 0
            disk.fill()


def test_sigkill_under_mixed_load_while_the_disk_is_filled_and_freed(small_disk, seed):
    """Nothing but a put is ever refused, and nothing that was answered is lost."""
    disk = small_disk(8 * MIB)
    chance = random.Random(seed)
    refused = 0

    def end(daemon: Daemon) -> None:
        neighbour.stop()
        daemon.kill()

    with disk.daemon() as daemon:
        rounds = Rounds(daemon, seed, Mix(jobs=10_000, usual=500))
        options = ("-s", str(chance.choice((262144, MIB))))
        daemon.start(options)
        wait_until(lambda: len(spares(disk)) > 0, lambda: sizes(disk.path / "log"))
        for number in range(6):
            neighbour = Neighbour(disk, seed + number).start()
            rounds.round(options, after(0.3 + 0.5 * chance.random(), end))
            refused += rounds.refused
    assert refused, f"seed {seed}"
