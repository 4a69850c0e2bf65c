"""Finds the replies in a stream of bytes, and rejects bytes that are not a reply."""

from __future__ import annotations

import re

_NAME = rb"[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}"
_PLAIN = re.compile(
    rb"INSERTED \d+|BURIED(?: \d+)?|RELEASED|DELETED|TOUCHED|KICKED(?: \d+)?|PAUSED|"
    rb"WATCHING \d+|USING " + _NAME + rb"|"
    rb"TIMED_OUT|DEADLINE_SOON|NOT_FOUND|NOT_IGNORED|EXPECTED_CRLF|JOB_TOO_BIG|DRAINING|"
    rb"OUT_OF_MEMORY|INTERNAL_ERROR|BAD_FORMAT|UNKNOWN_COMMAND|PONG|"
    rb"RESERVED_BATCH \d+|DRAIN (?:on|off)|"
    rb"EXISTS \d+|TUBE_FULL|TUBE_SET|TRUNCATED \d+|MOVED(?: \d+)?"
)
_WITH_BODY = re.compile(rb"(?:OK|(?:RESERVED|FOUND) \d+) (?P<size>\d+)")
_LONGEST_LINE = 6 + 200 + 2  # USING <200 bytes>


class Malformed(ValueError):
    """Bytes that are not a reply."""


def take_reply(data: bytes, old_memory: bool = False) -> tuple[bytes, bytes] | None:
    """The first reply and the bytes after it; None if the reply is incomplete.

    old_memory: the C server sends uninitialised memory for a half-uploaded job, which need not end
    with CRLF.
    """
    line, newline, _ = data.partition(b"\r\n")
    if not newline:
        if len(data) > _LONGEST_LINE:
            raise Malformed(f"a reply line is too long: {data[:250]!r}")
        return None
    end = len(line) + 2
    if match := _WITH_BODY.fullmatch(line):
        end += int(match["size"]) + 2
        if len(data) < end:
            return None
        if data[end - 2 : end] != b"\r\n" and not (old_memory and line.startswith(b"FOUND")):
            raise Malformed(f"a body does not match its size: {data[:end]!r}")
    elif not _PLAIN.fullmatch(line):
        raise Malformed(f"not a reply: {line!r}")
    return data[:end], data[end:]


def split_replies(data: bytes) -> list[bytes]:
    """All replies of a stream that contains only complete replies."""
    replies = []
    while data:
        taken = take_reply(data)
        if taken is None:
            raise Malformed(f"an incomplete reply: {data!r}")
        replies.append(taken[0])
        data = taken[1]
    return replies
