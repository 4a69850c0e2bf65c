"""`repair`: an operator's explicit act that makes a damaged log usable again.

Promises: every byte that is removed is kept in a file; every intact record is kept; the jobs that
may be affected are named. With --dry-run nothing is changed. Findings are reported in `verify`'s
words, which are the server's. After a repair, `verify` finds nothing.
"""

from __future__ import annotations

from contextlib import suppress

import beanstalkd_wal as wal
from beanstalkd_wal.format import COPY_BYTES, HEADER_BYTES, salt_of
from beanstalkd_wal.names import segment_path
from beanstalkd_wal.reader import lsn_range, read_header, scan
from beanstalkd_wal.repair import BeyondRepair, Loss, Plan, mend, plan

from beanstalkd_binlog.light import LightReplayer
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.progress import Progress
from beanstalkd_binlog.status import CLEAN, BadLog, warn
from beanstalkd_binlog.text import count
from beanstalkd_binlog.walk import Finding, Walk
from beanstalkd_py.binlog.jobrecord import job_head
from beanstalkd_py.binlog.meta import decode_meta, encode_meta
from beanstalkd_py.binlog.opening import Unreadable, find_next_id, names_not_synced, read_meta
from beanstalkd_py.binlog.records import (
    MOVE,
    UPDATE,
    UPDATE_STRUCT,
    Delete,
    Lost,
    decode,
    encode,
)

SHOWN_IDS = 20  # in a line of text; JSON has all
# More than a lost segment of 1 GiB can have assigned.
SKIPPED_IDS = 1 << 24
SEGMENT_BYTES = 65536  # of the segment for the deletes; the server creates its own segments


def repair(directory: str, output: Output, dry_run: bool, at: int) -> int:
    """at: wall clock, ns. The caller holds the lock, except for a dry run. Returns the exit
    status.
    """
    with Progress("reading") as progress:
        walk = Walk(directory, progress, replay=False, holds_lock=not dry_run)
        last_lsns = _read(walk)
    planned = _plan(directory)
    damaged = bool(walk.findings or planned.changes)
    _print_findings(walk.findings, output)
    copies: list[str] = []
    next_id = skipped = 0
    orphans = walk.replayer.orphans if dry_run else []
    if damaged and not dry_run:
        next_id = _highest_id_aside(planned) + 1
        skipped = SKIPPED_IDS if walk.corrupt and _end_is_lost(planned) else 0
        copies = mend(planned) if planned.changes else []
        orphans, next_id = _recover(directory, at, next_id, skipped)
    _print_losses(planned.losses, output)
    _print_aside(planned, output)
    if skipped:
        _print_next_id(next_id, output)
    _print_affected(_affected(last_lsns, planned), orphans, output)
    _print_end(directory, output, dry_run, damaged, bool(walk.findings), copies)
    return CLEAN


def _plan(directory: str) -> Plan:
    """Raises BadLog if a repair would have to guess, or the log is of a newer version."""
    try:
        planned = plan(directory, lost=encode(Lost()), accept=_can_be_decoded, meta=encode_meta(1))
        for segment in planned.segments:
            read_meta(segment.path, segment.header.meta)
    except (BeyondRepair, wal.NewerVersion, Unreadable) as error:
        raise BadLog(str(error)) from error
    return planned


def _can_be_decoded(record: bytes) -> bool:
    try:
        decode(record)
    except ValueError:
        return False
    return True


def _highest_id_aside(planned: Plan) -> int:
    """The highest job id that a second writer may have assigned; 0 if there is none."""
    highest = 0
    for aside in planned.aside:
        with open(segment_path(planned.directory, aside.number), "rb") as file:
            data = file.read()
        header = read_header(data[:HEADER_BYTES], aside.number).header
        with suppress(ValueError):
            highest = max(highest, decode_meta(header.meta).id_bound - 1 if header else 0)
        salt = salt_of(planned.segments[0].header.log_id)
        for found in scan(data, salt, aside.number):
            if isinstance(found, wal.Frame):
                highest = max(highest, *(_job_id(record) or 0 for record in found.records), 0)
    return highest


def _end_is_lost(planned: Plan) -> bool:
    """Whether the damage is in the last segment: it may have taken the highest ids with it."""
    return planned.headers_lost or any(
        loss.path == planned.segments[-1].path and not _is_copy_of_header(loss)
        for loss in planned.losses
    )


def _is_copy_of_header(loss: Loss) -> bool:
    return loss.offset < HEADER_BYTES and loss.length == COPY_BYTES


