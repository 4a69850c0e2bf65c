"""A real full disk: puts are refused, all other commands work, and puts work again once there is
free space.
"""

from __future__ import annotations

import random
import re
import resource
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from killtest.conversation import Conversation, batches, put
from killtest.directory import sizes
from killtest.kill_points import after
from killtest.mix import Mix
from killtest.rounds import Rounds
from killtest.small_disk import DiskFiller, SmallDisk
from testkit.daemon import Daemon, DidNotStart
from testkit.waiting import wait_until

MIB = 1 << 20
LATER_S = 100_000
BATCH = 500


def fill(client: Conversation, body_bytes: int) -> list[int]:
    """Puts jobs until they are refused. Returns the ids."""
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
    """Sends the commands for every job, and counts the first words of the replies."""
    words: Counter[bytes] = Counter()
    for batch in batches(
        (command % id if b"%d" in command else command for id in ids for command in commands), BATCH
    ):
        words.update(reply.words[0] for reply in client.ask(*batch))
    return words


# Commands for a ready job with the expected replies. In the end the job is ready again.
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


def use_all_jobs(client: Conversation, ids: list[int]) -> None:
    """All commands except put, with all jobs."""
    for steps in CYCLE:
        expected = Counter(dict.fromkeys((word for _, word in steps), len(ids)))
        assert each(client, ids, *[command for command, _ in steps]) == expected
    client.ask(b"stats", b"stats-tube default")


