"""Runs the scenarios of client libraries. A scenario is a program in the library's language: it
gets the host and the port, checks what the library returns, and prints the library's version.

The commands in the table are those that the server has counted.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from testkit.daemon import OURS, Daemon
from testkit.page import replaced

PAGE = "docs/compatibility.md"
BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"
SCENARIOS = Path(__file__).with_name("scenarios")
LIMIT_S = 60
SERVERS: dict[str, Sequence[str]] = {"this server": OURS, "beanstalkd 1.12": ("beanstalkd",)}
_HEADING = ["| library | version | commands that were tried | " + " | ".join(SERVERS) + " |"]
_HEADING.append("|---|---|---|" + "---|" * len(SERVERS))


class Library(NamedTuple):
    """name: as its users know it. file: of its scenario."""

    name: str
    file: str


LIBRARIES = (
    Library("greenstalk (Python)", "greenstalk_life.py"),
    Library("aiostalk (Python)", "aiostalk_life.py"),
    Library("pystalk (Python)", "pystalk_life.py"),
    Library("pystalkd (Python)", "pystalkd_life.py"),
    Library("beanstalkc3 (Python)", "beanstalkc3_life.py"),
    Library("pheanstalk (PHP)", "pheanstalk.php"),
    Library("Symfony Messenger's bridge (PHP)", "symfony.php"),
    Library("beaneater (Ruby)", "beaneater.rb"),
    Library("node-beanstalk (Node.js)", "node-beanstalk.js"),
    Library("jackd (Node.js)", "jackd.js"),
    Library("fivebeans (Node.js)", "fivebeans.js"),
    Library("beanstalkd (Node.js)", "beanstalkd.js"),
)


class Outcome(NamedTuple):
    """commands: what the server has counted. failure: the last line of a scenario that failed."""

    version: str
    commands: tuple[str, ...]
    failure: str


def interpreter(file: str, folder: Path) -> list[str]:
    return {
        ".py": [f"{folder}/bin/python"],
        ".php": ["php", "-d", "include_path=/usr/share/php"],
        ".rb": ["ruby"],
        ".js": ["node"],
    }[Path(file).suffix]


def run(library: Library, program: Sequence[str], folder: Path) -> Outcome:
    with Daemon(program=program) as daemon:
        daemon.start()
        words = [*interpreter(library.file, folder), str(SCENARIOS / library.file)]
        done = subprocess.run(
            [*words, "127.0.0.1", str(daemon.port)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env={**os.environ, "NODE_PATH": f"{folder}/node_modules"},
        )
        with daemon.client() as client:
            counts = client.stats()
    commands = tuple(
        key.removeprefix("cmd-")
        for key, count in counts.items()
        if key.startswith("cmd-") and int(count) > (key == "cmd-stats")
    )
    said = (done.stdout + done.stderr).strip().splitlines() or [""]
    return Outcome(said[-1], commands, said[-1] if done.returncode else "")


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    first = outcomes[0]
    results = (f"fails: {outcome.failure}" if outcome.failure else "works" for outcome in outcomes)
    return f"| {name} | {first.version} | {' '.join(first.commands)} | {' | '.join(results)} |"


def table(rows: Sequence[str]) -> str:
    return "\n".join([*_HEADING, *rows])


def write(root: Path, folder: Path) -> None:
    rows = []
    for library in LIBRARIES:
        outcomes = [run(library, program, folder) for program in SERVERS.values()]
        rows.append(row(library.name, outcomes))
        print(rows[-1])
    path = root / PAGE
    path.write_text(replaced(path.read_text(), BEGIN, END, table(rows)))
