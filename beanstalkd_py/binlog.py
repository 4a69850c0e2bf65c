"""The binlog: the queue's journal on a log. The only room that knows both sides.

It turns job changes into records (law 1: appended before memory changes), decides whether there is room for them (law 4) and keeps the disk in
proportion (law 9). Opening it replays. It knows no sockets and no clock: the server tells it the time once per turn of its loop.

Let S be the segment size and L the live bytes. Room is what is physically prepared for records to come (see `wal.Log.room`).

- `kept` = the largest segment, or L if that is less: what must be free for compaction to be able to write any one segment again, and then drop it.
- `floor` = kept + 1/4 S + 1/16 L bytes of spare files. Puts stop where the spares would come below.
- `wish` = floor + 1/4 S, the free part of the active segment counted in: what is prepared ahead.
- Below the floor there is room for updates, deletes and compaction. An update or delete that would leave less than kept and a little more first
  compacts. A full cycle merges every update into its job's FULL record and leaves deletes behind for good, so each cycle gives back what such
  records took; 1/16 L of them between two cycles keeps the price of a full disk at 16 bytes for each byte, at most.
- Segments go from the oldest end when the sealed ones hold more than 2 L + S - (kept + 1/2 S + 1/16 L), and as soon as they hold nothing live.
"""

from collections.abc import Callable

import wal

from . import stats
from .accounts import LENGTH_FIELD, PAUSE_OVERHEAD, UPDATE_BYTES, Account, Accounts, full_bytes
from .jobs import DELAYED, RESERVED, Job, Tube
from .records import (
    DELETE,
    DELETE_STRUCT,
    FULL,
    FULL_STRUCT,
    IMPORT_BEGIN,
    IMPORT_END,
    PAUSE,
    PAUSE_STRUCT,
    UPDATE,
    UPDATE_STRUCT,
    VERSION,
    Import,
    decode_meta,
    encode,
    encode_meta,
)
from .replay import BadRecord, Replayer
from .state import Counters, State

STEP_BYTES = 64 * 1024  # compaction per turn of the loop: about 1 ms of jobs of 100 bytes
GROWTH_SHARE = 4  # bytes for each byte that clients appended: where law 9 is closest, a quarter of the oldest segment is dead
DEAD_SHARE = 50  # compact_all leaves a fiftieth
WHOLE = 1 << 62  # a step without a limit
LOOK_BYTES = 16  # what looking at an id costs, in bytes rewritten
DELETE_BYTES = DELETE_STRUCT.size + LENGTH_FIELD
FRAME_BYTES = 48  # what a record may cost beyond itself: a frame of its own


class Unreadable(Exception):
    """The log is whole, but what it says cannot be: newer records, or a job's beginning is missing. Nothing was changed."""


class NewerRecords(Unreadable):
    """Records of a version that is not known here."""


