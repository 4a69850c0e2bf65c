"""Rounds: each subject in turn, several times. Each round gives one ratio; their median counts, and their spread is shown.

So what changes on the machine in the meantime meets both sides of a ratio alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple, TypeVar

from .load import Sample
from .servers import C, Subject

S = TypeVar("S", bound=NamedTuple)


class Ratio(NamedTuple):
    """The median of the rounds' ratios to the C server, the least and the greatest of them."""

    median: float
    least: float
    greatest: float


Samples = dict[str, list[S]]  # by label, one for each round


def run(subjects: Sequence[Subject], rounds: int, measure: Callable[[Subject], S]) -> Samples[S]:
    samples: Samples[S] = {subject.label: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            samples[subject.label].append(measure(subject))
    return samples


def typical(samples: Sequence[Sample]) -> Sample:
    """The median of each field."""
    return Sample(*(median(values) for values in zip(*samples, strict=True)))


def ratio(samples: Samples[S], label: str, metric: str) -> Ratio | None:
    """None for the C server itself, and where there is none."""
    if label == C or not samples.get(C):
        return None
    pairs = zip(samples[label], samples[C], strict=True)
    ratios = [getattr(mine, metric) / getattr(theirs, metric) for mine, theirs in pairs]
    return Ratio(median(ratios), min(ratios), max(ratios))
