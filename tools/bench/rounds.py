"""Rounds: each subject in turn, several times. Each round gives one ratio; their median counts, and
their spread is shown.

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
    """The median of the rounds' ratios, the least and the greatest of them."""

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


def ratio(samples: Samples[S], label: str, metric: str, beside: str = C) -> Ratio | None:
    """To that other label. None for itself, and where it was not measured."""
    if label == beside or not samples.get(beside):
        return None
    pairs = zip(samples[label], samples[beside], strict=True)
    return spread([getattr(mine, metric) / getattr(theirs, metric) for mine, theirs in pairs])


def spread(ratios: Sequence[float]) -> Ratio:
    return Ratio(median(ratios), min(ratios), max(ratios))
