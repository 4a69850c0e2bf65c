"""A shorter sequence at which the two servers still differ.

May know: how to play a sequence again. Promises: what it returns was seen to differ; it takes at
most `seconds`, and a last try.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from .moves import Move, Sequence

SECONDS = 120.0
_PUT = re.compile(rb"(?m)(^put \d+ \d+ \d+) (\d+)\r\n")
_ID = re.compile(rb"(?m)^(delete|release|bury|touch|peek|kick-job|reserve-job|stats-job) (\d+)\b")


def shrink(
    sequence: Sequence, differs: Callable[[Sequence], bool], seconds: float = SECONDS
) -> Sequence:
    """Drops moves while it still differs: half of them, a quarter, ... one; then bodies, and single
    lines of what is left.
    """
    give_up_at = time.monotonic() + seconds
    moves = sequence.moves

    def still(tried: list[Move]) -> bool:
        return time.monotonic() < give_up_at and differs(Sequence(sequence.setting, tried))

    nmoves = max(len(moves) // 2, 1)
    while True:
        moves, dropped = _drop(moves, nmoves, still)
        if nmoves == 1:
            shorter = _drop_lines(moves, still)
            if not dropped and shorter == moves:
                return Sequence(sequence.setting, moves)
            moves = shorter
        nmoves = max(nmoves // 2, 1)


def _drop(
    moves: list[Move], nmoves: int, still: Callable[[list[Move]], bool]
) -> tuple[list[Move], bool]:
    """Without every run of so many moves that is not needed, from the end. Were there any?"""
    dropped = False
    at = len(moves)
    while at > 0:
        at = max(at - nmoves, 0)
        gone = moves[at : at + nmoves]
        for tried in _without(moves, at, nmoves):
            if gone and still(tried):
                moves, dropped = tried, True
                break
    return moves, dropped


def _without(moves: list[Move], at: int, nmoves: int) -> list[list[Move]]:
    """As they are; and if one move is gone that may have put a job, with the ids that come after it
    one less.
    """
    rest = moves[:at] + moves[at + nmoves :]
    if nmoves == 1 and at < len(moves) and b"put " in moves[at].data:
        id = sum(move.data.count(b"put ") for move in moves[:at]) + 1
        return [rest, [_renumbered(move, id) for move in rest]]
    return [rest]


def _renumbered(move: Move, gone: int) -> Move:
    def less(found: re.Match[bytes]) -> bytes:
        id = int(found[2])
        return b"%b %d" % (found[1], id - (id > gone))

    return move._replace(data=_ID.sub(less, move.data))


def _slim(move: Move) -> Move:
    """Each job's body, where it is here as a whole, is one byte."""
    slim, rest = b"", move.data
    while found := _PUT.search(rest):
        end = found.end() + int(found[2])
        whole = rest[end : end + 2] == b"\r\n"
        slim += rest[: found.start()] + (
            b"%b 1\r\nx" % found[1] if whole else rest[found.start() : end]
        )
        rest = rest[end:]
    return move._replace(data=slim + rest)


def _drop_lines(moves: list[Move], still: Callable[[list[Move]], bool]) -> list[Move]:
    """Bodies become short; blocks of several lines go line by line."""
    for number in range(len(moves) - 1, -1, -1):
        tried = [*moves[:number], _slim(moves[number]), *moves[number + 1 :]]
        if tried != moves and still(tried):
            moves = tried
        lines = moves[number].data.splitlines(keepends=True)
        at = len(lines)
        while at > 0 and len(lines) > 1:
            at -= 1
            data = b"".join(lines[:at] + lines[at + 1 :])
            tried = [*moves[:number], moves[number]._replace(data=data), *moves[number + 1 :]]
            if still(tried):
                moves = tried
                del lines[at]
    return moves
