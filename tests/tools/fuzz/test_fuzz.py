"""A few seeds for each reader of bytes: `make fuzz` is the long form. And that the checks can fail."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import reader, repair
from fuzz import cfiles, commands, daemon, forge, logs, parser, segments
from fuzz.bounds import TooMuch, bounded
from fuzz.count import Count
from judge.malformed import block

from beanstalkd_py.protocol.parser import Parser

Monkey = pytest.MonkeyPatch


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "run", [parser.run, segments.run, commands.run, cfiles.run], ids=lambda run: run.__module__
)
def test_bytes_that_nobody_sane_writes(
    run: Callable[[int, Count], None], seed: int, tmp_path, monkeypatch: Monkey
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    count = Count()
    run(seed, count)
    assert count.inputs >= 3 and count.nbytes > 1000, count


@pytest.mark.parametrize("seed", range(4))
def test_noise_from_many_connections(seed: int) -> None:
    """A kind of daemon each."""
    count = Count()
    daemon.run(seed, count, steps=800)
    assert count.nbytes > 10_000


def seen(run: Callable[[int, Count], None], seeds: int = 20) -> str:
    """What the first of some seeds that fails fails with."""
    for seed in range(seeds):
        try:
            run(seed, Count())
        except (Exception, TooMuch) as error:
            return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.sources
def test_a_parser_that_minds_how_bytes_are_cut_is_found(monkeypatch: Monkey) -> None:
    monkeypatch.setattr(
        Parser, "_none", lambda self: None if not self._position else setattr(self, "_buffer", b"")
    )
    assert "AssertionError" in seen(parser.run) or "TypeError" in seen(parser.run)


def test_a_parser_that_holds_what_it_should_skip_is_found() -> None:
    stream = b"put 0 0 0 4294967290\r\n" + bytes(8 << 20)
    with pytest.raises(TooMuch, match="bytes of memory"):
        bounded(
            100,
            lambda: parser.commands(
                [stream[at : at + 4096] for at in range(0, len(stream), 4096)], max_job_size=1 << 32
            ),
        )


def test_a_reader_without_checksums_is_found(monkeypatch: Monkey) -> None:
    monkeypatch.setattr("beanstalkd_wal.format.crc", lambda data, salt: 7)
    assert "Error" in seen(segments.run)


@pytest.mark.sources
def test_damage_that_is_passed_over_is_found(monkeypatch: Monkey) -> None:
    monkeypatch.setattr(wal.Replay, "_end", lambda *arguments: None)
    assert "missing without a word" in seen(segments.run)


def test_a_repair_that_fills_any_gap_is_found(monkeypatch: Monkey) -> None:
    monkeypatch.setattr(repair, "LOST_MAX", 1 << 63)
    monkeypatch.setattr(repair, "MISSING_MAX", 1 << 63)
    monkeypatch.setattr(
        segments, "MEASURED", 1
    )  # who is not measured fills a gap of a thousand million records
    assert "TooMuch" in seen(segments.run, 60)


def test_a_repair_that_does_not_see_everything_is_found(monkeypatch: Monkey) -> None:
    whole = reader.scan
    monkeypatch.setattr(
        repair,
        "scan",
        lambda *arguments: [found for found in whole(*arguments) if isinstance(found, wal.Frame)],
    )
    assert "AssertionError" in seen(segments.run)


def test_forged_logs_have_right_checksums() -> None:
    """The layout that is written down a second time is the same."""
    rng = Random(1)
    files = logs.a_log(rng)
    shifted = {name: forge._shifted(data, 1000) for name, data in files.items()}
    before = segments._read(files)
    assert before and segments._read(shifted) == {
        lsn + 1000: record for lsn, record in before.items()
    }


def test_noise_is_not_always_the_same() -> None:
    assert len({block(Random(seed)) for seed in range(100)}) > 90
