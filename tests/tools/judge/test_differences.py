"""The table of known differences: each row still holds, and docs/protocol.md is up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from judge import differences
from judge.difference import Difference
from judge.differences import TABLE, shows
from judge.full_disk import PROBES
from judge.line_differences import line_difference
from judge.probes import Prober, Stale, transcript
from judge.reply_comparison import differences as differing
from judge.server_pair import ServerPair
from judge.table import PAGE, placed, render
from killtest.small_disk import NotPermitted
from testkit.page import NoPlace


@pytest.fixture(scope="module")
def prober(pair: ServerPair) -> Iterator[Prober]:
    with Prober(pair) as prober:
        yield prober


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_known_difference_still_holds(prober: Prober, row: Difference) -> None:
    try:
        prober.check(row)
    except NotPermitted as reason:
        if os.environ.get("CI"):
            pytest.fail(f"cannot mount a small disk: {reason}")
        pytest.skip(f"cannot mount a small disk: {reason}")


@pytest.mark.parametrize(
    ("probe", "why"),
    [
        ("A> list-tube-used\nA< USING default", "the C server does not differ"),
        ("A> list-tube-used\nc A< USING default\nours A< USING other", "of ours, played to ours"),
        ("A> list-tube-used\nours A< USING default\nc A< USING other", "of c, played to c"),
    ],
)
def test_row_that_does_not_hold_is_stale(prober: Prober, probe: str, why: str) -> None:
    with pytest.raises(Stale, match=why):
        prober.check(replace(TABLE["lone-cr"], probe=probe))


def test_row_of_old_versions_must_not_hold_for_new_ones(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prober, "patient", False)  # one reply does not come
    with pytest.raises(Stale, match="of ours, played to c"):
        prober.check(replace(TABLE["lone-cr"], until="1.0"))


@pytest.mark.parametrize(
    ("version", "shown"),
    [("1.4.6", True), ("1.12", True), ("1.12+3+gabc", True), ("1.13", False), ("2.0", False)],
)
def test_rows_apply_up_to_a_version(version: str, shown: bool) -> None:
    assert shows(TABLE["quotes"], version) is shown
    assert shows(TABLE["lone-cr"], version)


def test_rows_have_unique_names_and_a_probe() -> None:
    assert len(TABLE) == len(differences.ROWS)
    assert {row.name for row in TABLE.values() if not row.probe} == set(PROBES)


def test_probe_sends_the_same_to_both_servers() -> None:
    for row in filter(lambda row: row.probe, TABLE.values()):
        ours, c = (
            [(step.verb, step.name, step.pieces) for step in transcript(row, server).steps]
            for server in ("ours", "c")
        )
        assert ours == c, row.name


def test_page_shows_the_table() -> None:
    page = PAGE.read_text()
    assert placed(page) == page, "python -m judge.table --write"
    assert all(f"| `{name}` |" in page for name in TABLE)


def test_page_without_marks_is_refused() -> None:
    with pytest.raises(NoPlace):
        placed("# Protocol\n")
    assert "quotes" in render()


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (b"stats\r\n", ""),
        (b"st\rats\r\n", "lone-cr"),
        (b"x" * 222 + b"\r\n", ""),
        (b"x" * 223 + b"\r\n", "long-line"),
        (b"x" * 224 + b"\r\n", ""),
        (b"x" * 447 + b"\r\n", "long-line"),
        (b"reserve-with-timeout 2147483647 x\r\n", ""),
        (b"reserve-with-timeout 2147483648\r\n", "timeout-number"),
        (b"reserve-with-timeout \r\n", "timeout-number"),
        (b"reserve-with-timeout\r\n", ""),
        (b"reserve-with-timeout \0\r\n", ""),
    ],
)
def test_lines_that_the_c_server_parses_differently(line: bytes, row: str) -> None:
    from judge.lines import Line

    from beanstalkd_py.protocol.lines import parse_line

    assert line_difference(Line(line, parse_line(line[:-2])), "1.12") == row
    assert line_difference(Line(line, parse_line(line[:-2])), "1.13") == (
        row if row != "timeout-number" else ""
    )


def yaml(*lines: str) -> bytes:
    data = "".join(f"{line}\n" for line in ("---", *lines)).encode()
    return b"OK %d\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("ours", "c", "rows"),
    [
        (b"INSERTED 1\r\n", b"INSERTED 1\r\n", set()),
        (b"INSERTED 1\r\n", b"INSERTED 2\r\n", None),
        (b"FOUND 1 1\r\nx\r\n", b"FOUND 1 1\r\ny\r\n", None),
        (yaml('name: "a"'), yaml("name: a"), {"quotes"}),
        (yaml('name: "a"'), yaml("name: b"), None),
        (yaml("name: a"), yaml('name: "a"'), None),
        (yaml("- a", "- b"), yaml("- b", "- a"), None),
        (yaml("- a"), yaml("- a", "- b"), None),
        (yaml("pid: 1"), yaml("pid: 22"), set()),
        (yaml("pid: 1"), yaml("pid: x"), None),
        (yaml("id: 0123456789abcdef"), yaml("id: fedcba9876543210"), set()),
        (yaml("id: 1"), yaml("id: 2"), None),
        (yaml('version: "1.13"'), yaml("version: 1.12"), set()),
        (yaml('version: "1.13"'), yaml('version: "1.14+6+g25085c5"'), set()),
        (yaml('version: "1.13+py0.1.0"'), yaml("version: 1.12"), None),
        (yaml("version: 1.13"), yaml('version: "1.13"'), None),
        (yaml("time-left: 0"), yaml("time-left: -3"), {"time-left"}),
        (yaml("time-left: 1"), yaml("time-left: 2"), None),
        (yaml("age: 0"), yaml("age: 1"), None),
        (yaml("file: 2"), yaml("file: 1"), {"binlog-numbers"}),
        (yaml("file: 0"), yaml("file: 1"), None),
        (yaml("uptime: 0"), yaml("uptime: 1"), None),
        (yaml("pri: 0"), yaml("age: 0"), None),
    ],
)
def test_replies_may_differ_only_as_the_rows_say(
    ours: bytes, c: bytes, rows: set[str] | None
) -> None:
    assert differing(ours, c) == rows


@pytest.mark.parametrize(
    ("ours", "c", "rows"),
    [
        (yaml("pri: 7", "releases: 1"), yaml("pri: 5", "releases: 0"), {"kept-priority"}),
        (yaml("buries: 1"), yaml("buries: 2"), {"buries"}),
        (yaml("buries: 2"), yaml("buries: 1"), None),
        (yaml("state: ready", "time-left: 0"), yaml("state: delayed", "time-left: 9"), {"by-id"}),
        (yaml("state: delayed", "time-left: 0"), yaml("state: delayed", "time-left: 9"), None),
        (yaml("state: buried"), yaml("state: ready"), None),
        (yaml("ttr: 1"), yaml("ttr: 2"), None),
        (yaml("kicks: 1"), yaml("kicks: 0"), None),
        (b"NOT_FOUND\r\n", yaml("id: 1"), None),
    ],
)
def test_replies_after_a_restart_may_differ_as_rows_say(
    ours: bytes, c: bytes, rows: set[str] | None
) -> None:
    assert differing(ours, c, restarted=True) == rows
    assert differing(ours, c) is None
