"""python -m manual: writes the table of options in docs/operating.md, between two marks.

A test compares the page with the table of options.
"""

from __future__ import annotations

from pathlib import Path

from .options_table import write

write(Path(__file__).resolve().parents[2])
