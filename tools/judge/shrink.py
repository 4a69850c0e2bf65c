"""Shortens a sequence for which the two servers differ.

The result was seen to differ. Shortening takes at most `seconds` and one further attempt.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from .actions import Action, Sequence

SECONDS = 120.0
_PUT = re.compile(rb"(?m)(^put \d+ \d+ \d+) (\d+)\r\n")
_ID = re.compile(rb"(?m)^(delete|release|bury|touch|peek|kick-job|reserve-job|stats-job) (\d+)\b")


def shrink(
    sequence: Sequence, differs: Callable[[Sequence], bool], seconds: float = SECONDS
) -> Sequence:
    """Removes actions as long as the servers still differ.

    First half of the actions at once, then a quarter, down to one; then bodies and single lines.
    """
    deadline = time.monotonic() + seconds
    actions = sequence.actions

    def still(tried: list[Action]) -> bool:
        return time.monotonic() < deadline and differs(Sequence(sequence.setting, tried))

    nactions = max(len(actions) // 2, 1)
    while True:
        actions, dropped = _drop(actions, nactions, still)
        if nactions == 1:
            shorter = _drop_lines(actions, still)
            if not dropped and shorter == actions:
                return Sequence(sequence.setting, actions)
            actions = shorter
        nactions = max(nactions // 2, 1)


def _drop(
    actions: list[Action], nactions: int, still: Callable[[list[Action]], bool]
) -> tuple[list[Action], bool]:
    """Removes each run of actions that is not needed, from the end. Returns whether any was."""
    dropped = False
    at = len(actions)
    while at > 0:
        at = max(at - nactions, 0)
        gone = actions[at : at + nactions]
        for tried in _without(actions, at, nactions):
            if gone and still(tried):
                actions, dropped = tried, True
                break
    return actions, dropped


def _without(actions: list[Action], at: int, nactions: int) -> list[list[Action]]:
    """The actions without that run.

    If the run is one action that may have put a job, also a version with later ids reduced by one.
    """
    rest = actions[:at] + actions[at + nactions :]
    if nactions == 1 and at < len(actions) and b"put " in actions[at].data:
        id = sum(action.data.count(b"put ") for action in actions[:at]) + 1
        return [rest, [_renumbered(action, id) for action in rest]]
    return [rest]


def _renumbered(action: Action, gone: int) -> Action:
    def less(found: re.Match[bytes]) -> bytes:
        id = int(found[2])
        return b"%b %d" % (found[1], id - (id > gone))

    return action._replace(data=_ID.sub(less, action.data))


def _slim(action: Action) -> Action:
    """Replaces each complete body by one byte."""
    slim, rest = b"", action.data
    while found := _PUT.search(rest):
        end = found.end() + int(found[2])
        whole = rest[end : end + 2] == b"\r\n"
        slim += rest[: found.start()] + (
            b"%b 1\r\nx" % found[1] if whole else rest[found.start() : end]
        )
        rest = rest[end:]
    return action._replace(data=slim + rest)


def _drop_lines(actions: list[Action], still: Callable[[list[Action]], bool]) -> list[Action]:
    """Shortens bodies, and removes lines of blocks one by one."""
    for number in range(len(actions) - 1, -1, -1):
        tried = [*actions[:number], _slim(actions[number]), *actions[number + 1 :]]
        if tried != actions and still(tried):
            actions = tried
        lines = actions[number].data.splitlines(keepends=True)
        at = len(lines)
        while at > 0 and len(lines) > 1:
            at -= 1
            data = b"".join(lines[:at] + lines[at + 1 :])
            tried = [*actions[:number], actions[number]._replace(data=data), *actions[number + 1 :]]
            if still(tried):
                actions = tried
                del lines[at]
    return actions
