"""Measures each subject in turn, for several rounds. Each round gives one ratio.

The median of the ratios is the result, and their spread is shown. Because the subjects alternate,
other activity on the machine affects both sides of a ratio alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple, TypeVar

from .load import Sample
from .servers import C, Subject

S = TypeVar("S", bound=NamedTuple)


class Ratio(NamedTuple):
    """Median, minimum and maximum of the ratios of all rounds."""

    median: float
    least: float
    greatest: float


Samples = dict[str, list[S]]  # label -> one sample for each round


def run(subjects: Sequence[Subject], rounds: int, measure: Callable[[Subject], S]) -> Samples[S]:
    samples: Samples[S] = {subject.label: [] for subject in subjects}
    for _ in range(rounds):
        for subject in subjects:
            samples[subject.label].append(measure(subject))
    return samples


def typical(samples: Sequence[Sample]) -> Sample:
    """The median of each field."""
    return Sample(*(median(values) for values in zip(*samples, strict=True)))


def ratio(samples: Samples[S], label: str, metric: str, other: str = C) -> Ratio | None:
    """The ratio of a label to another; None for the same label or if that was not measured."""
    if label == other or not samples.get(other):
        return None
    pairs = zip(samples[label], samples[other], strict=True)
    return spread([getattr(mine, metric) / getattr(theirs, metric) for mine, theirs in pairs])


def spread(ratios: Sequence[float]) -> Ratio:
    return Ratio(median(ratios), min(ratios), max(ratios))
