"""Malformed configuration and password files: each is read, or refused with a line per mistake.

May know: the key with its mistake is in the line that the mistake names.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from random import Random

from beanstalkd_py.config import file, passwords
from beanstalkd_py.config.options import Options
from beanstalkd_py.config.table import IN_FILE

from .bounds import bounded
from .count import Count

FILES = 30
STATEMENTS = 12  # of a file
_VALUES = [
    *("1", "-1", "0o660", "9" * 30, "9" * 5000, "1.5", "nan", "true", "false", "2026-01-01"),
    *(
        '"a"',
        "''",
        '"\\u0000"',
        '"660"',
        '"""\n[a]\n"""',
        "'''\n#'''",
        "[\n1,\n[2]]",
        "{a = {b=1}}",
    ),
    *("", "[" * 3000, "{", '"', "'''", "#", "\\", "=", "]", "1 2"),
]
_KEYS = [
    "x",
    "a.b",
    '"a\\nb"',
    '""',
    "''",
    "max-job-size",
    "name",
    "cron",
    "schedule",
    "a.a" + ".a" * 300,
    "'é'",
]
SECRET = "secret"
_LINES = [
    "NAME:full:scrypt$16384$8$1$c2FsdC5zYWx0$aGFzaC5oYXNoLmhhc2guaGFzaA==",
    "NAME:read:scrypt$1048576$8$16$c2FsdC5zYWx0$aGFzaC5oYXNoLmhhc2guaGFzaA==",
    "NAME:full:scrypt$99999999$99$99$c2FsdC5zYWx0$aGFzaC5oYXNoLmhhc2guaGFzaA==",
    *("NAME:full:secret", "secret", "NAME:secret:scrypt$1$2$3$secret$secret", "", "#", ":" * 50),
]
_ENDS = ["\n", "\n", "\n", "\r\n", " # [\n", "\t\n\n", "\n# '''\n"]
_HEADERS = [
    "[a]",
    "[[a]]",
    "[a.b]",
    "[[a.b]]",
    "[[schedule]]",
    "[schedule]",
    "[[listener]]",
    "[listener.tls]",
    "[port]",
    "[]",
]


def run(seed: int, count: Count) -> None:
    """Generates and checks some files from the seed."""
    rng = Random(f"config {seed}")
    with tempfile.TemporaryDirectory(prefix="fuzz.") as directory:
        path = Path(directory, "beanstalkd.toml")
        for _ in range(FILES):
            data = _file(rng)
            count.input(len(data))
            path.write_bytes(data)
            bounded(len(data), lambda: check(path, data))  # noqa: B023
        for _ in range(FILES):
            data = _passwords(rng)
            count.input(len(data))
            path.write_bytes(data)
            bounded(len(data), lambda: check_passwords(path, data))  # noqa: B023


def check(path: Path, data: bytes) -> None:
    try:
        Options(**file.read(str(path)))
    except file.WrongFile as error:
        lines = data.split(b"\n")
        assert error.mistakes
        for line, text in error.mistakes:
            assert line is not None and 1 <= line <= len(lines), (line, text)
            assert "\n" not in text and len(text) < 500, text
            key = re.match(r"([a-z_]+): ", text)
            if key is not None:
                assert key[1].encode() in lines[line - 1], (line, text)


def check_passwords(path: Path, data: bytes) -> None:
    """No mistake shows a part of its line, which may be a password in the wrong place."""
    try:
        users = passwords.read(str(path))
    except file.WrongFile as error:
        assert error.mistakes
        for line, text in error.mistakes:
            assert line is None or 1 <= line <= data.count(b"\n") + 1, (line, text)
            assert "\n" not in text and SECRET not in text, text
    else:
        assert all(passwords.parse(user.line) == user for user in users.values())
        assert all(128 * user.n * user.r <= 64 << 20 and user.p <= 16 for user in users.values())


def _passwords(rng: Random) -> bytes:
    lines = [rng.choice(_LINES).replace("NAME", f"name{rng.randrange(9)}") for _ in range(4)]
    data = bytearray(rng.choice(_ENDS).join(lines).encode())
    for _ in range(rng.choice((0, 1, 4))):
        data[rng.randrange(len(data))] = rng.choice(b"\0\n\r#:$=/+-a1\xff\xc3")
    return bytes(data)


def _file(rng: Random) -> bytes:
    data = bytearray("".join(_statement(rng) for _ in range(rng.randrange(STATEMENTS))).encode())
    for _ in range(rng.choice((0, 0, 1, 4))):
        if data:
            data[rng.randrange(len(data))] = rng.choice(b"\0\n\r\"'[]{}=#.,\\a1\xff\xc3")
    return bytes(data)


def _statement(rng: Random) -> str:
    if rng.random() < 0.1:
        return rng.choice(_HEADERS) + "\n"
    key = rng.choice([*IN_FILE, *_KEYS])
    return f"{key} = {rng.choice(_VALUES)}{rng.choice(_ENDS)}"
