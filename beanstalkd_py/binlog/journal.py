"""The binlog: the queue's journal on a log. The only room that knows both sides.

It turns job changes into records (law 1: appended before memory changes), decides whether there is
room for them (law 4) and keeps the disk in proportion (law 9). How it comes to be is `opening`. It
knows no sockets and no clock: the server tells it the time once per turn of its loop.

Let S be the segment size (or the largest segment), L the bytes of the living jobs' FULL records, A
all that the files hold beyond: what is dead, what is prepared, and the UPDATEs, which compaction
merges. To change or delete jobs leaves A as it is (or adds to it), and one pass of compaction over
all segments makes room of it, but for what the active segment holds. Room is what is prepared (see
`wal.Log.room`).

- `need` = min(L, S) + 1/16 S + 1/32 L + two of the largest records: the room to work off any one
  segment, and what rotation may waste on the way (headers, and blocks half used, of as many
  segments as L takes). On a full disk nothing but compaction may leave less. So the oldest segment
  can always be written again, and dropped.
- `floor` = need + S + 1/8 (S + L). Puts stop where A would come below. So a pass finds 1/8 (S + L)
  to give back: an update costs at most eight times its length of rewriting, however large the log.
- `wish` = floor + 1/2 S. Room is prepared ahead until A is that much, and given back when it is
  more.
- Segments go from the oldest end when the files hold more than 2 L + 2 S, and as soon as they hold
  nothing live. On a full disk they go when room comes near to `low` = need + 1/16 S; if that is too
  late, a command waits for as much of a pass as it needs.
"""

from collections.abc import Callable
from struct import error as StructError

import beanstalkd_wal as wal

from beanstalkd_py.binlog.records import (
    DELETE,
    DELETE_STRUCT,
    FULL,
    FULL_STRUCT,
    UPDATE,
    UPDATE_STRUCT,
    Full,
    Pause,
    Update,
    encode,
)
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.usage import (
    FULL_OVERHEAD,
    LENGTH_FIELD,
    PAUSE_OVERHEAD,
    UPDATE_BYTES,
    SegmentUsage,
    full_bytes,
)
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.model import DELAYED, RESERVED, Job, Tube
from beanstalkd_py.queue.snapshot import LogSnapshot
from beanstalkd_py.queue.state import State

STEP_BYTES = 64 * 1024  # compaction per turn of the loop: about 1 ms of jobs of 100 bytes
# bytes for each byte that clients appended: where law 9 is closest, a quarter of the oldest segment
# is dead
GROWTH_SHARE = 4
# of that, an eighth of what is left in each turn: 4 jobs of 60 000 bytes would otherwise be
# followed by 10 ms of compaction
SPREAD = 8
DEAD_SHARE = 50  # compact_all leaves a fiftieth
WHOLE = 1 << 62  # a step without a limit
# until a 64th of a segment was appended or has died, no turn looks whether there is room or work: 3
# us less
LITTLE_SHARE = 64
PASSES = (
    2  # over all jobs while clients change nothing: what these do not give back, no other one will
)
LOOK_BYTES = 16  # what looking at an id costs, in bytes rewritten
DELETE_BYTES = DELETE_STRUCT.size + LENGTH_FIELD
FRAME_BYTES = 48  # what a record may cost beyond itself: a frame of its own


