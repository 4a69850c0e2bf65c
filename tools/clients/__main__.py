"""python -m clients FOLDER: runs a scenario of each client library on our server and on the C
server, and writes the table in docs/compatibility.md.

FOLDER has bin/python with the libraries of PyPI, and node_modules. The others come from Debian.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .run import write

if len(sys.argv) != 2:
    sys.exit(__doc__)
write(Path(__file__).resolve().parents[2], Path(sys.argv[1]).resolve())
