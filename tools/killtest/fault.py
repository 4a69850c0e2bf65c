"""The error that all checks raise."""

from __future__ import annotations


class Fault(AssertionError):
    """The server broke a promise."""
