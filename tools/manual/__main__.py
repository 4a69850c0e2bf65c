"""python -m manual: writes the table of options in docs/operating.md, between two marks.
python -m manual share DIR: writes the manual pages and the completions of shells into DIR.

A test compares the page with the table of options.
"""

from __future__ import annotations

import sys
from pathlib import Path

if sys.argv[1:2] == ["share"] and len(sys.argv) == 3:
    from . import share

    share.write(Path(sys.argv[2]))
elif len(sys.argv) == 1:
    from . import options_table

    options_table.write(Path(__file__).resolve().parents[2])
else:
    sys.exit(__doc__)
