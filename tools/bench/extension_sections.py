"""The sections of the table that have no C server: what only this server's extensions do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from . import bulk, extension_cost
from .bulk import Bulk, BulkRow
from .extension_cost import CostRow, ExtensionCost
from .report import Line, as_json
from .rounds import ratio, spread, typical
from .sections import Machine, Result, without_c
from .servers import BASE, Subject, scratch

BULK_RUNS = 3  # maximum: each fills the server


def cost_lines(machine: Machine, rows: Sequence[CostRow]) -> Iterator[Result]:
    if not rows:
        return
    machine.say("extensions ")
    samples: dict[str, list[ExtensionCost]] = {}
    operations = extension_cost.OPERATIONS // machine.divisor
    for subject in _with_extensions(machine):
        with scratch(machine.directory) as directory:
            found = extension_cost.measure(subject, directory, machine.rounds, operations)
            samples[subject.label] = list(found)
        machine.say(".")
    machine.say("\n")
    for row in rows:
        for label, costs in samples.items():
            values = [getattr(each, row.metric) for each in costs]
            others = [getattr(each, row.other) for each in costs]
            line = Line(
                row.name,
                row.title,
                label,
                f"{median(values):.2f} us",
                None,
                spread([value / other for value, other in zip(values, others, strict=True)]),
                row.goal,
                ratio(samples, label, row.metric, BASE),
            )
            yield Result(line, as_json(line, costs))


def bulk_lines(machine: Machine, rows: Sequence[BulkRow]) -> Iterator[Result]:
    """One subject after the other: each needs the whole machine."""
    if not rows:
        return
    found = {subject.label: _bulk(machine, subject) for subject in _with_extensions(machine)}
    for row in rows:
        samples = {
            label: [getattr(run, row.metric).sample for run in runs]
            for label, runs in found.items()
        }
        for label, runs in found.items():
            sample = typical(samples[label])
            seconds = median(getattr(run, row.metric).seconds for run in runs)
            line = Line(
                row.name,
                row.title,
                label,
                f"{sample.put_p999_us:.0f} us" + f", {seconds:.2g} s" * bool(seconds),
                sample,
                spread([each.put_p999_us / bulk.LONGEST_US for each in samples[label]]),
                bulk.GOAL,
                ratio(samples, label, "put_p999_us", BASE),
            )
            yield Result(line, {**as_json(line, samples[label]), "seconds": seconds})


def _bulk(machine: Machine, subject: Subject) -> list[Bulk]:
    machine.say(f"many jobs, {subject.label} ")
    runs = min(machine.rounds, BULK_RUNS)
    with scratch(machine.directory) as directory:
        found = []
        for run in bulk.measure(machine.beanload, subject, directory, runs, machine.divisor):
            found.append(run)
            machine.say(".")
    machine.say("\n")
    return found


def _with_extensions(machine: Machine) -> list[Subject]:
    with scratch(machine.directory) as directory:
        return [
            subject
            for subject in without_c(machine)
            if extension_cost.knows_extensions(subject, directory)
        ]