class Binlog:
    """A `Journal` (see `state`) on a `wal.Log`."""

    def __init__(
        self, state: State, log: wal.Log, replayer: Replayer, segment_bytes: int, wall: int
    ) -> None:
        self.state = state
        self.log = log
        self.usage = replayer.usage
        self.offset = replayer.offset  # wall clock minus monotonic clock, ns
        self.written = 0  # records since the start, as stats has it
        self.migrated = 0  # of them by compaction
        self._pauses = replayer.pauses
        self._segment_bytes = segment_bytes
        self._need = self._low = self._floor = self._beyond = self._put_mark = (
            0  # set by _set_marks
        )
        self._active = log.segment  # the segment that the last record went to
        self._sealed = dict(
            log.segment_sizes
        )  # bytes of the segments before it that were not given up, oldest first
        self._sealed_bytes = sum(self._sealed.values())
        # of the segment that is written, about; 0 for the first one, which is never larger than
        # `segment_bytes`
        self._active_bytes = 0
        self._widest = max(self._sealed.values(), default=0)  # bytes of the largest segment, about
        self._cursor = 0  # in the oldest account's ids
        self.full = False  # the last try to allocate met a full disk; `retry` forgets it
        self._spent = False  # and compaction did not help; the same
        self._more = False  # compaction has more to do
        self._due = 0  # bytes of it, for what clients appended
        self._of_clients = 0  # records of theirs, at the last turn that looked at everything
        self._in_vain = 0  # records that compaction has rewritten since that has grown
        self._appended = log.appended_bytes  # after the last turn that looked at everything
        self._kept = 0  # the same
        self._changes = log.changes  # that room was kept for
        self._wall = wall  # wall clock at the last turn, ns
        self._set_marks()

    # --- the journal ------------------------------------------------------------------------------

    def put(
        self,
        id: int,
        tube: bytes,
        state: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        created_at: int,
        deadline_at: int,
    ) -> SegmentUsage | None:
        """Appends a FULL record; None when the disk is full. Hot: 1.1 us of a put's 3."""
        offset = self.offset
        record = (
            FULL_STRUCT.pack(
                FULL, state, len(tube), pri, id, delay, ttr, created_at + offset,
                deadline_at + offset if state == DELAYED else deadline_at, 0, 0, 0, 0, 0,
            )
            + tube
            + body
        )  # fmt: skip
        nbytes = len(record) + LENGTH_FIELD
        log = self.log
        accounts = self.usage
        largest = accounts.largest
        if (log.headroom - nbytes < self._put_mark or nbytes > largest) and not self._room_for_put(
            nbytes
        ):
            self._put_refused(largest)
            return None
        try:
            number = log.append(record)
        except wal.LogFull:  # larger than any spare
            if not self._in_one_piece(len(record), self._low):
                self._put_refused(largest)
                return None
            number = log.append(record)
        if number != self._active:
            self._rotated(number, nbytes)
        account = accounts.current
        if number != account.number:
            account = accounts.of(number)
        account.ids.append(id)
        account.live += nbytes
        accounts.live += nbytes
        self.written += 1
        return account

    def change(
        self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters
    ) -> bool:
        if not self._room_for_small(UPDATE_BYTES):
            return False
        try:
            record = UPDATE_STRUCT.pack(
                UPDATE, state, 0, pri, job.id, delay, self._on_disk(state, deadline_at), *counters
            )
        except StructError:
            record = encode(
                Update(state, pri, job.id, delay, self._on_disk(state, deadline_at), *counters)
            )
        number = self._append(record)
        if number is None:
            return False
        self.usage.update_written(job, self.usage.of(number))
        return True

    def delete(self, job: Job) -> bool:
        """Hot, hence `_room_above`, `_append` and `Usage.forget` are in it again: 0.6 us of a
        delete's 1.9.
        """
        log = self.log
        if log.headroom - DELETE_BYTES - FRAME_BYTES < self._low:
            if not self._room_for_small(DELETE_BYTES) and not log.fits(
                DELETE_BYTES
            ):  # the last of the room, for what gives back more
                return False
        record = DELETE_STRUCT.pack(DELETE, job.id)
        try:
            number = log.append(record)
        except wal.LogFull:
            if not self._in_one_piece(len(record), 0):
                return False
            number = log.append(record)
        self.written += 1
        if number != self._active:
            self._rotated(number, len(record))
        home = job.full_segment
        if job.update_segment is None and isinstance(home, SegmentUsage):
            nbytes = FULL_OVERHEAD + len(job.tube.name) + len(job.body)
            home.live -= nbytes
            self.usage.live -= nbytes
        else:
            self.usage.forget(job, full_bytes(job))
        return True

    def pause(self, tube: Tube, pause: int, until: int) -> bool:
        nbytes = PAUSE_OVERHEAD + len(tube.name)
        if not self._room_for_small(nbytes):
            return False
        number = self._append(self._pause_record(tube.name, pause, until))
        if number is None:
            return False
        self._pause_written(tube.name, self.usage.of(number), nbytes if pause else 0)
        return True

    def snapshot(self) -> LogSnapshot:
        return LogSnapshot(self.log.oldest, self.log.segment, self.migrated, self.written)

    def _on_disk(self, state: int, deadline_at: int) -> int:
        """Only a buried job's place in the order of burying is no instant."""
        return deadline_at + self.offset if state in (DELAYED, RESERVED) else deadline_at

    def _pause_record(self, name: bytes, pause: int, until: int) -> bytes:
        return encode(Pause(name, pause, until + self.offset if pause else 0))

    def _pause_written(self, name: bytes, account: SegmentUsage, nbytes: int) -> None:
        old = self._pauses.pop(name, None)
        if old is not None:
            self.usage.add(old[0], -old[1])
        if nbytes:
            self._pauses[name] = (account, nbytes)
            self.usage.add(account, nbytes)

    # --- room -------------------------------------------------------------------------------------

    def _set_marks(self, more: int = 0) -> None:
        """They follow the live bytes (and so many more): set once per turn and per segment, and by
        puts that come near.
        """
        accounts = self.usage
        room = self.log.headroom
        kept = accounts.kept + more
        size = self._segment_bytes
        largest = min(accounts.largest, kept)  # the largest ever may be gone
        span = max(size, self._widest, largest)
        self._need = min(kept, span) + size // 16 + 2 * largest + kept // 32
        self._low = self._need + size // 16
        self._floor = self._need + span + (size + kept) // 8
        self._beyond = self._count_beyond() - more
        # Each byte of a put takes one of room and of A and raises `low` and the floor by less than
        # 5: until here they cannot have met.
        self._put_mark = room - min(room - self._low, self._beyond - self._floor) // 6

    def _count_beyond(self) -> int:
        """A, without segments that were given up: what becomes room of them counts then."""
        return self.log.total_bytes - self._given_up - self.usage.kept

    @property
    def _given_up(self) -> int:
        """Bytes of segments that are about to be dropped."""
        return self.log.sealed_bytes - self._sealed_bytes

    @property
    def is_full(self) -> bool:
        """Whether the disk is, as far as one knows."""
        return self.full or self.log.disk_full

    def _wish(self) -> int:
        """Room wished for."""
        return self._wish_beside(self._beyond + self._given_up)

    def _wish_beside(self, beyond: int) -> int:
        """The same, where A is known to be so much."""
        size = self._segment_bytes
        return max(self.log.headroom + self._floor + size // 2 - beyond, self._low + size // 8)

    def keep_room(self) -> None:
        """Has room prepared ahead, in the background, and gives back what is too much. On a full
        disk it is for `retry` to ask again.
        """
        log = self.log
        self._changes = log.changes
        self._beyond = self._count_beyond()
        wish = self._wish()
        if log.headroom > wish:
            log.trim(wish)
        elif not log.disk_full:
            log.preallocate(wish)

    def retry(self) -> None:
        """The disk was full: perhaps it is no longer."""
        self.full = self._spent = False
        self._more = self.behind()
        self.log.preallocate(self._wish())

    def _ensure_headroom(self, nbytes: int, floor: int) -> bool:
        """The prepared spares are low: preparing is behind, or the disk is full. An allocation
        tells which; but not for each record.
        """
        if self.is_full:
            return False
        self.full = not self.log.ensure_headroom(nbytes, floor)
        self._more = (
            self._more or self.full
        )  # a turn is wanted, though nothing was appended: compaction may give what is lacking
        return not self.full

    def _room_for_put(self, nbytes: int) -> bool:
        log = self.log
        self.usage.largest = max(self.usage.largest, nbytes)
        self._set_marks(nbytes)
        lack = self._floor - self._beyond
        if lack > 0 and not self._ensure_headroom(nbytes, log.headroom - nbytes + lack):
            return False
        return self._room_above(self._low, nbytes) or self._compact_for(self._low, nbytes)

    def _put_refused(self, largest: int) -> None:
        """A job that is not there must not count: by its length, what is set aside would be too
        little for whatever comes behind it.
        """
        self.usage.largest = largest
        self._set_marks()

    def _room_for_small(self, nbytes: int) -> bool:
        """Room for an update or a delete. On a full disk compaction gives it, here and now if need
        be.
        """
        return (
            self._room_above(self._low, nbytes)
            or self._room_above(self._need, nbytes)
            or self._compact_for(self._need, nbytes)
        )

    def _room_above(self, floor: int, nbytes: int) -> bool:
        return self.log.headroom - nbytes - FRAME_BYTES >= floor or self._ensure_headroom(
            nbytes, floor
        )

    def _compact_for(self, floor: int, nbytes: int) -> bool:
        """Up to two passes over the log."""
        if self._spent:
            return False
        self.log.drain(self._wall)  # what is just being prepared may do
        for _ in range(2 * len(self._sealed) + 2):
            self._set_marks()
            if self._room_above(floor, nbytes):
                return True
            if not self._compact_step(WHOLE):
                break
            self.log.drain(self._wall)
        self._spent = not self._room_above(floor, nbytes)
        return not self._spent

    def _append(self, record: bytes) -> int | None:
        """To the log; None when it physically cannot be."""
        log = self.log
        try:
            number = log.append(record)
        except wal.LogFull:
            if not self._in_one_piece(len(record), 0):
                return None
            number = log.append(record)
        self.written += 1
        if number != self._active:
            self._rotated(number, len(record))
        return number

    def _in_one_piece(self, nbytes: int, floor: int) -> bool:
        """No spare holds so much. On a full disk there may be room, but in pieces: gives the spares
        back, and takes as much in one.
        """
        log = self.log
        if self._ensure_headroom(nbytes, floor):
            return True
        log.drain(self._wall)
        if log.headroom - nbytes < floor:
            return False
        log.trim(log.left)
        made = log.ensure_headroom(nbytes)
        log.preallocate(self._wish())
        return made

    # --- compaction -------------------------------------------------------------------------------

    def _rotated(self, number: int, nbytes: int) -> None:
        """The log began a new segment with a record of so many bytes: the ones before it are
        sealed.
        """
        for sealed in range(self._active, number):
            self._sealed[sealed] = self.log.segment_sizes[sealed]
            self._sealed_bytes += self._sealed[sealed]
        self._active = number
        self._active_bytes = self.log.left + nbytes
        self._widest = max(self._active_bytes, *self._sealed.values())
        self._more = True  # the next turn looks at everything: law 9 allows for what is sealed
        self._set_marks()

    def _oldest(self) -> SegmentUsage:
        """The account of the oldest sealed segment (there is one)."""
        return self.usage.at(next(iter(self._sealed)))

    def behind(self) -> bool:
        """Whether compaction has work: law 9, or, on a full disk, anything worth giving back."""
        if not self._sealed:
            return False
        if self._oldest().live <= 0:
            return True
        if self._in_vain > PASSES * (len(self.state.jobs) + len(self._pauses) + 1):
            # what lies between the records of small segments is not dead, and not to be had; nor is
            # what is to be zeroed
            return False
        size = self._segment_bytes
        kept = self.usage.kept
        beyond = self._count_beyond()
        if not self.is_full:
            # 1/8 S less, because room is prepared in steps.
            return beyond > kept + 2 * size - size // 8 and self._sealed_bytes > kept + size // 8
        room = self.log.headroom
        dead = (
            beyond - self.log.left - self.log.spare_bytes
        )  # what the spares cannot hold records in is not given back
        return room < self._low + size // 2 and dead > size + size // 8 and self._can_work_off()

    def _can_work_off(self) -> bool:
        """Whether there is room for what is left of the oldest segment: to begin without would use
        up room for nothing.
        """
        return not self.is_full or self.log.headroom >= self._oldest().live

    def _compact_step(self, limit: int) -> bool:
        """Works on the oldest segment for about `limit` bytes. True when it was given up."""
        if not self._sealed or not self._can_work_off():
            return False
        oldest = self._oldest()
        jobs = self.state.jobs
        ids = oldest.ids
        while oldest.live > 0 and self._cursor < len(ids):
            if limit <= 0:
                return False
            job = jobs.get(ids[self._cursor])
            limit -= LOOK_BYTES
            if job is not None and job.full_segment is oldest:
                nbytes = full_bytes(job)
                if not self._rewrite(job, nbytes):
                    return False
                limit -= nbytes
            self._cursor += 1
        if oldest.live > 0 and not self._rewrite_pauses(oldest):
            return False
        assert oldest.live == 0, (
            f"segment {oldest.number}: {oldest.live} live bytes that no job knows of"
        )
        self._give_up(oldest)
        return True

    def _rewrite(self, job: Job, nbytes: int) -> bool:
        """The job's FULL record again, as it is now."""
        body = job.body
        name = job.tube.name
        created_at, deadline_at = (
            job.created_at + self.offset,
            self._on_disk(job.state, job.deadline_at),
        )
        _, timeouts, releases, buries, kicks = job.history
        counts = job.reserves, timeouts, releases, buries, kicks
        try:
            head = FULL_STRUCT.pack(
                FULL,
                job.state,
                len(name),
                job.pri,
                job.id,
                job.delay,
                job.ttr,
                created_at,
                deadline_at,
                *counts,
            )
            record = head + name + body
        except StructError:
            record = encode(
                Full(
                    job.state,
                    job.pri,
                    job.id,
                    job.delay,
                    job.ttr,
                    created_at,
                    deadline_at,
                    *counts,
                    name,
                    body,
                )
            )
        number = self._append(record)
        if number is None:
            return False
        self.migrated += 1
        self.usage.full_written(job, self.usage.of(number), nbytes)
        return True

    def _rewrite_pauses(self, oldest: SegmentUsage) -> bool:
        """Pauses that are not over go on; the others are forgotten."""
        for name, (account, nbytes) in list(self._pauses.items()):
            if account is not oldest:
                continue
            tube = self.state.tubes.get(name)
            if tube is None or not tube.paused_until:
                self._pause_written(name, account, 0)
                continue
            number = self._append(self._pause_record(name, tube.pause, tube.paused_until))
            if number is None:
                return False
            self.migrated += 1
            self._pause_written(name, self.usage.of(number), nbytes)
        return True

    def _give_up(self, oldest: SegmentUsage) -> None:
        """Nothing in it is needed: it goes when what was appended up to now is durable."""
        self.log.retire(oldest.number + 1)
        self._sealed_bytes -= self._sealed.pop(oldest.number)
        self._widest = (
            max(self._active_bytes, *self._sealed.values()) if self._sealed else self._active_bytes
        )
        self.usage.close(oldest)
        self._cursor = 0
        self._set_marks()

    # --- time -------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether `turn` has something to do."""
        return self.log.pending or self._more

    def end_iteration(self, now: int, wall: int, inline: bool = False) -> bool:
        """The end of a turn of the loop: commits, and compacts a little. True if it wants another
        turn soon. Raises LogFailed.

        now: monotonic ns; wall: wall-clock ns. here: the commit is better done at once than by
        another thread (see `wal.Log.commit`).
        """
        log = self.log
        self.offset = wall - now
        self._wall = wall
        if not self._more and log.changes == self._changes and self._little_happened():
            self._commit(inline)
            return self._more
        self._commit(inline)  # what compaction writes goes with the next one
        self._set_marks()
        migrated = self.migrated
        if self.written - migrated != self._of_clients:
            self._of_clients = self.written - migrated
            self._in_vain = 0
        self._more = self.behind() and self._compact_some()
        self._in_vain += self.migrated - migrated
        if not self._more:
            self._due = 0
            if log.pending:
                self._commit(False)
        self.keep_room()
        self._appended = log.appended_bytes
        self._kept = self.usage.kept
        return self._more

    def _little_happened(self) -> bool:
        """Since the last turn that looked at everything."""
        little = self._segment_bytes // LITTLE_SHARE
        if (
            self.log.appended_bytes - self._appended > little
            or abs(self.usage.kept - self._kept) > little
            or self.is_full
        ):
            return False
        return not self._sealed or self._oldest().live > 0

    def _commit(self, inline: bool) -> None:
        if self.log.commit(self._wall, inline):
            self.collect()

    def collect(self) -> None:
        """The log has news. Raises LogFailed."""
        self.log.collect()
        if self.log.changes != self._changes:
            self.keep_room()
            self._more = self._more or self.behind()

    def _compact_some(self) -> bool:
        """As fast as clients make the log grow, some turns later, so that it keeps up under any
        load. True if more can be done.
        """
        before = (self.migrated, self._cursor, len(self._sealed))
        grown = self.log.appended_bytes - self._appended
        due = self._due + GROWTH_SHARE * grown
        step = STEP_BYTES + due // SPREAD
        self._due = max(due - step, 0)
        self._compact_step(step)
        return before != (self.migrated, self._cursor, len(self._sealed)) and self.behind()

    def compact_all(self, progress: Callable[[int, int], None] = lambda done, total: None) -> bool:
        """Until hardly anything dead is left, whatever law 9 allows: for operators, not while
        serving. False on a full disk. Raises LogFailed.
        """
        last = self._active
        total = self._sealed_bytes
        while (
            self._sealed
            and next(iter(self._sealed)) < last
            and self._sealed_bytes - self.usage.live > self._sealed_bytes // DEAD_SHARE
        ):
            if not self._compact_step(self._segment_bytes) and self.full:
                return False
            self.log.drain(self._wall)
            progress(
                total - sum(nbytes for number, nbytes in self._sealed.items() if number < last),
                total,
            )
        return True

    def compact(self) -> None:
        """Until nothing is left to do: at the start, before anybody is served. Raises LogFailed."""
        if self.behind():  # a drop gives back what nobody wishes for: of what was set aside, too
            self.log.preallocate(
                min(
                    self.log.total_bytes - self.log.sealed_bytes,
                    self._floor + self._segment_bytes // 2,
                )
            )
        # once over all of it: what room takes too much of is given back by turns, and not by
        # writing on and on
        last = self._active
        while (
            self.behind()
            and next(iter(self._sealed)) < last
            and self._compact_step(self._segment_bytes)
        ):
            self.log.commit(self._wall)
            self._set_marks()
        # Spares of the last run are there, but not known to be zeros: they do not count yet.
        self.log.preallocate(
            self._wish_beside(self.log.headroom + self._sealed_bytes - self.usage.kept)
        )
