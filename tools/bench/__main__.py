"""make bench: measure this server and the C server in turn, on one machine, under the same load.

The server runs on one core, the load generator on another. Each number is the median of several
rounds. With --against, another commit of this server is measured in the same rounds.
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
from .bulk import BULK_ROWS
from .chart import svg
from .extension_cost import COST_ROWS
from .extension_sections import bulk_lines, cost_lines
from .growth import GROWTH_ROWS
from .load import SOURCE, Beanload, BeanloadError
from .report import LOSS_MAX, table
from .rows import ROWS, chosen
from .sections import Machine, Result, growth_lines, load_lines, pause_lines, start_lines
from .start import START_ROWS

QUICK_DIVISOR = 5
NAMES = [
    *(row.name for row in ROWS),
    *(row.name for row in START_ROWS),
    *(row.name for row in GROWTH_ROWS),
    pause.NAME,
    *(row.name for row in COST_ROWS),
    *(row.name for row in BULK_ROWS),
]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="number of rounds (default: 7; 3 with --quick)")
    parser.add_argument("--quick", action="store_true", help="use a fifth of the jobs")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names or patterns of rows, such as 'put-*'",
    )
    parser.add_argument("--list", action="store_true", help="list all rows and stop")
    parser.add_argument(
        "--ours", metavar="COMMAND", help="command of a server to measure instead of this tree"
    )
    parser.add_argument("--label", default="ours", help="name of this server in the table")
    parser.add_argument(
        "--compiled",
        metavar="PYTHON",
        help="also measure the server that is installed for this interpreter",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="also measure the server in this checkout of another commit, and compare with it",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench-results"),
        help="folder for the results, and for the logs during the run",
    )
    parser.add_argument(
        "--beanload",
        type=Path,
        default=SOURCE,
        help="source of the load generator (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def subjects(options: argparse.Namespace) -> list[servers.Subject]:
    """Raises ValueError if the checkout of --against cannot run."""
    found = [
        servers.ours(options.label, shlex.split(options.ours))
        if options.ours
        else servers.ours(options.label)
    ]
    if options.compiled:
        found.append(servers.compiled(options.compiled))
    if options.against:
        found.append(servers.base(options.against))
    c_server = servers.c_server()
    if c_server is None:
        say("The C server (Debian's package beanstalkd) is not installed: it is not compared.\n")
    return [*found, c_server] if c_server else found


def measure(machine: Machine, only: list[str]) -> Iterable[Result]:
    names = chosen(NAMES, only)
    yield from load_lines(machine, [row for row in ROWS if row.name in names])
    yield from start_lines(machine, [row for row in START_ROWS if row.name in names])
    yield from growth_lines(machine, [row for row in GROWTH_ROWS if row.name in names])
    if pause.NAME in names:
        yield from pause_lines(machine)
    yield from cost_lines(machine, [row for row in COST_ROWS if row.name in names])
    yield from bulk_lines(machine, [row for row in BULK_ROWS if row.name in names])


def write(output: Path, results: list[Result], title: str) -> None:
    (output / "bench.json").write_text(
        json.dumps({"title": title, "lines": [each.json for each in results]}, indent=1) + "\n"
    )
    (output / "bench.svg").write_text(svg([each.line for each in results], title))
    (output / "bench.md").write_text(f"{title}\n\n{table(each.line for each in results)}\n")


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.list:
        print("\n".join(NAMES))
        return 0
    if not chosen(NAMES, options.only):
        say(f"no row is called {' or '.join(options.only)}\n")
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
            compared = subjects(options)
        except (BeanloadError, ValueError) as error:
            say(f"bench: {error}\n")
            return 1
        machine = Machine(
            compared,
            beanload,
            Path(directory).resolve(),
            rounds,
            QUICK_DIVISOR if options.quick else 1,
            say,
        )
        results = list(measure(machine, options.only))
    quick = ", quick" if options.quick else ""
    title = f"beanstalkd-py and the C server, {time.strftime('%Y-%m-%d')}, {rounds} rounds{quick}"
    print(table(each.line for each in results))
    if options.against:
        print(losses(results))
    write(options.output, results, title)
    return 0


def losses(results: Iterable[Result]) -> str:
    """Which rows are worse than the base commit by more than LOSS_MAX."""
    lost = [f"{each.line.name} ({each.line.label})" for each in results if each.line.lost]
    return f"lost more than {LOSS_MAX:.0%} against the base: {', '.join(lost) or 'no row'}"


def say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
