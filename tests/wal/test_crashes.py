"""A simulation: random use of a log, ended by kills and crashes of the machine at any call, again and again.

What must hold, whatever the dice say: every record that was promised (and not dropped) comes back, unaltered and in order; nothing is called
corrupt; a drop that was reported stays done; recovery can be repeated. A log that is never synced has no promises that outlast a crash, but what
it comes back with was once written; it relies on names to change in order. Each seed is a run of its own: SEEDS=1000 for more of them,
SEED=17 for one of them again.
"""

from __future__ import annotations

import errno
import os
from random import Random

import pytest
from simulation.disk import MemoryDisk

import wal
from tests.wal.logs import DIRECTORY, NEVER, SYNC, WINDOW, replayed
from wal.directory import OVERHEAD
from wal.reader import read_header

SEEDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("SEEDS", "120")))
MODES = {"sync": [SYNC], "window": [WINDOW], "never": [NEVER], "mixed": [SYNC, WINDOW, NEVER]}
SEGMENT = 6000


class PowerFailure(BaseException):
    """Not an Exception: nothing in the log may catch it."""


class Simulation:
    def __init__(self, seed: int, durabilities: list[wal.Durability]) -> None:
        self.rng = Random(seed)
        self.durabilities = durabilities
        self.disk = MemoryDisk(seed)
        self.given: dict[int, bytes] = {}  # LSN -> record
        self.ever: set[tuple[int, bytes]] = set()  # also those that were lost
        self.bases: dict[int, int] = {}  # segment -> its first LSN
        self.promised = 0  # survives a kill
        self.durable = 0  # survives a crash
        self.may_be_gone = 1  # LSNs below this were dropped
        self.are_gone = 1  # LSNs below this were reported as dropped
        self.unsynced = False  # since a life that never synced
        self.trace: list[str] = []

    def run(self, lives: int) -> None:
        for _ in range(lives):
            self.durability = self.rng.choice(self.durabilities)
            self.arm()
            self.disk.capacity = self.rng.choice((1 << 30, 1 << 30, self.disk.used() + self.rng.randrange(3 * SEGMENT)))
            crashed = self.rng.random() < 0.5
            try:
                self.live()
            except PowerFailure:
                pass
            except wal.LogFailed as failure:  # a start needs some space
                assert failure.errno == errno.ENOSPC and self.trace[-1] == "starts"
            self.disk.capacity = 1 << 30
            try:
                self.end(crashed)
            except (wal.Corrupt, wal.NewerVersion) as damage:
                # The one thing that a log cannot know of a segment whose header is lost, unless its neighbours tell: that it was never synced.
                assert self.unsynced and getattr(damage, "offset", 0) == 0 and damage.path not in self.headers()
                return

    def arm(self) -> None:
        """The lights go out at some call of this life, or at its end."""
        left = self.rng.choice((5, 20, 60, 10**6))
        left = self.rng.randrange(1, left + 1)

        def before(call: str, path: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.trace.append(f"dies in {call} {path}")
                raise PowerFailure

        self.disk.before = before

    def live(self) -> None:
        self.trace.append("starts")
        replay = replayed(self.disk)
        self.unsynced |= self.durability is NEVER
        self.log = wal.Log.open(replay, SEGMENT, self.durability, at=1, threaded=False, meta=lambda: b"%d" % len(self.given))
        self.trace.append(f"opens {self.durability} at {self.log.lsn} in segment {self.log.segment}")
        self.unsynced = self.durability is NEVER
        self.see()
        steps = (self.append, self.append, self.append, self.append, self.commit, self.commit, self.sync, self.claim, self.room, self.drop)
        for _ in range(self.rng.randrange(1, 80)):
            self.rng.choice(steps)()
            self.log.collect()
            self.see()
            assert self.log.room >= 0
        if self.rng.random() < 0.4:
            self.trace.append("closes")
            self.log.close(at=9)
            self.see()

    def see(self) -> None:
        log = self.log
        self.promised = log.promised_lsn
        self.durable = log.durable_lsn
        self.are_gone = max(self.are_gone, self.bases.get(log.oldest, 0))

    # --- what one can do

    def append(self) -> None:
        size = self.rng.choice((0, 1, 30, 200, 600, 2500, 7000))
        record = self.rng.randbytes(min(size, 20)) * (size // 20 + 1)
        try:
            number = self.log.append(record)
        except wal.LogFull:
            return self.room()
        self.given[self.log.lsn] = record
        self.ever.add((self.log.lsn, record))
        self.bases.setdefault(number, self.log.lsn)

    def commit(self) -> None:
        self.log.commit(at=self.rng.randrange(1 << 60))

    def sync(self) -> None:
        self.log.sync(at=2)

    def claim(self) -> None:
        self.log.claim(at=3)

    def room(self) -> None:
        way = self.rng.randrange(4)
        if way == 0:
            self.log.make_room(self.rng.choice((100, 7000)))
        elif way == 1:
            self.log.trim(self.rng.randrange(4 * SEGMENT))
        else:
            self.log.prepare(self.rng.randrange(4 * SEGMENT))

    def drop(self) -> None:
        if self.rng.random() < 0.7:
            return
        before = self.rng.randrange(self.log.oldest, self.log.segment + 1)
        if before in self.bases and not (self.log.pending and before == self.log.segment):
            self.trace.append(f"drops below {before}")
            self.may_be_gone = max(self.may_be_gone, self.bases[before])
            self.log.drop(before)

    # --- what must be true afterwards

    def end(self, crashed: bool) -> None:
        self.trace.append("crashes" if crashed else "is killed")
        self.disk = self.disk.after_crash(self.rng, ordered=self.unsynced) if crashed else self.disk.after_kill()
        lost = crashed and self.unsynced  # then nothing is promised any more (drops wait for writes only); but nothing is made up
        must = 0 if lost else self.durable if crashed else self.promised
        found, first, last = self.check(lost, must)
        assert self.check(lost, must) == (found, first, last)
        self.given = {lsn: record for lsn, record in self.given.items() if lsn < first} | found
        self.bases = {number: base for number, base in self.bases.items() if base <= last}
        if lost:
            self.are_gone, self.may_be_gone = first, max(first, self.may_be_gone)
        self.promised = last
        self.durable = min(self.durable, last)

    def headers(self) -> list[str]:
        """Of the segments, those whose header can be read."""
        files = {path: file for path, file in self.disk.names.items() if path.endswith(".wal")}
        return [path for path, file in files.items() if read_header(bytes(file.data), int(path[-12:-4])).header]

    def check(self, lost: bool, must: int) -> tuple[dict[int, bytes], int, int]:
        """What is there, its first and its last LSN."""
        replay = wal.Replay(DIRECTORY, fs=self.disk)
        found: dict[int, bytes] = {}
        for frame in replay:
            found.update(enumerate(frame.records, frame.first_lsn))
            assert frame.durable_lsn < frame.first_lsn
        if replay.torn:
            self.trace.append(f"torn at {replay.torn.expected}")
        last = replay.next_lsn - 1
        first = min(found, default=replay.next_lsn)
        assert list(found) == list(range(first, last + 1))
        assert last >= must
        if lost:
            assert all((lsn, record) in self.ever for lsn, record in found.items())
        else:
            assert min(self.are_gone, last + 1) <= first <= self.may_be_gone
            assert all(record == self.given[lsn] for lsn, record in found.items())
        return found, first, last


@pytest.mark.parametrize("mode", MODES)
def test_what_was_promised_survives(mode):
    for seed in SEEDS:
        simulation = Simulation(seed, MODES[mode])
        try:
            simulation.run(lives=8)
        except BaseException:
            print(f"SEED={seed} {mode}:", *simulation.trace, sep="\n    ")
            raise


def test_the_overhead_leaves_room_in_these_segments():
    assert SEGMENT > 4 * OVERHEAD
