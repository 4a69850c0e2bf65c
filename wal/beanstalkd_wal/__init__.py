"""An append-only log of records in a directory: bytes in, the same bytes out, in order, also after
a crash.

    replay = wal.Replay(directory)                  # reads; changes nothing
    for frame in replay:
        for record in frame.records: ...
    log = wal.Log.open(replay, at=now)              # goes on behind what was read
    log.append(b"...")                              # cheap; nothing is written yet
    log.commit(now)                                 # hands all of it to a thread, which writes and syncs
    log.collect(); log.promised_lsn                 # how far that has come
    log.close(now)

Take `wal.lock(directory)` first: one writer at a time.

**What lies there.** Segments `00000001.wal`, `00000002.wal`, ... hold frames; one frame is what one
commit wrote, and holds records. Records are counted: the LSN of the first one ever is 1. `spare.N`
are files filled with zeros that wait to become segments, `torn.SEGMENT.OFFSET` what recovery has
cut off. Everything else in the directory is left alone. The bytes are described in
`wal/beanstalkd_wal/format.py`: each segment begins with a header (twice), each frame with 48 bytes;
headers and payloads have a CRC-32C each, frames' from a salt which is the log's own. Zeros are
never valid. A segment of a newer format version is named as such (NewerVersion) and left alone, the
whole log with it.

**What is promised.** `promised_lsn` is the last record that will be there after a crash: of the
machine with Durability.SYNC (each batch is synced; batches that wait while one is synced share the
next sync), of the process with WINDOW (the owner calls `sync` as often as it likes) and NEVER. A
failed write or sync is final: `promised_lsn` stays, LogFailed is raised, nothing is retried.

**Torn is not corrupt.** A crash can leave an unfinished tail. It was not promised: replay reports
it as `torn`, `Log.open` keeps its bytes aside and cuts it. Damage to what was durable is Corrupt,
with file and offset, and nothing is changed. The two are told apart by claims: each frame says up
to which LSN everything was durable when it was written, so damage below the highest claim is
corruption. A frame's own records are claimed by the next one; `claim`, for an owner who falls idle,
and `close` write an empty frame to that end.

**Room.** Nothing is written where nothing was prepared, so that a full disk is met while preparing,
not while committing. `room` is what is prepared; `prepare` makes it grow in the background;
`append` raises LogFull when the record does not fit; `ensure_headroom` allocates at once. `drop` gives up
segments, the oldest first, as soon as everything appended so far is durable; when room is short
their space is kept as spares.

The library reads no clock, opens no socket, prints and logs nothing. Times are arguments: integers
of nanoseconds, wall clock.
"""

from __future__ import annotations

from beanstalkd_wal.directory import Durability
from beanstalkd_wal.errors import Corrupt, Locked, LogFailed, LogFull, NewerVersion, WalError
from beanstalkd_wal.format import Frame
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.locking import Lock, lock
from beanstalkd_wal.log import Log
from beanstalkd_wal.replay import Replay, SegmentInfo, Torn

__all__ = [
    "Log",
    "Durability",
    "Replay",
    "Frame",
    "SegmentInfo",
    "Torn",
    "FileSystem",
    "Lock",
    "lock",
    "WalError",
    "Corrupt",
    "NewerVersion",
    "LogFailed",
    "LogFull",
    "Locked",
]
