"""An append-only log of records in a directory. Bytes go in; the same bytes come out, in order,
also after a crash.

    lock = wal.lock(directory)                 # one writer at a time
    replay = wal.Replay(directory)             # reads; changes nothing
    for frame in replay:
        for record in frame.records: ...
    log = wal.Log.open(replay, at=now)         # recovers, then goes on behind the last record
    log.append(b"...")                         # in memory only; raises LogFull
    log.commit(now)                            # a thread writes and syncs everything appended
    log.collect()                              # takes over what the threads have done
    log.promised_lsn                           # all records up to this one are safe
    log.close(now)
    lock.close()

**Files.** Segments `00000001.wal`, `00000002.wal`, ... hold frames. One commit writes one frame; a
frame holds records. LSNs number the records: the first one ever is 1. `spare.N` are preallocated
segments, filled with zeros. `torn.SEGMENT.OFFSET` are torn tails that recovery has cut off. Other
files in the directory are left alone. `format.py` describes the bytes; headers and payloads have a
CRC-32C each, and zeros are never valid. A segment of a newer format version raises NewerVersion,
and nothing is changed.

**Promises.** `promised_lsn` is the last record that survives a crash: of the machine under
Durability.SYNC (each batch is synced; batches that wait for a sync share the next one), of the
process under WINDOW (the owner calls `sync` when it likes) and NEVER. In every mode the log syncs
what segments need: a new segment and its header before the segment has its name, a sealed segment
before its successor has its name, the records that replace a retired segment's before that segment
is deleted, and everything at `close`. So under NEVER a power failure takes at most what was
appended since the active segment was created. A failed write or sync is final: `promised_lsn`
stays, LogFailed is raised, nothing is repeated.

**Torn is not corrupt.** A crash can leave an unfinished tail in the last segment. It was not
durable: replay reports it as `torn`, `Log.open` keeps a copy and cuts it off. Damage to durable
bytes raises Corrupt, with file and offset, and nothing is changed. The durable watermark tells the
two apart: each frame says up to which LSN the log was durable when the frame was written, so damage
below the highest watermark is corruption. The records of a frame are covered by the watermark of
the next one; `write_watermark`, for an owner that is idle, and `close` write an empty frame for
that.

**Headroom.** Frames are written only to preallocated bytes, so a full disk is met by preallocation,
not by a commit. `headroom` is how much there is, in bytes; `preallocate` raises it in the
background, `ensure_headroom` at once; `append` raises LogFull if a record does not fit. `retire`
deletes the oldest segments once everything appended so far is durable; while headroom is short,
their files become spares.

The library reads no clock, opens no socket, prints and logs nothing. Times are arguments: integers
of nanoseconds, wall clock.

**Modules.** Each imports only from lines above its own:

    errors  checksum  fs  names
    format  locking
    reader  directory
    replay  operations  progress  repair_plan
    recover  preparer  repair
    committer  spares
    threads
    state
    log
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
