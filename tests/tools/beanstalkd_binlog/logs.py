"""Golden directories, made by code: intact logs, and logs with every kind of damage."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import beanstalkd_wal as wal
from beanstalkd_wal.format import FRAME_BYTES, HEADER_BYTES, encode_header
from beanstalkd_wal.reader import read_header

from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.binlog.opening import Unreadable, open_binlog
from beanstalkd_py.binlog.records import (
    IMPORT_BEGIN,
    IMPORT_END,
    VERSION,
    Delete,
    Full,
    Import,
    Move,
    Pause,
    Record,
    Update,
    encode,
)
from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, RESERVED
from beanstalkd_py.queue.state import State

S = 1_000_000_000
AT = 1_767_225_600 * S  # 2026-01-01T00:00:00Z; batches follow each other by a second
SEGMENT = 4096
SYNC, NEVER = wal.Durability.SYNC, wal.Durability.NEVER

Batch = Iterable[Record | bytes]


class Unsynced(wal.FileSystem):
    """The real file system without syncs: no test here simulates a power failure."""

    def sync(self, handle: int) -> None:
        pass

    def sync_directory(self, handle: int) -> bool:
        return True


def put(id: int, tube: bytes = b"default", body: bytes = b"", **changes: int) -> Full:
    job = Full(READY, 5, id, 0, 60 * S, AT, 0, 0, 0, 0, 0, 0, tube, body)
    return job._replace(**changes)


def update(id: int, state: int = READY, **changes: int) -> Update:
    return Update(state, 5, id, 0, 0, 0, 0, 0, 0, 0)._replace(**changes)


def move(id: int, tube: bytes, state: int = READY, **changes: int) -> Move:
    return Move(state, 5, id, 0, 0, 0, 0, 0, 0, 0, tube)._replace(**changes)


def open_log(
    directory: Path,
    durability: wal.Durability = SYNC,
    segment_bytes: int = SEGMENT,
    next_id: int = 1,
    at: int = AT,
) -> wal.Log:
    return wal.Log.open(
        replayed(directory),
        segment_bytes=segment_bytes,
        durability=durability,
        meta=lambda: encode_meta(next_id),
        at=at,
        threaded=False,
    )


def append(log: wal.Log, batch: Batch, at: int) -> None:
    """Commits one frame; two if a segment ends in between."""
    for record in batch:
        data = record if isinstance(record, bytes) else encode(record)
        assert log.ensure_headroom(len(data))
        log.append(data)
    log.commit(at)


def write(directory: Path, *batches: Batch, close: bool = True, **options: object) -> Path:
    """A log with one frame per batch. close=False: as a killed server leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    log = open_log(directory, **options)  # type: ignore[arg-type]
    for number, batch in enumerate(batches):
        append(log, batch, AT + number * S)
    if close:
        log.close(AT + len(batches) * S)
    return directory


# The records of the clean log: LSNs from 1, one frame per batch.
STORY: list[Batch] = [
    [put(1, body=b"hello")],
    [
        put(2, b"mail", b"w\xc3\xb6rld", state=DELAYED, delay=100 * S, deadline_at=AT + 101 * S),
        put(3, b"mail", b"\x00\xff\r\n", pri=7),
    ],
    [Pause(b"mail", 10 * S, AT + 12 * S)],
    [
        update(1, BURIED, pri=9, deadline_at=1, reserves=1, buries=1),
        update(3, pri=8, reserves=1, releases=1),
    ],
    [
        put(4, b"big", b"x" * 2500),
        update(2, kicks=1),
    ],  # the log may rotate between these two
    [
        put(5, b"big", b"y" * 1500),
        update(2, RESERVED, deadline_at=AT + 65 * S, kicks=1, reserves=1),
    ],
    [update(3, pri=8, reserves=2, releases=1, timeouts=1)],
    [Delete(4), Pause(b"mail", 0, 0)],
    [
        put(6, b"big", b"z" * 2600),
        put(1, body=b"hello", state=BURIED, pri=9, deadline_at=1, reserves=1, buries=1),
    ],
]