def _recover(directory: str, at: int, next_id: int, skipped: int) -> tuple[list[int], int]:
    """Opens the log once, which cuts a torn tail. Jobs that have no full record are deleted for
    good. Returns their ids, and the next id that the server will assign.

    next_id: the server must not assign ids below it. skipped: nor so many after the known ones.
    """
    replay = wal.Replay(directory)
    replayer = LightReplayer()
    for frame in replay:
        replayer.apply(frame)
        del frame  # it holds the bytes of its segment
    replayer.finish()
    meta = read_meta(directory, replay.meta)
    next_id = max(next_id, find_next_id(meta, replay.last_segment, replayer) + skipped)
    log = wal.Log.open(
        replay,
        segment_bytes=SEGMENT_BYTES,
        meta=lambda: encode_meta(next_id),
        at=at,
        threaded=False,
    )
    for id in replayer.orphans:
        record = encode(Delete(id))
        if log.ensure_headroom(len(record)):
            log.append(record)
    log.commit(at)
    log.close(at)
    if not log.names_synced:
        warn(names_not_synced(directory))
    return replayer.orphans, next_id


def _read(walk: Walk) -> dict[int, int]:
    """Replays the log. Returns, for each job that exists, the LSN of its latest record."""
    last: dict[int, int] = {}
    for found in walk:
        if isinstance(found, wal.Frame):
            for lsn, record in enumerate(found.records, found.first_lsn):
                id = _job_id(record)
                if id is not None:
                    last[id] = lsn
            walk.replayer.apply(found)
    walk.finish_replay()
    return {id: lsn for id, lsn in last.items() if id in walk.replayer.state.jobs}


def _job_id(record: bytes) -> int | None:
    if record and record[0] in (UPDATE, MOVE) and len(record) >= UPDATE_STRUCT.size:
        return int(UPDATE_STRUCT.unpack_from(record)[4])
    head = job_head(record)
    return None if head is None else head[0]


def _affected(last_lsns: dict[int, int], planned: Plan) -> list[int]:
    """Jobs without a record after the last loss: a lost record may have changed or deleted them."""
    last_loss = max((loss.first for loss in planned.losses if loss.last >= loss.first), default=0)
    return sorted(id for id, lsn in last_lsns.items() if lsn < last_loss)


# --- output


def _print_findings(findings: list[Finding], output: Output) -> None:
    for finding in findings:
        if not output.as_json:
            output.line(str(finding))
            continue
        output.json(
            {
                "event": "finding",
                "state": finding.state,
                "path": finding.path,
                "offset": finding.offset,
                "says": str(finding),
            }
        )


def _print_losses(losses: list[Loss], output: Output) -> None:
    for loss in losses:
        if output.as_json:
            output.json(_loss_fields(loss))
        else:
            output.line(_loss_line(loss))


def _loss_fields(loss: Loss) -> dict[str, object]:
    records = loss.last - loss.first + 1
    return {
        "event": "loss",
        "path": loss.path,
        "offset": loss.offset,
        "bytes": loss.length,
        "records": records,
        "first_lsn": loss.first if records else None,
        "last_lsn": loss.last if records else None,
        "reason": loss.reason,
    }


def _loss_line(loss: Loss) -> str:
    place = f"at offset {loss.offset}"
    removed = f"repair removes {loss.length} bytes {place}" if loss.length else place
    return f"{loss.path}: {removed}; {_lost_lsns(loss)}"


def _lost_lsns(loss: Loss) -> str:
    if loss.last < loss.first:
        return "no record is lost"
    return f"{lsn_range(loss.first, loss.last)} lost"


def _print_aside(planned: Plan, output: Output) -> None:
    for aside in planned.aside:
        path = segment_path(planned.directory, aside.number)
        if output.as_json:
            output.json({"event": "aside", "path": path, "records": aside.records})
        else:
            output.line(f"{path}: {count(aside.records, 'record')} of a second writer set aside")


def _print_next_id(next_id: int, output: Output) -> None:
    if output.as_json:
        output.json({"event": "ids", "next_id": next_id})
    else:
        output.line(f"the latest ids may be lost, so ids continue at {next_id}")


def _print_affected(affected: list[int], orphans: list[int], output: Output) -> None:
    if output.as_json:
        fields = {"event": "affected", "maybe_changed_or_deleted": affected, "lost": orphans}
        output.json(fields)
        return
    if affected:
        reason = "a lost record may have changed or deleted them"
        output.line(f"jobs kept in their last known state ({reason}): {shortened(affected)}")
    if orphans:
        reason = "their put record with the body is lost"
        output.line(f"jobs that cannot be kept ({reason}): {shortened(orphans)}")


def _print_end(
    directory: str, output: Output, dry_run: bool, damaged: bool, found: bool, copies: list[str]
) -> None:
    if output.as_json:
        event = "dry_run" if dry_run else "repaired" if damaged else "clean"
        output.json({"event": event, "copies": copies})
    elif dry_run and found:
        output.line(f"{directory}: nothing was changed (--dry-run)")
    elif dry_run or not damaged:
        output.line(f"{directory}: clean, nothing to do")
    else:
        kept = f"; removed bytes are kept in {', '.join(copies)}" if copies else ""
        output.line(f"{directory}: repaired{kept}")


def shortened(ids: list[int]) -> str:
    """`1, 2, 3 and 17 more`."""
    shown = ", ".join(map(str, ids[:SHOWN_IDS]))
    return shown if len(ids) <= SHOWN_IDS else f"{shown} and {len(ids) - SHOWN_IDS} more"
