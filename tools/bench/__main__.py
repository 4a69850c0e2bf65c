"""make bench: this server beside the C server, on one machine, in the same minutes, under the same
load.

The server has one core, the load another. Each number is the median of several rounds, in which the
servers take turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from . import pause, servers
from .chart import svg
from .growth import GROWTH_ROWS
from .load import SOURCE, Beanload, NoLoad
from .report import table
from .rows import ROWS, chosen
from .sections import Found, Machine, growth_lines, load_lines, pause_lines, start_lines
from .start import START_ROWS

QUICK = 5  # a fifth of the jobs
NAMES = [
    *(row.name for row in ROWS),
    *(row.name for row in START_ROWS),
    *(row.name for row in GROWTH_ROWS),
    pause.NAME,
]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, help="how often each server has its turn (default: 7; 3 with --quick)"
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the jobs")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="these rows; patterns such as 'put-*' may be used",
    )
    parser.add_argument("--list", action="store_true", help="name all rows, measure none")
    parser.add_argument(
        "--ours", metavar="COMMAND", help="a server to measure in place of this tree's"
    )
    parser.add_argument("--label", default="ours", help="what to call it")
    parser.add_argument(
        "--compiled",
        metavar="PYTHON",
        help="measure the server installed for this interpreter, too",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench-results"),
        help="folder for JSON and chart, and for the logs meanwhile",
    )
    parser.add_argument(
        "--beanload",
        type=Path,
        default=SOURCE,
        help="source of the load generator (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def subjects(options: argparse.Namespace) -> list[servers.Subject]:
    found = [
        servers.ours(options.label, shlex.split(options.ours))
        if options.ours
        else servers.ours(options.label)
    ]
    if options.compiled:
        found.append(servers.compiled(options.compiled))
    beside = servers.c_server()
    if beside is None:
        say("The C server (Debian's package beanstalkd) is not here: nothing to compare with.\n")
    return [*found, beside] if beside else found


def measure(machine: Machine, only: list[str]) -> Iterable[Found]:
    names = chosen(NAMES, only)
    yield from load_lines(machine, [row for row in ROWS if row.name in names])
    yield from start_lines(machine, [row for row in START_ROWS if row.name in names])
    yield from growth_lines(machine, [row for row in GROWTH_ROWS if row.name in names])
    if pause.NAME in names:
        yield from pause_lines(machine)


def write(output: Path, found: list[Found], title: str) -> None:
    (output / "bench.json").write_text(
        json.dumps({"title": title, "lines": [each.json for each in found]}, indent=1) + "\n"
    )
    (output / "bench.svg").write_text(svg([each.line for each in found], title))
    (output / "bench.md").write_text(f"{title}\n\n{table(each.line for each in found)}\n")


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.list:
        print("\n".join(NAMES))
        return 0
    if not chosen(NAMES, options.only):
        say(f"none of the rows is called {' or '.join(options.only)}\n")
        return 2
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    options.output.mkdir(parents=True, exist_ok=True)
    rounds = options.rounds or (3 if options.quick else 7)
    with (
        tempfile.TemporaryDirectory(dir=options.output, prefix="run.") as directory,
        servers.on_core(servers.LOAD_CORE),
    ):
        try:
            beanload = Beanload(options.beanload, Path(directory).resolve())
        except NoLoad as error:
            say(f"bench: {error}\n")
            return 1
        machine = Machine(
            subjects(options),
            beanload,
            Path(directory).resolve(),
            rounds,
            QUICK if options.quick else 1,
            say,
        )
        found = list(measure(machine, options.only))
    title = f"beanstalkd-py beside the C server, {time.strftime('%Y-%m-%d')}, {rounds} rounds{', quick' if options.quick else ''}"
    print(table(each.line for each in found))
    write(options.output, found, title)
    return 0


def say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
