"""The sections of the table. Each measures its rows, round by round, and yields lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from . import growth, load, pause, start
from .growth import Cost, GrowthRow
from .load import Beanload, Sample
from .report import Line, as_json
from .rounds import ratio, run, spread, typical
from .rows import Load, Row
from .servers import BASE, C, Subject, running, scratch
from .start import Start, StartRow

START_ROUNDS = 3  # maximum: the rounds are long and vary little
LONG_ROUNDS = 5  # maximum where filling the server takes most of the time
MIN_JOBS = 200


class Machine(NamedTuple):
    """How to measure. divisor: divides the numbers of jobs. say: prints progress."""

    subjects: list[Subject]
    beanload: Beanload
    directory: Path
    rounds: int
    divisor: int
    say: Callable[[str], None]


class Result(NamedTuple):
    line: Line
    json: dict[str, object]


def load_lines(machine: Machine, rows: Sequence[Row]) -> Iterator[Result]:
    """Rows with the same load are measured together."""
    order = {row.load: place for place, row in reversed([*enumerate(rows)])}
    for used, group in groupby(
        sorted(rows, key=lambda row: order[row.load]), key=lambda row: row.load
    ):
        same = list(group)
        machine.say(f"{same[0].title} ")
        samples = run(
            machine.subjects, min(machine.rounds, used.rounds), partial(_one_load, machine, used)
        )
        machine.say("\n")
        for row in same:
            for label, of_it in samples.items():
                yield _result(row, label, _measured(row, typical(of_it)), typical(of_it), samples)


def _one_load(machine: Machine, used: Load, subject: Subject) -> Sample:
    jobs = max(used.jobs[subject.label == C] // machine.divisor, used.depth, MIN_JOBS)
    with scratch(machine.directory) as directory, running(subject, used.flags, directory) as server:
        sample = load.measure(machine.beanload, server, used, jobs)
    machine.say(".")
    return sample


def _measured(row: Row, sample: Sample) -> str:
    return f"{getattr(sample, row.metric):.0f}" + ("" if row.metric == "per_s" else " us")


def start_lines(machine: Machine, rows: Sequence[StartRow]) -> Iterator[Result]:
    if not rows:
        return
    machine.say("start and size ")
    samples = run(
        machine.subjects,
        min(machine.rounds if machine.divisor == 1 else 1, START_ROUNDS),
        partial(_one_start, machine),
    )
    machine.say("\n")
    for row in rows:
        for label, of_it in samples.items():
            value = median(getattr(each, row.metric) for each in of_it)
            measured = f"{value:.0f}" + ("" if row.metric.endswith("_s") else " bytes")
            yield _result(row, label, measured, None, samples)


def _one_start(machine: Machine, subject: Subject) -> Start:
    with scratch(machine.directory) as directory:
        sample = start.measure(machine.beanload, subject, directory)
    machine.say(".")
    return sample


def growth_lines(machine: Machine, rows: Sequence[GrowthRow]) -> Iterator[Result]:
    if not rows:
        return
    machine.say("growth ")
    samples = _growth_samples(machine)
    machine.say("\n")
    for row in rows:
        for subject in without_c(machine):
            for jobs in (growth.SMALL, growth.LARGE):
                yield _growth_result(row, subject.label, jobs, samples)


def _growth_samples(machine: Machine) -> dict[str, list[Cost]]:
    """The subjects take turns; their servers keep running between the rounds."""
    samples: dict[str, list[Cost]] = {}
    rounds = min(machine.rounds, LONG_ROUNDS)
    with ExitStack() as stack:
        measurements = [
            growth.measure(subject, stack.enter_context(scratch(machine.directory)), rounds)
            for subject in without_c(machine)
        ]
        for pairs in zip(*measurements, strict=True):
            for subject, pair in zip(without_c(machine), pairs, strict=True):
                for jobs, cost in zip((growth.SMALL, growth.LARGE), pair, strict=True):
                    samples.setdefault(_growth_label(subject.label, jobs), []).append(cost)
            machine.say(".")
    return samples


def _growth_label(label: str, jobs: int) -> str:
    return f"{label}, {jobs}"


def _growth_result(row: GrowthRow, label: str, jobs: int, samples: dict[str, list[Cost]]) -> Result:
    own = _growth_label(label, jobs)
    line = Line(
        row.name,
        row.title,
        own,
        f"{median(getattr(each, row.metric) for each in samples[own]):.2f} us",
        None,
        ratio(samples, own, row.metric, _growth_label(label, growth.SMALL)),
        growth.GOAL,
        ratio(samples, own, row.metric, _growth_label(BASE, jobs)),
    )
    return Result(line, as_json(line, samples[own]))


def pause_lines(machine: Machine) -> Iterator[Result]:
    """One subject after the other: each needs the whole machine for its churn."""
    found = {subject.label: _one_pause(machine, subject) for subject in without_c(machine)}
    samples = {label: pauses.samples for label, pauses in found.items()}
    for label, pauses in found.items():
        sample = typical(pauses.samples)
        line = Line(
            pause.NAME,
            pause.TITLE,
            label,
            f"{sample.put_p999_us:.0f} us",
            sample,
            spread([each.put_p999_us / each.put_p50_us for each in pauses.samples]),
            pause.GOAL,
            ratio(samples, label, "put_p999_us", BASE),
        )
        yield Result(line, {**as_json(line, pauses.samples), "events": pauses.events})


def _one_pause(machine: Machine, subject: Subject) -> pause.Pauses:
    machine.say(f"pause, {subject.label} ")
    runs = min(machine.rounds, LONG_ROUNDS)
    with scratch(machine.directory) as directory:
        pauses = pause.measure(machine.beanload, subject, directory, runs)
    machine.say("\n")
    return pauses


def without_c(machine: Machine) -> list[Subject]:
    return [subject for subject in machine.subjects if subject.label != C]


def _result(
    row: Row | StartRow, label: str, measured: str, sample: Sample | None, samples: dict[str, Any]
) -> Result:
    to_c = ratio(samples, label, row.metric)
    to_base = None if label == C else ratio(samples, label, row.metric, BASE)
    line = Line(row.name, row.title, label, measured, sample, to_c, row.goal, to_base)
    return Result(line, as_json(line, samples[label]))
