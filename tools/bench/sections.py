"""The sections of the table: each measures its rows, round by round, and gives lines.

May know: all that measures, and the report's lines; nothing of arguments and files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from . import growth, load, pause, start
from .growth import GrowthRow
from .load import Beanload, Sample
from .report import Line, as_json
from .rounds import ratio, run, spread, typical
from .rows import Load, Row
from .servers import C, Subject, running, scratch
from .start import Start, StartRow

START_ROUNDS = 3  # at most: they take long, and vary little
LONG_ROUNDS = 5  # the same, where little of the time goes into a round
LEAST_JOBS = 200


class Machine(NamedTuple):
    """What there is to measure with. fewer: jobs are divided by it. say: hears of progress."""

    subjects: list[Subject]
    beanload: Beanload
    directory: Path
    rounds: int
    fewer: int
    say: Callable[[str], None]


class Found(NamedTuple):
    line: Line
    json: dict[str, object]


def load_lines(machine: Machine, rows: Sequence[Row]) -> Iterator[Found]:
    """Rows of one load are measured together."""
    order = {row.load: place for place, row in reversed([*enumerate(rows)])}
    for used, group in groupby(
        sorted(rows, key=lambda row: order[row.load]), key=lambda row: row.load
    ):
        same = list(group)
        machine.say(f"{same[0].title} ")
        samples = run(
            machine.subjects, min(machine.rounds, used.rounds), partial(_one, machine, used)
        )
        machine.say("\n")
        for row in same:
            for label, of_it in samples.items():
                yield _found(row, label, _measured(row, typical(of_it)), typical(of_it), samples)


def _one(machine: Machine, used: Load, subject: Subject) -> Sample:
    jobs = max(used.jobs[subject.label == C] // machine.fewer, used.depth, LEAST_JOBS)
    with scratch(machine.directory) as directory, running(subject, used.flags, directory) as server:
        sample = load.measure(machine.beanload, server, used, jobs)
    machine.say(".")
    return sample


def _measured(row: Row, sample: Sample) -> str:
    return f"{getattr(sample, row.metric):.0f}" + ("" if row.metric == "per_s" else " us")


def start_lines(machine: Machine, rows: Sequence[StartRow]) -> Iterator[Found]:
    if not rows:
        return
    machine.say("start and size ")
    samples = run(
        machine.subjects,
        min(machine.rounds if machine.fewer == 1 else 1, START_ROUNDS),
        partial(_one_start, machine),
    )
    machine.say("\n")
    for row in rows:
        for label, of_it in samples.items():
            value = median(getattr(each, row.metric) for each in of_it)
            yield _found(
                row,
                label,
                f"{value:.0f}" + ("" if row.metric.endswith("_s") else " bytes"),
                None,
                samples,
            )


def _one_start(machine: Machine, subject: Subject) -> Start:
    with scratch(machine.directory) as directory:
        found = start.measure(machine.beanload, subject, directory)
    machine.say(".")
    return found


def growth_lines(machine: Machine, rows: Sequence[GrowthRow]) -> Iterator[Found]:
    for subject in _ours(machine) if rows else ():
        machine.say(f"costs that do not grow, {subject.label} ")
        few, many = (f"{subject.label}, {jobs}" for jobs in (growth.SMALL, growth.LARGE))
        with scratch(machine.directory) as directory:
            pairs = []
            for pair in growth.measure(subject, directory, min(machine.rounds, LONG_ROUNDS)):
                pairs.append(pair)
                machine.say(".")
        machine.say("\n")
        samples = {few: [pair[0] for pair in pairs], many: [pair[1] for pair in pairs]}
        for row in rows:
            for label, of_it in samples.items():
                measured = f"{median(getattr(each, row.metric) for each in of_it):.2f} us"
                found = Line(
                    row.name,
                    row.title,
                    label,
                    measured,
                    None,
                    ratio(samples, label, row.metric, few),
                    growth.GOAL,
                )
                yield Found(found, as_json(found, of_it))


def pause_lines(machine: Machine) -> Iterator[Found]:
    for subject in _ours(machine):
        machine.say(f"no pause, {subject.label} ")
        with scratch(machine.directory) as directory:
            found = pause.measure(
                machine.beanload, subject, directory, min(machine.rounds, LONG_ROUNDS)
            )
        machine.say("\n")
        sample = typical(found.samples)
        ratios = spread([each.put_p999_us / each.put_p50_us for each in found.samples])
        line = Line(
            pause.NAME,
            pause.TITLE,
            subject.label,
            f"{sample.put_p999_us:.0f} us",
            sample,
            ratios,
            pause.GOAL,
        )
        yield Found(line, {**as_json(line, found.samples), "events": found.events})


def _ours(machine: Machine) -> list[Subject]:
    return [subject for subject in machine.subjects if subject.label != C]


def _found(
    row: Row | StartRow, label: str, measured: str, sample: Sample | None, samples: dict[str, Any]
) -> Found:
    line = Line(
        row.name, row.title, label, measured, sample, ratio(samples, label, row.metric), row.goal
    )
    return Found(line, as_json(line, samples[label]))
