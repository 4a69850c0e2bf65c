"""python -m judge.table: print the table of differences for docs/protocol.md; --write updates the
page.
"""

from __future__ import annotations

import argparse
import sys

from testkit.daemon import ROOT
from testkit.page import replaced

from .difference import RESTART, STATS, WIRE, Difference
from .differences import TABLE

PAGE = ROOT / "docs" / "protocol.md"
BEGIN = "<!-- Generated from tools/judge/differences.py by `python -m judge.table --write`. -->\n"
END = "<!-- End of the generated table. -->\n"


def render() -> str:
    return "\n".join(
        _section(title, [row for row in TABLE.values() if row.section == title])
        for title in (WIRE, STATS, RESTART)
    )


def _section(title: str, rows: list[Difference]) -> str:
    head = f"## {title}\n\n| | when | the C server | this server | why |\n|---|---|---|---|---|\n"
    return head + "".join(map(_row, rows))


def _row(row: Difference) -> str:
    c = f"up to {row.until}: {row.c}" if row.until else row.c
    cells = (f"`{row.name}`", row.when, c, row.ours, row.why)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def placed(page: str) -> str:
    """The page with the current table. Raises NoPlace."""
    return replaced(page, BEGIN, END, render())


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="judge.table", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    if parser.parse_args(argv).write:
        PAGE.write_text(placed(PAGE.read_text()))
    else:
        print(render(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
