"""Parses transcripts: what clients send, and what the server must reply, byte for byte.

The format is described in tests/wire/README.md. A transcript is a list of steps. A step is one
event (bytes from one client, a wait, ...) with the exact replies that each client must receive. A
client that is not mentioned must receive nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "wire" / "transcripts"

# Values that vary between servers or runs.
PLACEHOLDERS = {
    "int": rb"\d+",
    "seconds": rb"\d+\.\d{6}",
    "hex16": rb"[0-9a-f]{16}",
    "word": rb"[A-Z_]+",
}

# `on ...`: the servers that a transcript is played to.
TARGETS = {
    "everywhere": frozenset({"engine", "daemon", "c"}),
    "ours": frozenset({"engine", "daemon"}),
    "engine": frozenset({"engine"}),
}

_ESCAPES = {
    "r": b"\r",
    "n": b"\n",
    "t": b"\t",
    "s": b" ",
    "0": b"\0",
    "\\": b"\\",
    "{": b"{",
    "#": b"#",
    "<": b"<",
}
_TOKEN = re.compile(
    r"\\x(?P<hex>[0-9a-fA-F]{2})"
    r"|\\(?P<escape>.)"
    r"|\{(?P<text>[^{}]+)\*(?P<count>\d+)\}"
    r"|#(?P<id>\d+)"
    r'|<(?P<placeholder>[a-z0-9]+|")>'
    r"|(?P<plain>.)"
)
_LINE = re.compile(r"(?P<name>[A-Z])(?P<kind>[>|<:])(?: (?P<text>.*))?")
_ACTION = re.compile(r"(?P<name>[A-Z]) (?P<verb>open|shutdown|close|waits|eof)")


CACHED = 1024  # lines, and replies
ANY_LINES = ("...", b"\n")
Parts = tuple[tuple[str, bytes], ...]


class BadTranscript(ValueError):
    """A transcript that cannot be parsed."""


@dataclass(frozen=True)
class World:
    """What the text of a transcript depends on.

    Ids start above `base`.
    """

    base: int = 0
    is_c: bool = False
    logged: bool = False


@dataclass
class Reply:
    """One expected reply: the lines of the file that it consists of."""

    line: int
    parts: list[tuple[str, bytes]] = field(default_factory=list)

    def text(self) -> str:
        return "\n".join(text for text, _ in self.parts)

    def pattern(self, world: World) -> bytes:
        return b"".join(_line_pattern(text, end, world) for text, end in self.parts)

    def matches(self, data: bytes, world: World) -> bool:
        return bool(_matcher(tuple(self.parts), world)(data))


@dataclass
class Expected:
    """What one client must receive in one step."""

    replies: list[Reply] = field(default_factory=list)
    eof: bool = False
    waits: bool = False


@dataclass
class Step:
    """One event and all replies that it causes."""

    line: int
    verb: str
    name: str = ""
    pieces: list[tuple[str, bytes]] = field(default_factory=list)
    seconds: float = 0.0
    expected: dict[str, Expected] = field(default_factory=dict)

    def data(self, world: World) -> bytes:
        return b"".join(literal(text, world) + end for text, end in self.pieces)


@dataclass
class Transcript:
    path: Path
    line: int
    title: str
    targets: frozenset[str] = TARGETS["everywhere"]
    options: dict[str, int] = field(default_factory=dict)
    fresh: bool = False
    steps: list[Step] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.path.stem}: {self.title}"

    @property
    def waits(self) -> bool:
        return any(step.verb == "wait" for step in self.steps)

    @property
    def early(self) -> list[str]:
        """Clients that are connected from the start: those that no step opens."""
        names = {step.name for step in self.steps if step.name}
        for step in self.steps:
            names.update(step.expected)
        return sorted(names - {step.name for step in self.steps if step.verb == "open"})


# A transcript is played hundreds of times, in other chunks.
@lru_cache(CACHED)
def literal(text: str, world: World) -> bytes:
    """The bytes to send for a line."""
    out = []
    for token in _TOKEN.finditer(text):
        if token["placeholder"]:
            out.append(token[0].encode("latin-1"))
        else:
            out.append(_bytes(token, world))
    return b"".join(out)


@lru_cache(CACHED)
def _matcher(parts: Parts, world: World) -> Callable[[bytes], object]:
    """A function that tells whether it is given this reply."""
    if not any(map(_varies, parts)):
        return b"".join(literal(text, world) + end for text, end in parts).__eq__
    lines = [_line_pattern(text, end, world) for text, end in parts]
    return re.compile(b"".join(lines), re.DOTALL).fullmatch


def _varies(part: tuple[str, bytes]) -> bool:
    return part == ANY_LINES or any(token["placeholder"] for token in _TOKEN.finditer(part[0]))


def _line_pattern(text: str, end: bytes, world: World) -> bytes:
    if (text, end) == ANY_LINES:
        return rb"(?:[^\n]*\n)*?"
    out = []
    for token in _TOKEN.finditer(text):
        name = token["placeholder"]
        out.append(_placeholder(name, world) if name else re.escape(_bytes(token, world)))
    return b"".join(out) + re.escape(end)


def _bytes(token: re.Match[str], world: World) -> bytes:
    if token["hex"]:
        return bytes.fromhex(token["hex"])
    if token["escape"]:
        if token["escape"] not in _ESCAPES:
            raise BadTranscript(f"unknown escape {token[0]}")
        return _ESCAPES[token["escape"]]
    if token["text"]:
        return literal(token["text"], world) * int(token["count"])
    if token["id"]:
        return b"%d" % (world.base + int(token["id"]))
    return token["plain"].encode("latin-1")


def _placeholder(name: str, world: World) -> bytes:
    if name == '"':  # the C server quotes strings since 1.13; Debian has 1.12
        return b'"?' if world.is_c else b'"'
    if name == "file":
        return rb"[1-9]\d*" if world.logged else b"0"
    if name == "text":
        return rb'"?[^"\n]*"?' if world.is_c else rb'"[^"\n]*"'
    if name not in PLACEHOLDERS:
        raise BadTranscript(f"unknown placeholder <{name}>")
    return PLACEHOLDERS[name]


class _Reader:
    """Parses one file, line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.transcripts: list[Transcript] = []
        self.block_open = False  # whether the next `A>` may continue the previous block

    def read(self, text: str) -> list[Transcript]:
        for self.number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip():
                raise self.error(r"a trailing space cannot be seen: write \s")
            if line.startswith("=== "):
                self.begin(line[4:])
            elif line and not line.startswith("# ") and line != "#":
                if not self.transcripts:
                    raise self.error("a line before the first title")
                self.take(line)
        for transcript in self.transcripts:
            self.check(transcript)
        return self.transcripts

    def error(self, what: str) -> BadTranscript:
        return BadTranscript(f"{self.path}:{self.number}: {what}")

    def begin(self, title: str) -> None:
        self.transcripts.append(Transcript(self.path, self.number, title))
        self.block_open = False

    def take(self, line: str) -> None:
        transcript = self.transcripts[-1]
        words = line.split()
        if words[0] == "on" and words[-1] in TARGETS:
            transcript.targets = TARGETS[words[-1]]
        elif words[0] == "with" and len(words) == 3:
            transcript.options[words[1]] = int(words[2])
        elif line == "fresh":
            transcript.fresh = True
        elif words[0] == "wait" and len(words) == 2:
            self.add(Step(self.number, "wait", seconds=float(words[1])))
        elif words[0] == "clock" and len(words) == 2:
            self.add(Step(self.number, "clock", seconds=float(words[1])))
        elif line == "restart":
            self.add(Step(self.number, "restart"))
        elif line == "drain":
            transcript.fresh = True
            self.add(Step(self.number, "drain"))
        elif action := _ACTION.fullmatch(line):
            self.act(action["name"], action["verb"])
        elif match := _LINE.fullmatch(line):
            self.speak(match["name"], match["kind"], match["text"] or "")
        else:
            raise self.error(f"unknown line {line!r}")

    def add(self, step: Step) -> Step:
        self.transcripts[-1].steps.append(step)
        self.block_open = step.verb == "send"
        return step

    def act(self, name: str, verb: str) -> None:
        if verb == "waits":
            self.expected(name).waits = True
        elif verb == "eof":
            self.expected(name).eof = True
        else:
            self.add(Step(self.number, verb, name))

    def speak(self, name: str, kind: str, text: str) -> None:
        if kind in ">|":
            steps = self.transcripts[-1].steps
            if not (self.block_open and steps[-1].name == name):
                self.add(Step(self.number, "send", name))
            steps[-1].pieces.append((text, b"\r\n" if kind == ">" else b""))
        else:
            self.hear(self.expected(name).replies, text, b"\r\n" if kind == "<" else b"\n")

    def expected(self, name: str) -> Expected:
        steps = self.transcripts[-1].steps
        if not steps:
            raise self.error("a reply without a step")
        self.block_open = False
        return steps[-1].expected.setdefault(name, Expected())

    def hear(self, replies: list[Reply], text: str, end: bytes) -> None:
        if not (replies and _goes_on(replies[-1])):
            replies.append(Reply(self.number))
        replies[-1].parts.append((text, end))

    def check(self, transcript: Transcript) -> None:
        """Reports lines that cannot be sent or matched before anything is played."""
        for step in transcript.steps:
            self.number = step.line
            step.data(World())
            for expected in step.expected.values():
                for reply in expected.replies:
                    reply.pattern(World())
                if expected.replies and _goes_on(expected.replies[-1]):
                    raise self.error("a reply without its body")


def _goes_on(reply: Reply) -> bool:
    """Whether the next line still belongs to this reply.

    `RESERVED` and `FOUND` have one more line, `OK` all lines up to the empty one.
    """
    first = reply.parts[0][0]
    if first.startswith(("RESERVED ", "FOUND ")):
        return len(reply.parts) == 1
    return first.startswith("OK ") and reply.parts[-1] != ("", b"\r\n")


def load(folder: Path = FOLDER) -> Iterator[Transcript]:
    for path in sorted(folder.glob("*.wire")):
        yield from parse(path.read_text("ascii"), path)


def parse(text: str, path: Path = Path("-")) -> list[Transcript]:
    return _Reader(path).read(text)
