"""`verify`: reads every byte and replays every record.

Promises: torn and corrupt are told apart. What the server reports of this log comes first, in the
server's words.
"""

from __future__ import annotations

import os

from beanstalkd_wal.names import segment_numbers

from beanstalkd_binlog.output import Output
from beanstalkd_binlog.segment import ACTIVE, CORRUPT
from beanstalkd_binlog.status import CLEAN, TORN
from beanstalkd_binlog.status import CORRUPT as STATUS_CORRUPT
from beanstalkd_binlog.text import count
from beanstalkd_binlog.walk import Finding, Walk


def verify(walk: Walk, output: Output) -> int:
    """Returns the exit status."""
    walk.read_all()
    status = STATUS_CORRUPT if walk.corrupt else TORN if walk.findings else CLEAN
    try:
        _print(walk, output, status)
    except BrokenPipeError:
        output.discard()  # the exit status is still right
    return status


def _print(walk: Walk, output: Output, status: int) -> None:
    for finding in walk.findings:
        if output.as_json:
            output.json(_finding_fields(finding))
        else:
            output.line(str(finding))
    if output.as_json:
        output.json(_summary_fields(walk, status))
    else:
        output.line(_summary_line(walk, status))


def _finding_fields(finding: Finding) -> dict[str, object]:
    return {
        "state": finding.state,
        "segment": segment_numbers([os.path.basename(finding.path)])[0],
        "path": finding.path,
        "offset": finding.offset,
        "bytes": finding.length,
        "reason": finding.reason or finding.message,
        "server_says": finding.message or None,
    }


def _summary_fields(walk: Walk, status: int) -> dict[str, object]:
    segments = walk.reading.segments.values()
    return {
        "state": _state_name(status),
        "status": status,
        "segments": len(segments),
        "bytes": sum(segment.file_bytes for segment in segments),
        "records": sum(segment.records for segment in segments),
        "jobs": len(walk.replayer.state.jobs),
        "next_lsn": max(walk.reading.next_lsn, 1),
        "running": walk.reading.running,
    }


def _state_name(status: int) -> str:
    return {CLEAN: "clean", TORN: "torn", STATUS_CORRUPT: CORRUPT}[status]


def _summary_line(walk: Walk, status: int) -> str:
    segments = walk.reading.segments.values()
    records = sum(segment.records for segment in segments)
    counted = [
        count(len(segments), "segment"),
        count(records, "record"),
        count(len(walk.replayer.state.jobs), "job"),
    ]
    line = f"{walk.directory}: {_state_name(status)}: {', '.join(counted)}"
    if not walk.reading.running:
        return line
    active = [segment.number for segment in segments if segment.state == ACTIVE]
    return f"{line}; a server has the log open" + (
        f", segment {active[0]} is active" if active else ""
    )
