"""What would make an outcome depend on chance, or on what the C server leaves open: such moves are
not made.

May know: the book. The rules hold for a sequence that is drawn and for one that was shortened.
"""

from __future__ import annotations

from collections import Counter

from beanstalkd_py.protocol.parser import (
    PEEK,
    PUT,
    PUT_END,
    QUIT,
    RELEASE,
    RESERVE_TIMEOUT,
    Command,
)

from .book import Book, Client, may_wait, reach
from .lines import Line
from .moves import Move, Setting

# : Bytes behind a reserve that waits: the C server does not read them, and with too many cannot see
# the client's end (row hang-up).
MOST_BEHIND = 10_000


def objection(book: Book, setting: Setting, move: Move) -> str:
    """Why this move is not made, "" if it may be."""
    client = book.clients.get(move.name)
    if client is None:
        return ""
    if move.verb == "close" and len(client.pending) > 1:
        return "a close breaks off what was not answered yet, anywhere"
    if move.verb != "send":
        return ""
    lines = client.lines.ahead(move.data)
    if _says_more_than_quit(lines, move.data):
        return (
            "a close with unread input is a reset, and takes replies with it that were sent before"
        )
    others = [other for other in book.clients.values() if other is not client]
    commands = [*client.pending, *(line.command for line in lines)]
    if any(map(may_wait, commands)) and len(move.data) > MOST_BEHIND:
        return "much is sent behind a reserve"
    if len(commands) > 1 and any(len(other.pending) > 1 for other in others):
        return "two clients have commands to be answered at the same time"
    if any(each.lines.missing for each in book.clients.values()) and any(
        _is_about_others(book, command) for command in commands
    ):
        return "the C server shows a job that is not there yet, and what it shows is no reply (row half-put)"
    if setting.crowd and len(commands) > 1:
        return "who is served first is told by the job alone"
    if _is_tie(lines):
        return "jobs are delayed by the same time in the same instant (row together)"
    if not setting.crowd and any(reach(client.watched, commands) & other.reach for other in others):
        return "two clients wait for the same tube (row waiting-order)"
    if setting.timed and _may_lose_ttr(client, commands):
        return "the C server may lose a TTR (row lost-ttr)"
    return ""


def _says_more_than_quit(lines: list[Line], data: bytes) -> bool:
    quits = [line for line in lines if line.command[0] == QUIT]
    return bool(quits) and not (
        quits[0] is lines[-1] and data.endswith(lines[-1].data[-len(data) :])
    )


def _is_about_others(book: Book, command: Command) -> bool:
    return command[0] == PEEK and command[1] not in book.ids


def _is_tie(lines: list[Line]) -> bool:
    delays = Counter(_delay(line.command) for line in lines)
    released = {_delay(line.command) for line in lines if line.command[0] == RELEASE}
    return any(delay and delays[delay] > 1 for delay in released)


def _delay(command: Command) -> int:
    if command[0] == RELEASE:
        return int(command[3])
    return int(command[2]) if command[0] in (PUT, PUT_END) else 0


def _may_lose_ttr(client: Client, commands: list[Command]) -> bool:
    return bool(client.held) and any(
        command[0] == RESERVE_TIMEOUT and command[1] > 0 for command in commands
    )