class Binlog:
    """A `Journal` (see `state`) on a `wal.Log`."""

    def __init__(self, state: State, log: wal.Log, replayer: Replayer, segment_bytes: int, wall: int) -> None:
        self.state = state
        self.log = log
        self.accounts = replayer.accounts
        self.offset = replayer.offset  # wall clock minus monotonic clock, ns
        self.written = 0  # records since the start, as stats has it
        self.migrated = 0  # of them by compaction
        self._pauses = replayer.pauses
        self._segment_bytes = segment_bytes
        self._kept = self._floor = self._most = 0  # set by _set_marks
        self._largest = segment_bytes  # bytes of the largest segment so far
        self._active = log.segment  # the segment that the last record went to
        self._sealed = dict(log.segment_sizes)  # bytes of the segments before it that were not given up, oldest first
        self._sealed_bytes = sum(self._sealed.values())
        self._largest = max(self._largest, *self._sealed.values(), 0)
        self._cursor = 0  # in the oldest account's ids
        self.full = False  # the last try to allocate met a full disk; `retry` forgets it
        self._more = False  # compaction has more to do
        self._left, self._left_of = log.left, log.segment  # what was left of which segment after the last turn
        self._wall = wall  # wall clock at the last turn, ns
        self._set_marks()

    # --- the journal ---------------------------------------------------------------------------------------------

    def put(
        self, id: int, tube: bytes, state: int, pri: int, delay: int, ttr: int, body: bytes, created_at: int, deadline_at: int
    ) -> Account | None:
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
        if log.spare_bytes < self._floor + nbytes and not self._room_for_put(nbytes):
            return None
        try:
            number = log.append(record)
        except wal.LogFull:  # larger than any spare
            if not self._make_room(len(record), self._floor):
                return None
            number = log.append(record)
        if number != self._active:
            self._rotated(number)
        account = self.accounts.of(number)
        account.ids.append(id)
        account.live += nbytes
        self.accounts.live += nbytes
        self.written += 1
        return account

    def change(self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters) -> bool:
        if not self._room_for_small(UPDATE_BYTES):
            return False
        record = UPDATE_STRUCT.pack(UPDATE, state, 0, pri, job.id, delay, self._on_disk(state, deadline_at), *counters)
        number = self._append(record)
        if number is None:
            return False
        self.accounts.update_written(job, self.accounts.of(number))
        return True

    def delete(self, job: Job) -> bool:
        if not self._room_for_small(DELETE_BYTES, last_resort=True):
            return False
        number = self._append(DELETE_STRUCT.pack(DELETE, job.id))
        if number is None:
            return False
        self.accounts.forget(job, full_bytes(job))
        return True

    def pause(self, tube: Tube, pause: int, until: int) -> bool:
        nbytes = PAUSE_OVERHEAD + len(tube.name)
        if not self._room_for_small(nbytes):
            return False
        number = self._append(self._pause_record(tube.name, pause, until))
        if number is None:
            return False
        self._pause_written(tube.name, self.accounts.of(number), nbytes if pause else 0)
        return True

    def stats(self) -> stats.JournalStats:
        return stats.JournalStats(self.log.oldest, self.log.segment, self.migrated, self.written)

    def _on_disk(self, state: int, deadline_at: int) -> int:
        """Only a buried job's place in the order of burying is no instant."""
        return deadline_at + self.offset if state in (DELAYED, RESERVED) else deadline_at

    def _pause_record(self, name: bytes, pause: int, until: int) -> bytes:
        return PAUSE_STRUCT.pack(PAUSE, 0, len(name), pause, until + self.offset if pause else 0) + name

    def _pause_written(self, name: bytes, account: Account, nbytes: int) -> None:
        old = self._pauses.pop(name, None)
        if old is not None:
            self.accounts.add(old[0], -old[1])
        if nbytes:
            self._pauses[name] = (account, nbytes)
            self.accounts.add(account, nbytes)

    # --- room ----------------------------------------------------------------------------------------------------

    def _set_marks(self) -> None:
        """The marks follow the live bytes; once per turn is often enough, since a turn adds little."""
        size = self._segment_bytes
        live = self.accounts.live
        self._kept = min(self._largest, live)
        self._floor = self._kept + size // 4 + live // 16
        self._most = self._floor + size // 4  # bytes of spares, at the most

    def _wish(self) -> int:
        return self._floor + max(self.log.left, self._segment_bytes // 4)

    def keep_room(self) -> None:
        """Has room prepared ahead, in the background, and gives back what is too much. On a full disk it is for `retry` to ask again."""
        log = self.log
        wish = self._wish()
        if log.room > wish:
            log.trim(wish)
        elif not log.short:
            log.prepare(wish)

    def retry(self) -> None:
        """The disk was full: perhaps it is no longer."""
        self.full = False
        self._more = self.behind()
        self.log.prepare(self._wish())

    def _make_room(self, nbytes: int, floor: int) -> bool:
        """The prepared spares are low: preparing is behind, or the disk is full. An allocation tells which; but not for each record."""
        if self.full:
            return False
        self.full = not self.log.make_room(nbytes, floor)
        return not self.full

    def _room_for_put(self, nbytes: int) -> bool:
        log = self.log
        floor = self._floor + max(0, log.left - nbytes - FRAME_BYTES)  # the spares alone must keep the floor
        return log.fits(nbytes, floor) or self._make_room(nbytes, floor)

    def _room_for_small(self, nbytes: int, last_resort: bool = False) -> bool:
        """Room for an update or a delete. On a full disk compaction gives it, here and now if need be.

        last_resort: takes what compaction should have, if there is nothing else; for a delete, which makes room.
        """
        log = self.log
        nbytes += FRAME_BYTES
        if log.spare_bytes >= self._floor + nbytes or self._make_room(nbytes, log.left + self._floor):
            return True
        for _ in range(2 * len(self._sealed) + 2):
            if self._may_append(nbytes):
                return True
            log.drain(self._wall)  # what was dropped before may be room by now
            if not self._may_append(nbytes) and not self._compact_step(WHOLE):
                break
            self._set_marks()
        return self._may_append(nbytes) or (last_resort and log.fits(nbytes))

    def _may_append(self, nbytes: int) -> bool:
        """Whether enough would be left to write any one segment again."""
        log = self.log
        if not self._sealed:
            return nbytes <= log.left or nbytes <= log.spare_bytes
        return log.room - nbytes >= self._kept + self._segment_bytes // 16

    def _append(self, record: bytes) -> int | None:
        """To the log; None when it physically cannot be."""
        log = self.log
        try:
            number = log.append(record)
        except wal.LogFull:
            if not self._make_room(len(record), 0):
                return None
            number = log.append(record)
        self.written += 1
        if number != self._active:
            self._rotated(number)
        return number

    # --- compaction ----------------------------------------------------------------------------------------------

    def _rotated(self, number: int) -> None:
        """The log began a new segment: the ones before it are sealed."""
        for sealed in range(self._active, number):
            nbytes = self.log.segment_sizes[sealed]
            self._sealed[sealed] = nbytes
            self._sealed_bytes += nbytes
            self._largest = max(self._largest, nbytes)
        self._active = number

    def _oldest(self) -> Account:
        """The account of the oldest sealed segment (there is one)."""
        return self.accounts.at(next(iter(self._sealed)))

    def behind(self) -> bool:
        """Whether compaction has work: law 9, or, on a full disk, anything worth giving back."""
        if not self._sealed:
            return False
        live = self.accounts.live
        if self._oldest().live <= 0:
            return True
        if self.log.short or self.full:
            return self._sealed_bytes - live > self._segment_bytes // 8
        return self._sealed_bytes > 2 * live + self._segment_bytes - self._most

    def _compact_step(self, limit: int) -> bool:
        """Works on the oldest segment for about `limit` bytes. True when it was given up."""
        if not self._sealed:
            return False
        oldest = self._oldest()
        jobs = self.state.jobs
        ids = oldest.ids
        while oldest.live > 0 and self._cursor < len(ids):
            if limit <= 0:
                return False
            job = jobs.get(ids[self._cursor])
            limit -= LOOK_BYTES
            if job is not None and job.home is oldest:
                nbytes = full_bytes(job)
                if not self._rewrite(job, nbytes):
                    return False
                limit -= nbytes
            self._cursor += 1
        if oldest.live > 0 and not self._rewrite_pauses(oldest):
            return False
        assert oldest.live == 0, f"segment {oldest.number}: {oldest.live} live bytes that no job knows of"
        self._give_up(oldest)
        return True

    def _rewrite(self, job: Job, nbytes: int) -> bool:
        """The job's FULL record again, as it is now."""
        body = job.body
        name = job.tube.name
        offset = self.offset
        record = (
            FULL_STRUCT.pack(
                FULL, job.state, len(name), job.pri, job.id, job.delay, job.ttr, job.created_at + offset,
                self._on_disk(job.state, job.deadline_at), job.reserves, job.timeouts, job.releases, job.buries, job.kicks,
            )
            + name
            + body
        )  # fmt: skip
        number = self._append(record)
        if number is None:
            return False
        self.migrated += 1
        self.accounts.full_written(job, self.accounts.of(number), nbytes)
        return True

    def _rewrite_pauses(self, oldest: Account) -> bool:
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
            self._pause_written(name, self.accounts.of(number), nbytes)
        return True

    def _give_up(self, oldest: Account) -> None:
        """Nothing in it is needed: it goes when what was appended up to now is durable."""
        self.log.drop(oldest.number + 1)
        self._sealed_bytes -= self._sealed.pop(oldest.number)
        self.accounts.close(oldest)
        self._cursor = 0

    # --- time ----------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether `turn` has something to do."""
        return self.log.pending or self._more

    def turn(self, now: int, wall: int) -> bool:
        """The end of a turn of the loop: compacts a little and commits. True if it wants another turn soon. Raises LogFailed.

        now: monotonic ns; wall: wall-clock ns.
        """
        self.offset = wall - now
        self._wall = wall
        self._set_marks()
        self._more = self.behind() and self._compact_some()
        self.log.commit(wall)
        self.keep_room()
        self._left, self._left_of = self.log.left, self.log.segment
        return self._more

    def collect(self) -> None:
        """The log has news. Raises LogFailed."""
        self.log.collect()
        self.keep_room()
        self._more = self._more or self.behind()

    def _compact_some(self) -> bool:
        """As fast as clients make the log grow and a little faster, so that it catches up under any load. True if more can be done."""
        if (self.full or self.log.short) and self.log.room < self._oldest().live:
            return False  # the room for it is that of the segment dropped before: `collect` will tell
        before = (self.migrated, self._cursor, len(self._sealed))
        grown = self._left - self.log.left if self.log.segment == self._left_of else self._segment_bytes
        self._compact_step(STEP_BYTES + GROWTH_SHARE * max(grown, 0))
        return before != (self.migrated, self._cursor, len(self._sealed)) and self.behind()

    def compact_all(self, progress: Callable[[int, int], None] = lambda done, total: None) -> bool:
        """Until hardly anything dead is left, whatever law 9 allows: for operators, not while serving. False on a full disk. Raises LogFailed."""
        last = self._active
        total = self._sealed_bytes
        while self._sealed and next(iter(self._sealed)) < last and self._sealed_bytes - self.accounts.live > self._sealed_bytes // DEAD_SHARE:
            if not self._compact_step(self._segment_bytes) and self.full:
                return False
            self.log.drain(self._wall)
            progress(total - sum(nbytes for number, nbytes in self._sealed.items() if number < last), total)
        return True

    def compact(self) -> None:
        """Until nothing is left to do: at the start, before anybody is served. Raises LogFailed."""
        while self.behind() and self._compact_step(WHOLE):
            self.log.drain(self._wall)
            self._set_marks()
        # What a stop or a kill left of the active segment went back to the disk: it is ours again before anybody is served.
        self.keep_room()
        self.log.drain(self._wall)


def open_binlog(
    directory: str,
    state: State,
    *,
    segment_bytes: int,
    durability: wal.Durability,
    now: int,
    wall_now: int,
    notify: Callable[[], None],
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    threaded: bool = True,
    fs: wal.FileSystem | None = None,
) -> Binlog:
    """Replays the log in `directory` into `state` and opens it for writing.

    now, wall_now: monotonic and wall-clock ns. notify: called from the log's threads when there is news. report: a line for the operator.
    progress: bytes done and in all. Raises wal.Corrupt, wal.NewerVersion and Unreadable (then nothing was changed), OSError and wal.LogFailed.
    """
    accounts = Accounts()
    replayer = Replayer(state, accounts, wall_now - now)
    replay = wal.Replay(directory, fs=fs)
    next_id = apply_all(replay, replayer, report, progress)
    state.next_id = max(state.next_id, next_id)
    log = wal.Log.open(
        replay,
        segment_bytes=segment_bytes,
        durability=durability,
        meta=lambda: encode_meta(state.next_id),
        notify=notify,
        at=wall_now,
        threaded=threaded,
        fs=fs,
    )
    if replay.torn is not None:
        report(f"{replay.torn}")
    if replayer.importing:
        report("an import was not finished, and is forgotten")
        for phase in (IMPORT_BEGIN, IMPORT_END):
            log.append(encode(Import(phase, b"{}")))
    opened = Binlog(state, log, replayer, segment_bytes, wall_now)
    state.journal = opened
    opened.compact()
    return opened


def apply_all(
    replay: wal.Replay, replayer: Replayer, report: Callable[[str], None], progress: Callable[[int, int], None]
) -> int:
    """Everything in the log to the replayer's state. Returns the next id. Raises as `open_binlog` does."""
    segment = 0
    next_id = 1
    try:
        for frame in replay:
            if frame.segment != segment:
                segment = frame.segment
                read_meta(replay.segments[-1].path, replay.segments[-1].meta)
            replayer.apply(frame)
            progress(replay.bytes_done, replay.bytes_total)
        orphan = replayer.finish()
        if orphan is not None and orphan.lsn <= replay.claimed_lsn:
            raise orphan
        if orphan is not None:
            report(forgotten(orphan))
    except BadRecord as error:
        path = next(segment.path for segment in replay.segments if segment.number == error.segment)
        raise unreadable(path, error) from error
    if replay.segments:
        next_id = read_meta(replay.segments[-1].path, replay.segments[-1].meta)
    return max(next_id, replayer.highest_id + 1)


# What the tools say as well, in the same words:


def unreadable(path: str, bad: BadRecord) -> Unreadable:
    return Unreadable(f"{path}: corrupt at offset {bad.offset}: {bad}")


def forgotten(orphan: BadRecord) -> str:
    return f"{orphan}; it was never promised, and is forgotten"


def read_meta(path: str, meta: bytes) -> int:
    """The next id when the segment began, out of its metadata. Raises Unreadable."""
    try:
        version, next_id = decode_meta(meta)
    except ValueError as error:
        raise Unreadable(f"{path}: corrupt at offset 0: {error}") from error
    if version > VERSION:
        raise NewerRecords(f"{path}: records of version {version} are newer than {VERSION}, the newest known here")
    return next_id
