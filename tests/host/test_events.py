"""Lines for the operator: text, JSON, and what the journal gets; how many of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from beanstalkd_py.host.events import PER_MINUTE, EventLog, is_journal

WALL_NS = 1_800_000_000_012_999_999
TIME = "2027-01-15T08:00:00.012Z"
SECOND_NS = 1_000_000_000
# Line breaks, other control characters, a change of direction, and a byte that is not UTF-8.
ODD = 'a\nb\r\t\0\x1b[m"\\ \N{EURO SIGN} \u2028 \u202e ' + os.fsdecode(b"\xff")


class Written:
    """An event log whose lines are kept. takes: whether stderr takes a line."""

    def __init__(self, journal: bool = False) -> None:
        self.lines: list[str] = []
        self.waits: list[float] = []
        self.takes = True
        self.now = 5 * SECOND_NS
        self.log = EventLog("prog", self.write, journal, lambda: WALL_NS, lambda: self.now)

    def write(self, line: str, wait_s: float) -> bool:
        self.waits.append(wait_s)
        if self.takes:
            self.lines.append(line)
        return self.takes

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def messages(self) -> list[str]:
        return [event["message"] for event in self.objects()]


@pytest.fixture
def written() -> Written:
    return Written()


def report(log: EventLog) -> None:
    log.info("ready", event="ready", jobs=3)
    log("slow")
    log.error("damaged", event="failed", status=65)


def test_line_before_the_options_are_known_is_plain(written: Written) -> None:
    report(written.log)
    assert written.lines == ["prog: ready\n", "prog: slow\n", "prog: damaged\n"]


def test_text_has_time_and_level(written: Written) -> None:
    written.log.set("text", "info")
    report(written.log)
    assert written.lines == [
        f"{TIME} info prog: ready\n",
        f"{TIME} warning prog: slow\n",
        f"{TIME} error prog: damaged\n",
    ]


def test_text_for_the_journal_has_a_priority_and_no_time() -> None:
    written = Written(journal=True)
    report(written.log)
    written.log.set("text", "info")
    report(written.log)
    lines = ["<6>ready\n", "<4>slow\n", "<3>damaged\n"]
    assert written.lines == lines + lines


@pytest.mark.parametrize(
    ("journal", "begins"), [(False, ["", "", ""]), (True, ["<6>", "<4>", "<3>"])]
)
def test_json_has_the_fields(journal: bool, begins: list[str]) -> None:
    written = Written(journal)
    written.log.set("json", "info")
    report(written.log)
    stamp = {} if journal else {"time": TIME}
    assert [line[: line.index("{")] for line in written.lines] == begins
    assert [list(json.loads(line[line.index("{") :]).items()) for line in written.lines] == [
        [*stamp.items(), ("level", "info"), ("event", "ready"), ("message", "ready"), ("jobs", 3)],
        [*stamp.items(), ("level", "warning"), ("event", "notice"), ("message", "slow")],
        [
            *stamp.items(),
            *(("level", "error"), ("event", "failed"), ("message", "damaged"), ("status", 65)),
        ],
    ]


def test_text_is_one_line_of_printable_characters(written: Written) -> None:
    written.log(ODD)
    written.log.set("text", "info")
    written.log(ODD)
    shown = 'a\\nb\\r\\t\\x00\\x1b[m"\\ \N{EURO SIGN} \\u2028 \\u202e \\xff'
    assert written.lines == [f"prog: {shown}\n", f"{TIME} warning prog: {shown}\n"]


def test_json_is_one_line_of_ascii_whatever_the_values(written: Written) -> None:
    written.log.set("json", "info")
    written.log(ODD, file=ODD, seconds=1.5, more=True)
    (line,) = written.lines
    assert line.isascii() and line.endswith("\n") and line[:-1].isprintable()
    assert "\\ud" not in line  # half a character, which some readers refuse
    event = json.loads(line)
    assert event["message"] == event["file"] == ODD[:-1] + "\\xff"
    assert (event["seconds"], event["more"]) == (1.5, True)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("error", ["damaged"]),
        ("warning", ["slow", "damaged"]),
        ("info", ["ready", "slow", "damaged"]),
    ],
)
def test_lines_below_the_level_are_left_out(
    written: Written, level: str, expected: list[str]
) -> None:
    written.log.set("json", level)
    report(written.log)
    assert written.messages() == expected


def bug(log: EventLog) -> None:
    try:
        raise KeyError("a\nb")
    except KeyError as error:
        log.bug(error)


def test_bug_as_text_has_its_traceback_below_the_line(written: Written) -> None:
    written.log.set("text", "error")
    bug(written.log)
    first, second, *_, last = "".join(written.lines).splitlines()
    assert first == f"{TIME} error prog: a bug in the server: KeyError: 'a\\nb'"
    assert (second, last) == ("Traceback (most recent call last):", "KeyError: 'a\\nb'")


def test_bug_in_the_journal_has_a_priority_in_each_line() -> None:
    written = Written(journal=True)
    written.log.set("text", "error")
    bug(written.log)
    lines = "".join(written.lines).splitlines()
    assert len(lines) > 3 and all(line.startswith("<3>") for line in lines)


def test_bug_as_json_is_one_line(written: Written) -> None:
    written.log.set("json", "error")
    bug(written.log)
    (event,) = written.objects()
    assert (event["event"], event["message"]) == ("bug", "a bug in the server: KeyError: 'a\\nb'")
    assert event["traceback"].startswith("Traceback ") and event["traceback"].count("\n") > 2


# --- how many lines


def flood(written: Written, count: int, event: str = "slow_call") -> None:
    for number in range(count):
        written.log(f"{event} {number}", event=event)


@pytest.fixture
def limited(written: Written) -> Written:
    written.log.set("json", "info")
    written.log.limit()
    return written


def test_lines_of_a_start_are_not_limited(written: Written) -> None:
    flood(written, 500, "notice")
    assert len(written.lines) == 500


def test_event_that_repeats_is_counted(limited: Written) -> None:
    flood(limited, PER_MINUTE + 7)
    flood(limited, 2, "reloaded")  # an event of another name has its own count
    assert len(limited.lines) == PER_MINUTE + 2
    limited.now += 59 * SECOND_NS
    limited.log.check()
    assert len(limited.lines) == PER_MINUTE + 2
    limited.now += SECOND_NS
    limited.log.check()
    limited.log.check()
    (last,) = limited.objects()[PER_MINUTE + 2 :]
    assert last == {
        "time": TIME,
        "level": "warning",
        "event": "left_out",
        "message": "7 more events slow_call within a minute were left out",
        "of": "slow_call",
        "count": 7,
    }
    flood(limited, 1)
    assert limited.messages()[-1] == "slow_call 0"


def test_count_comes_before_the_next_line(limited: Written) -> None:
    flood(limited, PER_MINUTE + 1)
    limited.now += 100 * SECOND_NS
    limited.log.info("later")
    assert limited.messages()[-2:] == [
        "1 more event slow_call within a minute was left out",
        "later",
    ]


def test_count_is_not_lost_at_the_end(limited: Written) -> None:
    flood(limited, PER_MINUTE + 1)
    limited.log.close()
    assert limited.objects()[-1]["count"] == 1


def test_error_is_never_left_out(limited: Written) -> None:
    for _ in range(3 * PER_MINUTE):
        limited.log.error("the end", event="failed")
    assert len(limited.lines) == 3 * PER_MINUTE


def test_lines_that_stderr_does_not_take_are_counted(written: Written) -> None:
    written.log.set("json", "info")
    written.takes = False
    flood(written, 3)
    written.takes = True
    written.log.check()
    written.log.info("later")
    lost, later = written.objects()
    assert (lost["event"], lost["level"], lost["count"]) == ("left_out", "warning", 3)
    assert lost["message"] == "3 lines were left out, because stderr did not take them"
    assert later["message"] == "later"


def test_count_of_lost_lines_comes_before_the_next_line(written: Written) -> None:
    written.takes = False
    flood(written, 1)
    written.takes = True
    written.log("later")
    assert written.lines == [
        "prog: 1 line was left out, because stderr did not take it\n",
        "prog: later\n",
    ]


def test_lost_lines_are_reported_at_the_end(written: Written) -> None:
    written.takes = False
    flood(written, 2)
    written.takes = True
    written.log.close()
    assert written.lines == ["prog: 2 lines were left out, because stderr did not take them\n"]


def test_only_an_error_waits_for_stderr(written: Written) -> None:
    """The server ends then, so no client waits."""
    report(written.log)
    assert written.waits == [0.0, 0.0, 1.0]


def test_line_without_memory_for_it_is_counted(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> str:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(written.log, "_make", no_memory)
        written.log("lost")
    written.log("later")
    assert written.lines[0].startswith("prog: 1 line was left out")


def test_line_of_a_signal_handler_may_come_inside_another(written: Written) -> None:
    """The handler of SIGUSR1 runs between any two steps of Python."""

    def interrupted(line: str, wait_s: float) -> bool:
        if "outer" in line:
            log("inner")
        return written.write(line, wait_s)

    log = EventLog("prog", interrupted)
    log("outer")
    assert written.lines == ["prog: inner\n", "prog: outer\n"]


# --- the journal


def test_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with path.open("w") as file:
        status = os.fstat(file.fileno())
        right = f"{status.st_dev}:{status.st_ino}"
        assert is_journal(file.fileno(), {"JOURNAL_STREAM": right})
        assert not is_journal(file.fileno(), {"JOURNAL_STREAM": right + "0"})
        assert not is_journal(file.fileno(), {})
        fd = file.fileno()
    assert not is_journal(fd, {"JOURNAL_STREAM": right})
