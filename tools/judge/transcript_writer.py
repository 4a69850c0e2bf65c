"""Writes a sequence as a transcript (see tests/wire/README.md).

The transcript contains what was sent and what the C server replied. A different reply of this
server is added as a comment. The written transcript can be parsed again, and then sends the same
bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .actions import Action, Setting
from .reply_comparison import differences

Replies = Mapping[
    str, tuple[list[bytes], list[bytes]]
]  # client -> replies of this server, replies of the C server

_PLAIN = frozenset(range(0x21, 0x7F)) - frozenset(b"\\{#<") | {0x20}
_NAMED = {
    0x0D: "\\r",
    0x0A: "\\n",
    0x09: "\\t",
    0x00: "\\0",
    0x5C: "\\\\",
    0x7B: "\\{",
    0x23: "\\#",
    0x3C: "\\<",
}
_RUN = re.compile(r"([A-Za-z0-9])\1{19,}")


def escape(data: bytes) -> str:
    text = "".join(
        chr(byte) if byte in _PLAIN else _NAMED.get(byte, f"\\x{byte:02x}") for byte in data
    )
    text = _RUN.sub(lambda run: f"{{{run[1]}*{len(run[0])}}}", text)
    return text[:-1] + "\\s" if text.endswith(" ") else text


def write(
    title: str, setting: Setting, actions: Sequence[Action], replies: Sequence[Replies]
) -> str:
    """replies: one for each action, or fewer."""
    lines = [f"=== {title}", f"with -z {setting.max_job_size}"]
    for number, action in enumerate(actions):
        lines += _action(action)
        for name, (ours, c) in sorted(replies[number].items() if number < len(replies) else ()):
            lines += _replies(name, c)
            if len(ours) != len(c) or any(
                differences(*pair) is None for pair in zip(ours, c, strict=True)
            ):
                lines += [
                    f"# ours: {len(ours)} replies",
                    *(f"# {line}" for line in _replies(name, ours)),
                ]
    return "\n".join(lines) + "\n"


def _action(action: Action) -> Iterator[str]:
    if action.verb == "wait":
        yield f"wait {action.seconds}"
    elif action.verb in ("drain", "restart"):
        yield action.verb
    elif action.verb != "send":
        yield f"{action.name} {action.verb}"
    else:
        *lines, rest = action.data.split(b"\r\n")
        yield from (_line(f"{action.name}>", line) for line in lines)
        if rest:
            yield _line(f"{action.name}|", rest)


def _replies(name: str, replies: Sequence[bytes]) -> Iterator[str]:
    for reply in replies:
        line, _, rest = reply.partition(b"\r\n")
        yield _line(f"{name}<", line)
        if rest and line.startswith(b"OK "):
            yield from (_line(f"{name}:", each) for each in rest[:-3].split(b"\n"))
            yield f"{name}<"
        elif rest:
            yield _line(f"{name}<", rest[:-2])


def _line(mark: str, data: bytes) -> str:
    return f"{mark} {escape(data)}".rstrip(" ") if not data else f"{mark} {escape(data)}"