def clean(directory: Path) -> Path:
    return write(directory, *STORY, next_id=1)


def killed(directory: Path) -> Path:
    """Intact, with headroom after the last frame."""
    return write(directory, [put(1, body=b"hello")], [put(2, body=b"you")], close=False)


def torn(directory: Path) -> Path:
    """The end of the last frame is missing."""
    killed(directory)
    path = last_segment(directory)
    frame = frames(directory)[-1]
    patch(path, frame.end - 3, bytes(3))
    return directory


def flipped(directory: Path) -> Path:
    """One bit in the first frame of segment 1, which later watermarks cover."""
    clean(directory)
    flip(segment(directory, 1), HEADER_BYTES + FRAME_BYTES + 20)
    return directory


def missing(directory: Path) -> Path:
    """Segment 2 is missing."""
    clean(directory)
    segment(directory, 2).unlink()
    return directory


def newer(directory: Path) -> Path:
    """The last segment has a newer format version."""
    clean(directory)
    path = last_segment(directory)
    for offset in (8, 512 + 8):
        patch(path, offset, struct.pack("<I", 2))
    return directory


def newer_records(directory: Path) -> Path:
    """The records have a newer version."""
    directory.mkdir(parents=True)
    log = wal.Log.open(
        replayed(directory),
        segment_bytes=SEGMENT,
        meta=lambda: struct.pack("<HHIQ", VERSION + 1, 0, 0, 1),
        at=AT,
        threaded=False,
    )
    append(log, [put(1)], AT)
    log.close(AT)
    return directory


def orphan(directory: Path) -> Path:
    """Job 7 has an update, but no full record."""
    return write(directory, [put(1)], [update(7, BURIED)], [put(2)])


def unreadable(directory: Path) -> Path:
    """A record of an unknown kind, in an intact frame."""
    return write(directory, [put(1)], [b"\x63nothing", put(2)], [put(3)])


def imported(directory: Path) -> Path:
    return write(
        directory,
        [put(1)],
        [Import(IMPORT_BEGIN, b'{"from": 1}'), put(2), Import(IMPORT_END, b'{"from": 1}')],
        [put(3)],
    )


def empty(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


MAKERS = {
    maker.__name__: maker
    for maker in (
        clean,
        killed,
        torn,
        flipped,
        missing,
        newer,
        newer_records,
        orphan,
        unreadable,
        imported,
        empty,
    )
}


# --- damage


def segment(directory: Path, number: int) -> Path:
    return directory / f"{number:08}.wal"


def last_segment(directory: Path) -> Path:
    return max(directory.glob("*.wal"))


def frames(directory: Path) -> list[wal.Frame]:
    return list(wal.Replay(directory))


def patch(path: Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def flip(path: Path, offset: int, bit: int = 1) -> None:
    patch(path, offset, bytes([path.read_bytes()[offset] ^ bit]))


def change_header(path: Path, **changes: object) -> None:
    """Changes fields of a header, which stays intact."""
    header = read_header(path.read_bytes()[:HEADER_BYTES], int(path.name[:8])).header
    assert header is not None
    for name, value in changes.items():
        setattr(header, name, value)
    patch(path, 0, encode_header(header))


def replayed(directory: Path) -> wal.Replay:
    replay = wal.Replay(directory, fs=Unsynced())
    for _ in replay:
        pass
    return replay


# --- the server


class ServerReport(NamedTuple):
    """What a start says of a log: why it refuses, "" if it does not, and other messages."""

    refusal: str
    messages: list[str]


def server_report(directory: Path) -> ServerReport:
    """Opens the log as the server does at its start."""
    messages: list[str] = []
    try:
        opened = open_binlog(
            str(directory),
            State(),
            segment_bytes=1 << 16,
            durability=SYNC,
            now=0,
            wall_now=AT,
            notify=lambda: None,
            report=messages_only(messages.append),
            threaded=False,
        )
    except (wal.Corrupt, wal.NewerVersion, Unreadable) as error:
        return ServerReport(str(error), messages)
    opened.log.close(AT)
    return ServerReport("", messages)