def assert_put_works(client: Conversation, body: bytes = b"free again") -> None:
    """Puts are accepted soon.

    body: as large as a refused one. A short body may be accepted before the server notices the
    free space.
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
    [(3 * MIB, MIB // 4, 300), (24 * MIB, MIB, 60_000), (40 * MIB, 10 * MIB, 5_000)],
    ids=["many small jobs", "few large jobs", "segments of 10 MiB"],
)
def test_all_commands_except_put_work_on_a_full_disk(
    small_disk, disk_bytes, segment_bytes, body_bytes
):
    disk = small_disk(disk_bytes)
    with disk.daemon("-s", str(segment_bytes)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = fill(client, body_bytes)
            assert len(ids) * body_bytes > disk_bytes // 4
            for _ in range(2):
                use_all_jobs(client, ids)
            more = fill(client, body_bytes)  # compaction may free a little space
            assert len(more) <= len(ids) // 20
            ids += more
        daemon.kill()
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert jobs(client) == len(ids)
            use_all_jobs(client, ids[::4])
            assert each(client, ids[::2], b"delete %d") == {b"DELETED": len(ids[::2])}
            assert_put_works(client)
            use_all_jobs(client, ids[1::8])
            assert each(client, ids[1::2], b"delete %d") == {b"DELETED": len(ids[1::2])}
            assert_put_works(client)
            wait_until(
                lambda: sum(sizes(disk.path / "log").values()) <= 2 * segment_bytes,
                lambda: sizes(disk.path / "log"),
            )
        assert daemon.stop() == 0


def test_deleted_jobs_make_room_for_as_many_puts(small_disk):
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
                )


def test_disk_filled_by_another_process(small_disk):
    disk = small_disk(12 * MIB)
    with disk.daemon("-s", str(MIB // 2)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = [reply.id for reply in client.ask(*[put(bytes(1000))] * 10)]
            wait_until(lambda: disk.fill() == 0, lambda: disk.free_bytes)
            ids += fill(client, 100)
            for _ in range(20 if len(ids) < 1000 else 3):
                use_all_jobs(client, ids)
        daemon.kill()
        disk.fill()
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert jobs(client) == len(ids)
            use_all_jobs(client, ids)
            assert client.say(put(bytes(60_000))) == ["OUT_OF_MEMORY"]
            disk.free()
            assert_put_works(client, bytes(60_000))
            assert len(fill(client, 1000)) > 5_000


def test_start_on_a_full_disk_after_a_clean_stop(small_disk):
    disk = small_disk(24 * MIB)
    with disk.daemon("-s", str(MIB)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = [reply.id for reply in client.ask(*[put(bytes(1000))] * 1000)]
        assert daemon.stop() == 0
        for _ in range(3):
            daemon.start()
            with Conversation(daemon.connect()) as client:
                assert jobs(client) == len(ids)
                use_all_jobs(client, ids)
            assert daemon.stop() == 0
            disk.fill()


def test_sigkill_under_load_on_a_disk_filled_and_freed(small_disk, seed):
    """Only puts are refused, and nothing with a reply is lost."""
    disk = small_disk(8 * MIB)
    rng = random.Random(seed)
    refused = 0

    def end(daemon: Daemon) -> None:
        filler.stop()
        daemon.kill()

    with disk.daemon() as daemon:
        rounds = Rounds(daemon, seed, Mix(jobs=10_000, typical=500))
        options = ("-s", str(rng.choice((262144, MIB))))
        daemon.start(options)
        wait_until(lambda: len(spares(disk)) > 0, lambda: sizes(disk.path / "log"))
        for number in range(3):
            filler = DiskFiller(disk, seed + number).start()
            rounds.round(options, after(0.3 + 0.5 * rng.random(), end))
            refused += rounds.refused
    assert refused, f"seed {seed}"


# --- what the operator hears


def test_small_file_system_gets_smaller_segments(small_disk):
    """With the default of -s, the headroom that puts must leave would be more than this disk."""
    disk = small_disk(12 * MIB)
    with disk.daemon() as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = fill(client, 10_000)
            assert len(ids) * 10_000 > 3 * MIB
            wait_until(lambda: "refused" in daemon.errors(), daemon.errors)
            use_all_jobs(client, ids[:100])
        small, refused = daemon.errors().splitlines()
        log = f"{daemon.program[0]}: {daemon.directory}"
        assert small.startswith(f"{log}: segments of {3 * MIB} bytes instead of {10 * MIB} (-s): ")
        assert refused == (
            f"{log}: puts are refused: No space left on device; free some space, or delete jobs"
        )
        assert daemon.stop() == 0


# --- the limit on the size of files


def limit_files(nbytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, nbytes))


def test_put_above_the_limit_of_file_sizes_is_refused(directory):
    """EFBIG is a full disk: no signal (SIGXFSZ), no exit, and other puts go on."""
    with Daemon(("-z", "20000000"), directory=directory, before=limit_files(10 * MIB)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert client.say(put(bytes(12_000_000)), put(b"small")) == [
                "OUT_OF_MEMORY",
                "INSERTED 2",
            ]
        assert daemon.stop() == 0
        assert "puts are refused: File too large" in daemon.errors()
        # After more than five seconds they were accepted again.
        assert re.search(": 1 put was refused until the stop|; 1 was refused", daemon.errors())


def test_limit_of_file_sizes_below_a_segment_gives_smaller_segments(directory):
    with Daemon(directory=directory, before=limit_files(MIB)) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert set(client.say(*[put(bytes(60_000))] * 60)) == {
                f"INSERTED {id}" for id in range(1, 61)
            }
        daemon.kill()
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert jobs(client) == 60
        assert daemon.stop() == 0
        assert daemon.errors() == (
            f"beanstalkd-py: {directory}: segments of {MIB} bytes instead of {10 * MIB} (-s): "
            "the limit on the size of files (ulimit -f) is low\n"
        )


def test_limit_of_file_sizes_too_low_to_start_is_one_line(directory):
    with (
        Daemon(directory=directory, before=limit_files(1000)) as daemon,
        pytest.raises(DidNotStart) as caught,
    ):
        daemon.start()
    assert caught.value.status == 1
    assert caught.value.said.splitlines()[-1].endswith(
        "File too large; raise the limit on the size of files (LimitFSIZE, ulimit -f)"
    )
