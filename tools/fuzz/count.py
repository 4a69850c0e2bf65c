"""Counts the inputs of a reader."""

from __future__ import annotations

from collections import Counter


class Count:
    """of: further counts, such as how many inputs were accepted."""

    def __init__(self) -> None:
        self.inputs = 0
        self.nbytes = 0
        self.of: Counter[str] = Counter()

    def input(self, nbytes: int) -> None:
        self.inputs += 1
        self.nbytes += nbytes

    def add(self, what: str, number: int = 1) -> None:
        self.of[what] += number

    def __str__(self) -> str:
        more = "".join(f", {number} {what}" for what, number in sorted(self.of.items()))
        return f"{self.inputs} inputs of {self.nbytes} bytes{more}"
