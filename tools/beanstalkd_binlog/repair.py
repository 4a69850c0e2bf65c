"""`repair`: the explicit act. Takes out what is damaged, keeps every byte of it, and says which
jobs may be affected.

May know: `wal.repair`, which does it, and the queue, to say what it means. Promises: with --dry-run
nothing is changed; what is wrong is told in `verify`'s words, which are the server's; afterwards
`verify` finds nothing.
"""

from __future__ import annotations

import beanstalkd_wal as wal
from beanstalkd_wal.repair import BeyondRepair, Plan, mend, plan

from beanstalkd_binlog.light import LightReplayer
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.progress import Progress
from beanstalkd_binlog.status import BAD_LOG, CLEAN, Stop
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.opening import Unreadable, read_meta
from beanstalkd_py.binlog.records import (
    FULL,
    FULL_STRUCT,
    UPDATE,
    UPDATE_STRUCT,
    Delete,
    Lost,
    decode,
    encode,
    encode_meta,
)

SHOWN = 20  # ids in a line for eyes; JSON has all


class Beyond(Stop):
    exit_code = BAD_LOG


def repair(directory: str, output: Output, dry_run: bool, at: int) -> int:
    """at: wall clock, ns. The directory is locked, unless it is a dry run. Returns the exit status."""
    with Progress("reading") as progress:
        walk = Walk(directory, progress, replay=False, alone=not dry_run)
        last_lsns = _read(walk)
    try:
        what = plan(directory, lost=encode(Lost()), accept=_says_something)
        for segment in what.segments:
            read_meta(segment.path, segment.header.meta)
    except (BeyondRepair, wal.NewerVersion, Unreadable) as error:
        raise Beyond(str(error)) from error
    _tell_findings(walk, output)
    affected = _affected(last_lsns, what)
    if dry_run:
        _tell_losses(what, affected, walk.replayer.orphans, output)
        _tell(
            output,
            "dry_run",
            f"{directory}: nothing was changed (--dry-run)"
            if walk.findings
            else f"{directory}: clean, nothing to do",
            [],
        )
        return CLEAN
    copies = mend(what) if what.changes else []
    missing = _go_on(directory, at) if walk.findings or what.changes else []
    _tell_losses(what, affected, missing, output)
    if walk.findings or what.changes:
        _tell(
            output,
            "repaired",
            f"{directory}: repaired"
            + (f"; what was taken out is kept in {', '.join(copies)}" if copies else ""),
            copies,
        )
    else:
        _tell(output, "clean", f"{directory}: clean, nothing to do", [])
    return CLEAN


def _says_something(record: bytes) -> bool:
    try:
        decode(record)
    except ValueError:
        return False
    return True


def _go_on(directory: str, at: int) -> list[int]:
    """Opens the log once, which cuts a torn tail; jobs whose beginning is lost are deleted for
    good. Returns their ids.
    """
    replay = wal.Replay(directory)
    replayer = LightReplayer()
    for frame in replay:
        replayer.apply(frame)
    replayer.finish()
    log = wal.Log.open(
        replay,
        segment_bytes=SEGMENT_BYTES,
        meta=lambda: replay.meta or encode_meta(1),
        at=at,
        threaded=False,
    )
    for id in replayer.orphans:
        record = encode(Delete(id))
        if log.ensure_headroom(len(record)):
            log.append(record)
    log.commit(at)
    log.close(at)
    return replayer.orphans


SEGMENT_BYTES = 65536  # of the segment that takes the deletes; the server makes its own


def _read(walk: Walk) -> dict[int, int]:
    """Replays. Returns the jobs that are there, and the LSN that spoke last of each."""
    last: dict[int, int] = {}
    for found in walk:
        if isinstance(found, wal.Frame):
            for lsn, record in enumerate(found.records, found.first_lsn):
                id = _job(record)
                if id is not None:
                    last[id] = lsn
            walk.replayer.apply(found)
    walk.settle()
    return {id: lsn for id, lsn in last.items() if id in walk.replayer.state.jobs}


def _job(record: bytes) -> int | None:
    if record[:1] == bytes((FULL,)) and len(record) >= FULL_STRUCT.size:
        return int(FULL_STRUCT.unpack_from(record)[4])
    if record[:1] == bytes((UPDATE,)) and len(record) == UPDATE_STRUCT.size:
        return int(UPDATE_STRUCT.unpack(record)[4])
    return None


def _affected(last_lsns: dict[int, int], what: Plan) -> list[int]:
    """Jobs of which nothing is heard behind a loss, which may have changed or deleted them."""
    last_loss = max((loss.first for loss in what.losses if loss.last >= loss.first), default=0)
    return sorted(id for id, lsn in last_lsns.items() if lsn < last_loss)


def _tell_findings(walk: Walk, output: Output) -> None:
    for finding in walk.findings:
        if output.as_json:
            output.json(
                {
                    "event": "finding",
                    "state": finding.state,
                    "path": finding.path,
                    "offset": finding.offset,
                    "says": str(finding),
                }
            )
        else:
            output.line(str(finding))


def _tell_losses(what: Plan, affected: list[int], missing: list[int], output: Output) -> None:
    for loss in what.losses:
        count = loss.last - loss.first + 1
        if output.as_json:
            output.json(
                {
                    "event": "loss", "path": loss.path, "offset": loss.offset, "bytes": loss.length, "records": count,
                    "first_lsn": loss.first if count else None, "last_lsn": loss.last if count else None, "reason": loss.reason,
                }
            )  # fmt: skip
        else:
            lsns = f"LSN {loss.first} to {loss.last} are lost" if count else "no record is lost"
            output.line(
                f"{loss.path}: {loss.length} bytes at offset {loss.offset} are taken out, {lsns}"
            )
    if output.as_json:
        output.json({"event": "affected", "maybe_changed_or_deleted": affected, "lost": missing})
        return
    if affected:
        output.line(
            f"jobs that may have been changed or deleted in what is lost, and are kept as last known: {some(affected)}"
        )
    if missing:
        output.line(f"jobs whose beginning is lost, and with it their body: {some(missing)}")


def _tell(output: Output, event: str, line: str, copies: list[str]) -> None:
    if output.as_json:
        output.json({"event": event, "copies": copies})
    else:
        output.line(line)


def some(ids: list[int]) -> str:
    """`1, 2, 3 and 17 more (20 jobs)`"""
    shown = ", ".join(map(str, ids[:SHOWN]))
    return shown if len(ids) <= SHOWN else f"{shown} and {len(ids) - SHOWN} more"
