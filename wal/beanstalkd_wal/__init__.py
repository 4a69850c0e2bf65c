"""An append-only log of records in a directory. Bytes go in; the same bytes come out, in order,
also after a crash.

    lock = wal.lock(directory)                 # one writer at a time
    replay = wal.Replay(directory)             # reads; changes nothing
    for frame in replay:
        for record in frame.records: ...
    log = wal.Log.open(replay, at=now, lock=lock)  # recovers, then continues after the last record
    log.append(b"...")                         # in memory only; raises LogFull
    log.commit(now)                            # a thread writes and syncs everything appended
    log.collect()                              # takes over what the threads have done
    log.promised_lsn                           # the promise holds for all records up to this LSN
    log.close(now)
    lock.close()

**Files.** Segments `00000001.wal`, `00000002.wal`, ... hold frames, and frames hold records. A
commit writes one frame, or several if it has more than 256 KiB. LSNs number the records; the first
record of a log has LSN 1. `spare.N` are preallocated segments, filled with zeros before use.
`torn.SEGMENT.OFFSET` are copies of torn tails that recovery has cut off. Other files in the
directory are left alone. `format.py` describes the bytes. Headers and payloads have a CRC-32C each,
and zeros are never valid. A segment of a newer format version raises NewerVersion, and nothing is
changed.

**Promises.** `promised_lsn` is the LSN of the last record for which the mode's promise holds:

- Durability.SYNC: the record survives a power failure. Each batch is synced; batches that wait for
  a sync share the next one.
- WINDOW: the record survives the end of the process. The owner calls `sync` when it wants to.
- NEVER: the same, and `sync` does nothing.

In every mode the log syncs
- a new segment with its header, before the segment gets its name;
- a sealed segment, before its successor gets its name;
- all records appended before `retire`, before the retired segments are deleted;
- everything, at `close`.

So under NEVER a power failure takes at most the records of the active segment. A failed write or
sync is final: `promised_lsn` does not grow, LogFailed is raised, and nothing is tried again.

**Torn is not corrupt.** A crash can leave an unfinished tail in the last segment. Replay reports
the tail as `torn`; `Log.open` keeps a copy and cuts it off. Damage to durable bytes raises Corrupt,
with file and offset, and nothing is changed. The durable watermark tells the two apart. Each frame
has one: the highest LSN that was durable when the frame was written. Damage at or below the highest
watermark is corruption. The records of a frame are covered by the watermark of a later frame.
`write_watermark` (for an idle owner) and `close` write a frame without records for that purpose.

**One writer.** `lock` keeps other processes out. No file is replaced that another process may have
made. If the lock file is removed or replaced, or a name is taken, SecondWriter is raised before a
file is created, renamed or deleted; `check_lock` looks at once.

**Headroom.** Frames are written only to preallocated bytes. So only preallocation can meet a full
disk, and a commit cannot. `headroom` is the number of preallocated bytes that records can use.
`preallocate` raises it in the background, `ensure_headroom` in the call itself. `append` raises
LogFull if a record does not fit. `retire` deletes the oldest segments when everything appended
before the call is durable. While headroom is below its target, their files become spares.

The library reads no clock, opens no socket, prints and logs nothing. Times are arguments:
wall-clock time, in integers of nanoseconds.

**Modules.** Each imports only from lines above its own:

    errors  checksum  renaming  names
    fs
    format  locking
    reader  directory
    branches  salvage
    replay  operations  progress  repair_plan
    recover  preparer  repair
    committer  spares
    threads
    state
    log
"""

from __future__ import annotations

from beanstalkd_wal.directory import Durability
from beanstalkd_wal.errors import (
    Corrupt,
    Locked,
    LogFailed,
    LogFull,
    NewerVersion,
    NoThread,
    SecondWriter,
    WalError,
    WrongName,
)
from beanstalkd_wal.format import Frame
from beanstalkd_wal.fs import DISK_FULL, FileSystem
from beanstalkd_wal.locking import Lock, lock
from beanstalkd_wal.log import Log
from beanstalkd_wal.replay import Replay, SegmentInfo, Torn
from beanstalkd_wal.threads import start_thread

__all__ = [
    "Log",
    "Durability",
    "Replay",
    "Frame",
    "SegmentInfo",
    "Torn",
    "FileSystem",
    "DISK_FULL",
    "Lock",
    "lock",
    "WalError",
    "Corrupt",
    "WrongName",
    "NewerVersion",
    "LogFailed",
    "LogFull",
    "SecondWriter",
    "Locked",
    "NoThread",
    "start_thread",
]
