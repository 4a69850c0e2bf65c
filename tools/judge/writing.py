"""A sequence as a transcript (tests/wire/README.md): what was sent, and what the C server said to
it; where ours said something else, that too.

May know: the transcript's language. Promises: what is written can be parsed again, and then sends
the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .moves import Move, Setting
from .verdict import differences

Told = Mapping[
    str, tuple[list[bytes], list[bytes]]
]  # by client: what ours said, what the C server said

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


def write(title: str, setting: Setting, moves: Sequence[Move], told: Sequence[Told]) -> str:
    """told: as many as moves, or fewer."""
    lines = [f"=== {title}", f"with -z {setting.max_job_size}"]
    for number, move in enumerate(moves):
        lines += _move(move)
        for name, (ours, c) in sorted(told[number].items() if number < len(told) else ()):
            lines += _replies(name, c)
            if len(ours) != len(c) or any(
                differences(*pair) is None for pair in zip(ours, c, strict=True)
            ):
                lines += [
                    f"# ours: {len(ours)} replies",
                    *(f"# {line}" for line in _replies(name, ours)),
                ]
    return "\n".join(lines) + "\n"


def _move(move: Move) -> Iterator[str]:
    if move.verb == "wait":
        yield f"wait {move.seconds}"
    elif move.verb in ("drain", "restart"):
        yield move.verb
    elif move.verb != "send":
        yield f"{move.name} {move.verb}"
    else:
        *lines, rest = move.data.split(b"\r\n")
        yield from (_spoken(f"{move.name}>", line) for line in lines)
        if rest:
            yield _spoken(f"{move.name}|", rest)


def _replies(name: str, replies: Sequence[bytes]) -> Iterator[str]:
    for reply in replies:
        line, _, rest = reply.partition(b"\r\n")
        yield _spoken(f"{name}<", line)
        if rest and line.startswith(b"OK "):
            yield from (_spoken(f"{name}:", each) for each in rest[:-3].split(b"\n"))
            yield f"{name}<"
        elif rest:
            yield _spoken(f"{name}<", rest[:-2])


def _spoken(mark: str, data: bytes) -> str:
    return f"{mark} {escape(data)}".rstrip(" ") if not data else f"{mark} {escape(data)}"
