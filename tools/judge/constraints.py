"""Excludes actions whose outcome depends on timing, or is undefined on the C server.

The constraints apply to generated sequences and to shortened ones.
"""

from __future__ import annotations

from collections import Counter

from beanstalkd_py.protocol.commands import (
    PEEK,
    PUT,
    PUT_END,
    QUIT,
    RELEASE,
    RESERVE_TIMEOUT,
    Command,
)

from .actions import Action, Setting
from .lines import Line
from .tracker import Client, Tracker, may_wait, waiting_tubes

# Bytes after a waiting reserve. The C server does not read them; with too many it does not see
# that the client closes (row hang-up).
MAX_PIPELINED_BYTES = 10_000


def violation(tracker: Tracker, setting: Setting, action: Action) -> str:
    """Why this action is excluded; "" if it is allowed."""
    client = tracker.clients.get(action.name)
    if client is None:
        return ""
    # A half-sent put counts, because its line takes an id.
    if action.verb == "close" and len(client.pending) + bool(client.lines.missing) > 1:
        return "a close interrupts commands without a reply at any point"
    if action.verb != "send":
        return ""
    lines = client.lines.ahead(action.data)
    if _continues_after_quit(lines, action.data):
        return "a close with unread input is a reset, which also drops earlier replies"
    others = [other for other in tracker.clients.values() if other is not client]
    commands = [*client.pending, *(line.command for line in lines)]
    if any(map(may_wait, commands)) and len(action.data) > MAX_PIPELINED_BYTES:
        return "too many bytes follow a waiting reserve"
    if len(commands) > 1 and any(len(other.pending) > 1 for other in others):
        return "two clients have several commands in flight"
    if any(each.lines.missing for each in tracker.clients.values()) and any(
        _peeks_at_unknown_job(tracker, command) for command in commands
    ):
        return "the C server shows a half-uploaded job in a malformed reply (row half-put)"
    if setting.shared_tube and len(commands) > 1:
        return "only the job may show which client is served first"
    if _is_tie(lines):
        return "two jobs get the same delay at the same time (row together)"
    if not setting.shared_tube and any(
        waiting_tubes(client.watched, commands) & other.waiting_tubes for other in others
    ):
        return "two clients wait for the same tube (row waiting-order)"
    if setting.timed and _may_lose_ttr(client, commands):
        return "the C server may lose a TTR (row lost-ttr)"
    return ""


def _continues_after_quit(lines: list[Line], data: bytes) -> bool:
    quits = [line for line in lines if line.command[0] == QUIT]
    return bool(quits) and not (
        quits[0] is lines[-1] and data.endswith(lines[-1].data[-len(data) :])
    )


def _peeks_at_unknown_job(tracker: Tracker, command: Command) -> bool:
    return command[0] == PEEK and command[1] not in tracker.ids


def _is_tie(lines: list[Line]) -> bool:
    delays = Counter(_delay(line.command) for line in lines)
    released = {_delay(line.command) for line in lines if line.command[0] == RELEASE}
    return any(delay and delays[delay] > 1 for delay in released)


def _delay(command: Command) -> int:
    if command[0] == RELEASE:
        return int(command[3])
    return int(command[2]) if command[0] in (PUT, PUT_END) else 0


def _may_lose_ttr(client: Client, commands: list[Command]) -> bool:
    return bool(client.reserved) and any(
        command[0] == RESERVE_TIMEOUT and command[1] > 0 for command in commands
    )
