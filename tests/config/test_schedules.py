"""`[[schedule]]` in the configuration file: each mistake has its line. The runs of cron lines."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import pytest

from beanstalkd_py.config import changes, file
from beanstalkd_py.config.options import Options
from beanstalkd_py.config.schedules import Schedule

GOOD = """
[[schedule]]
name = "nightly"
cron = "30 2 * * *"
time_zone = "Europe/Berlin"
tube = "reports"
body = '{"what": "daily"}'
priority = 0
ttr = 3600
missed = "one"

[[schedule]]
name = "often"
cron = "*/5 * * * MON-FRI"
tube = "ping"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "beanstalkd.toml"


def test_schedules_are_read(path: Path) -> None:
    path.write_text(GOOD)
    options = Options(**file.read(str(path)))
    assert options.schedule == (
        Schedule(
            "nightly", "30 2 * * *", "reports", '{"what": "daily"}', "Europe/Berlin", 0, 3600, "one"
        ),
        Schedule("often", "*/5 * * * MON-FRI", "ping", "", "UTC", 1024, 60, "skip"),
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('name = ""', "name: "),
        ('name = "a b"', "name: expected at most 64 letters, digits and _ . + -"),
        ("name = 1", "name: expected a string"),
        ('cron = "30 2 * *"', "cron: expected five fields"),
        ('cron = "0 30 2 * * *"', "cron: expected five fields"),
        ('cron = "61 2 * * *"', "cron: Bad minute"),
        ('cron = "0 0 31 2 *"', "cron: "),
        ('tube = "-x"', "tube: not the name of a tube"),
        ('time_zone = "Mars/Base"', "time_zone: no time zone 'Mars/Base' on this machine"),
        ('time_zone = "../etc/passwd"', "time_zone: no time zone"),
        ("priority = -1", "priority: expected an integer from 0 to 4294967295"),
        ("ttr = 0", "ttr: expected an integer from 1 to 4294967295"),
        ('missed = "all"', "missed: "),
        ('kron = "* * * * *"', "unknown key: kron"),
        (f'body = "{"x" * 65536}"', "body: more than 65535 bytes"),
    ],
)
def test_mistake_names_its_line(path: Path, line: str, text: str) -> None:
    key = line.split(" = ")[0]
    kept = {"name": '"n"', "cron": '"* * * * *"', "tube": '"t"'}
    kept.pop(key, None)
    rest = "".join(f"{name} = {value}\n" for name, value in kept.items())
    path.write_text(f"[[schedule]]\n{rest}{line}\n")
    with pytest.raises(file.WrongFile) as caught:
        file.read(str(path))
    (mistake,) = caught.value.mistakes
    assert mistake.line == 2 + len(kept) and mistake.text.startswith(text)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("[[schedule]]\n", [(1, f"{key} is missing") for key in ("name", "cron", "tube")]),
        (GOOD + GOOD, [(17, "the name nightly is there twice"), (27, "the name often is")]),
        ("schedule = 1\n", [(1, "expected tables")]),
        ("[schedule]\nname = 'a'\n", [(1, "expected tables")]),
    ],
)
def test_mistakes_of_the_whole(path: Path, text: str, mistakes: list[tuple[int, str]]) -> None:
    path.write_text(text)
    with pytest.raises(file.WrongFile) as caught:
        file.read(str(path))
    found = [(mistake.line, mistake.text) for mistake in caught.value.mistakes]
    assert len(found) == len(mistakes)
    for (line, said), (at, expected) in zip(found, mistakes, strict=True):
        assert line == at and said.startswith(f"schedule: {expected}")


def test_reload_takes_new_schedules() -> None:
    new = Options(schedule=(Schedule("a", "* * * * *", "t"),))
    found = changes.compare(Options(), new)
    assert found.options.schedule == new.schedule
    assert str(found) == "changed: schedule: a (* * * * *, UTC)"
    assert str(changes.compare(new, Options())) == "changed: schedule: none"


def instants(schedule: Schedule, after: str, count: int, back: bool = False) -> list[str]:
    begin = datetime.fromisoformat(after).timestamp()
    runs = islice(schedule.runs(begin, back), count)
    return [datetime.fromtimestamp(at, timezone.utc).isoformat()[:16] for at in runs]


def test_runs_are_in_the_time_zone_also_at_the_change_of_the_clock() -> None:
    """In Berlin 2:30 does not exist on 29 March 2026, and comes twice on 25 October."""
    nightly = Schedule("n", "30 2 * * *", "t", time_zone="Europe/Berlin")
    assert instants(nightly, "2026-03-28T00:00+00:00", 3) == [
        "2026-03-28T01:30",
        "2026-03-29T01:00",
        "2026-03-30T00:30",
    ]
    assert instants(nightly, "2026-10-24T12:00+00:00", 2) == [
        "2026-10-25T00:30",
        "2026-10-26T01:30",
    ]
    assert instants(nightly, "2026-10-26T12:00+00:00", 2, back=True) == [
        "2026-10-26T01:30",
        "2026-10-25T00:30",
    ]
