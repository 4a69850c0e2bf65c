"""Directories that beanstalkd itself wrote, and the expected result of reading them, which is in
their `expected.json`.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "samples" / "c-binlog"
NAMES = [
    "01_basic_states", "02_segments_migration", "03_sigkill", "05_counters", "07_max_size_bug",
    "08_record_larger_than_segment", "10_torn_body_zero_filled", "11_v5_from_1.4.6",
    "13_short_zero_tail", "14_x86_32bit",
]  # fmt: skip


def need_samples() -> None:
    if not FOLDER.is_dir():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no samples at {FOLDER}")


def expected(name: str, file: str = "expected.json") -> dict[str, Any]:
    return json.loads((FOLDER / name / file).read_text())


def as_expected(job: dict[str, Any]) -> dict[str, Any]:
    """A job of `expected.json` in the words of CJob. The C server has added one to the buries of a
    buried job.
    """
    return {
        "id": job["id"],
        "tube": job["tube"].encode(),
        "state_name": job["state"],
        "pri": job["pri"],
        "delay_ns": job["delay"] * 10**9,
        "ttr_ns": job["ttr"] * 10**9,
        "created_at_ns": job["created_at_ns"],
        "deadline_at_ns": job["deadline_at_ns"] or 0,
        "reserves": job["reserves"],
        "timeouts": job["timeouts"],
        "releases": job["releases"],
        "buries": job["buries"] - (job["state"] == "buried"),
        "kicks": job["kicks"],
        "body": b64decode(job["body"]),
    }
