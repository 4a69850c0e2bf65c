"""A generated part of a page, between two marks."""

from __future__ import annotations


class NoPlace(ValueError):
    """The page does not have the two marks."""


def replaced(page: str, begin: str, end: str, text: str) -> str:
    """The page with `text` between the marks. Raises NoPlace."""
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise NoPlace(f"the page lacks {begin!r} or {end!r}")
    return f"{before}{begin}\n{text}\n{end}{after}"
