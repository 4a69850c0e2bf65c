"""A power failure of a real file system, ext4. The log ends at an earlier moment, and the server
starts: with -f0 everything that was answered is there, with -F all but the active segment. No id
is assigned again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from killtest.conversation import Conversation, put
from killtest.ext4_disk import Ext4Disk

MIB = 1 << 20
SEGMENT = 65536
BODY = 300
BATCH = 20
BATCHES = {"-F": 300, "-f0": 100}  # with -F, about 35 segments


class Work:
    """Puts and deletes of one client. `changes` has their ids in order: a put, later a delete."""

    def __init__(self, client: Conversation, seed: int) -> None:
        self.changes: list[int] = []
        self._client = client
        self._rng = random.Random(seed)

    def do(self, batches: int) -> None:
        live: list[int] = []
        for _ in range(batches):
            live += [reply.id for reply in self._client.ask(*[put(bytes(BODY))] * BATCH)]
            self.changes += live[-BATCH:]
            self._rng.shuffle(live)
            deleted = [live.pop() for _ in range(BATCH - 1)]
            replies = self._client.ask(*[b"delete %d" % id for id in deleted])
            assert {str(reply) for reply in replies} == {"DELETED"}
            self.changes += deleted

    def lost(self, found: set[int]) -> list[int]:
        """The latest changes, without which exactly the jobs that were found exist."""
        different = set(found)
        kept = 0 if not found else -1
        for number, id in enumerate(self.changes, 1):
            different ^= {id}
            if not different:
                kept = number
        assert kept >= 0, "the log does not end at an earlier moment"
        return self.changes[kept:]


def existing(client: Conversation, until: int) -> Iterator[int]:
    ids = range(1, until)
    for id, reply in zip(ids, client.ask(*[b"peek %d" % id for id in ids]), strict=True):
        if reply.words[0] == b"FOUND":
            yield id


@pytest.mark.parametrize("mode", BATCHES)
def test_power_failure_takes_at_most_what_the_mode_allows(ext4_disk, seed, mode):
    disk: Ext4Disk = ext4_disk(64 * MIB)
    with disk.daemon("-s", str(SEGMENT), mode) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            work = Work(client, seed)
            work.do(BATCHES[mode])
            disk.cut_power()
        daemon.kill()
        disk.restore_power()
        daemon.start()
        if mode == "-F":
            (line,) = daemon.errors().splitlines()
            assert "the changes after LSN" in line or "were never promised" in line
        with Conversation(daemon.connect()) as client:
            found = set(existing(client, BATCHES[mode] * BATCH + 1))
            (inserted,) = client.ask(put(b""))
        assert inserted.id > max(work.changes)
        lost = work.lost(found)
        assert BODY * len(lost) <= (2 * SEGMENT if mode == "-F" else 0), f"seed {seed}"
