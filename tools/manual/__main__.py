"""python -m manual: writes the table of options in docs/operating.md, between two marks.
python -m manual day: writes the events of a day there, from a run of the server.
python -m manual share DIR: writes the manual pages and the completions of shells into DIR.

A test compares the page with the table of options.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if sys.argv[1:2] == ["share"] and len(sys.argv) == 3:
    from . import share

    share.write(Path(sys.argv[2]))
elif sys.argv[1:] == ["day"]:
    from . import day

    day.write(ROOT)
elif len(sys.argv) == 1:
    from . import options_table

    options_table.write(ROOT)
else:
    sys.exit(__doc__)
