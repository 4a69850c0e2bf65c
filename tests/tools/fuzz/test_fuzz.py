"""A few seeds for each reader, and broken readers that must be detected.

`make fuzz` is the long form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import reader, repair_plan
from fuzz import api, cfiles, commands, config, daemon, forge, logs, parser, requests, segments
from fuzz.bounds import TooMuch, bounded
from fuzz.count import Count
from judge.malformed import block

from beanstalkd_py.protocol.parser import Parser

Monkey = pytest.MonkeyPatch


READERS = [parser.run, segments.run, cfiles.run, config.run]


@pytest.mark.parametrize(
    ("run", "seed"),
    # Some seeds of the commands make large logs.
    [*product(READERS, range(4)), *product([commands.run], (1, 5, 6))],
    ids=lambda value: getattr(value, "__module__", None),
)
def test_malformed_input_to_readers(
    run: Callable[[int, Count], None], seed: int, tmp_path, monkeypatch: Monkey
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    count = Count()
    run(seed, count)
    assert count.inputs >= 3 and count.nbytes > 1000, count


@pytest.mark.parametrize("seed", range(4))
def test_malformed_input_from_many_connections(seed: int) -> None:
    """Each seed uses other options of the server."""
    count = Count()
    daemon.run(seed, count, steps=800)
    assert count.nbytes > 10_000


def test_malformed_http_requests() -> None:
    count = Count()
    requests.run(1, count, requests=50)
    assert count.of["200"] and count.of["400"] and count.of["404"]


def test_requests_to_the_api() -> None:
    count = Count()
    api.run(1, count, requests=60)
    assert count.of["200"] and count.of["404"] and count.of["422"]


def first_failure(run: Callable[[int, Count], None], seeds: Iterable[int] = range(20)) -> str:
    """The error of the first seed that fails, or ""."""
    for seed in seeds:
        try:
            run(seed, Count())
        except (Exception, TooMuch) as error:
            return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.sources
def test_parser_that_depends_on_cuts_is_detected(monkeypatch: Monkey) -> None:
    monkeypatch.setattr(
        Parser,
        "_need_more",
        lambda self: None if not self._position else setattr(self, "_buffer", b""),
    )
    assert "AssertionError" in first_failure(parser.run) or "TypeError" in first_failure(parser.run)


def test_parser_that_buffers_a_skipped_body_is_detected() -> None:
    stream = b"put 0 0 0 4294967290\r\n" + bytes(8 << 20)
    with pytest.raises(TooMuch, match="bytes of memory"):
        bounded(
            100,
            lambda: parser.commands(
                [stream[at : at + 4096] for at in range(0, len(stream), 4096)], max_job_size=1 << 32
            ),
        )


def test_reader_without_checksums_is_detected(monkeypatch: Monkey) -> None:
    monkeypatch.setattr("beanstalkd_wal.format.crc", lambda data, salt: 7)
    assert "Error" in first_failure(segments.run)


@pytest.mark.sources
def test_ignored_damage_is_detected(monkeypatch: Monkey) -> None:
    monkeypatch.setattr(wal.Replay, "_judge_end", lambda *arguments: None)
    assert "missing silently" in first_failure(segments.run)


def test_repair_that_fills_any_gap_is_detected(monkeypatch: Monkey) -> None:
    monkeypatch.setattr(repair_plan, "LOST_MAX", 1 << 63)
    monkeypatch.setattr(repair_plan, "MISSING_MAX", 1 << 63)
    # Without the bounds, the repair would fill a gap of 10^9 records.
    monkeypatch.setattr(segments, "MEASURED", 1)
    assert "TooMuch" in first_failure(segments.run, range(15, 60))


def test_repair_that_misses_records_is_detected(monkeypatch: Monkey) -> None:
    whole = reader.scan
    monkeypatch.setattr(
        repair_plan,
        "scan",
        lambda *arguments: [found for found in whole(*arguments) if isinstance(found, wal.Frame)],
    )
    assert "AssertionError" in first_failure(segments.run)


def test_forged_logs_have_right_checksums() -> None:
    """The layout in the forger matches the one of the log."""
    rng = Random(1)
    files = logs.make_log(rng)
    shifted = {name: forge._shifted(data, 1000) for name, data in files.items()}
    before = segments._read(files)
    assert before and segments._read(shifted) == {
        lsn + 1000: record for lsn, record in before.items()
    }


def test_malformed_blocks_vary() -> None:
    assert len({block(Random(seed)) for seed in range(100)}) > 90
