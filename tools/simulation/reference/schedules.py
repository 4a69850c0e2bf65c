"""Schedules of the reference model: jobs that the server puts by itself.

A run is an instant of a plain period, and not of a cron line. Each run is put once. A run that is
late by more than LATE_S was missed; of missed runs the latest one is put, or none.
"""

from __future__ import annotations

from math import floor
from typing import NamedTuple

from .commands import put_body
from .entities import Client, Upload
from .state import State

LATE_S = 60


class Rule(NamedTuple):
    """A schedule. Runs are at `offset` and each `period` later, seconds of Unix time. ttr: ns."""

    name: bytes
    period: int
    offset: int
    tube: bytes
    body: bytes
    pri: int
    ttr: int
    skips_missed: bool


def set_rules(state: State, rules: tuple[Rule, ...], wall: float) -> None:
    """Runs of schedules that are gone are forgotten. New ones begin now. wall: Unix time, s."""
    state.rules = rules
    names = [rule.name for rule in rules]
    for name in [name for name in state.runs if name not in names]:
        _record(state, name, 0)
    for name in [name for name in names if name not in state.runs]:
        _record(state, name, int(wall))


def check(state: State, now: int, wall: float) -> None:
    """Puts what is due."""
    for rule in state.rules:
        if rule.name not in state.runs:  # a full disk refused its begin
            _record(state, rule.name, int(wall))
            continue
        run = floor((wall - rule.offset) / rule.period) * rule.period + rule.offset
        if run <= state.runs[rule.name]:
            continue
        if not (rule.skips_missed and wall - run > LATE_S):
            reply = _put(state, rule, run, now)
            if reply.startswith(b"INSERTED"):
                state.has_put_run(rule.name, run)
            elif not reply.startswith(b"EXISTS"):
                continue  # it is tried again
        _record(state, rule.name, run)


def _put(state: State, rule: Rule, run: int, now: int) -> bytes:
    """As a client's put-with does it."""
    settings: dict[str, object] = {"key": b"schedule:%b:%d" % (rule.name, run)}
    upload = Upload(
        state.next_id, rule.pri, 0, rule.ttr, len(rule.body), now, b"", rule.tube, settings
    )
    state.next_id += 1
    return put_body(state, Client("schedules", state.default, []), now, upload, rule.body)


def _record(state: State, name: bytes, at: int) -> None:
    """at: of the latest run; 0: the schedule is gone."""
    if state.refuses_run(name, at):
        return
    state.runs[name] = at
    if not at:
        del state.runs[name]
