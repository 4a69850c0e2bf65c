"""The operator hears when puts begin to be refused and when they go on, at a bounded rate."""

from __future__ import annotations

import errno

from beanstalkd_py.binlog.refusals import INTERVAL_NS, QUIET_NS, SECOND_NS, Refusals

FULL = "puts are refused: No space left on device; free some space, or delete jobs"


class World:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.refusals = Refusals(self.report)
        self.now = 0

    def report(self, message: str, event: str = "", **fields: object) -> None:
        self.lines.append(message)
        self.events.append((event, fields))

    def refuse(self, count: int = 1, reason: int = errno.ENOSPC) -> None:
        for _ in range(count):
            self.refusals.add()
        self.refusals.check(self.now, False, reason)

    def wait(self, ns: int, accepts: bool = True) -> None:
        self.now += ns
        self.refusals.check(self.now, accepts, errno.ENOSPC)


def test_first_refused_put_is_reported_at_once():
    world = World()
    world.refuse(3)
    world.refuse(2)
    assert world.lines == [FULL]
    assert world.refusals.pending


def test_fields_have_the_reason_and_the_number_of_refused_puts():
    world = World()
    world.refuse(3)
    world.wait(QUIET_NS)
    assert world.events == [
        ("puts_refused", {"reason": "ENOSPC"}),
        ("puts_accepted", {"refused": 3}),
    ]


def test_end_is_reported_once_after_a_quiet_time():
    world = World()
    world.refuse(3)
    world.wait(QUIET_NS - 1)
    assert world.lines == [FULL]
    world.wait(1)
    world.wait(QUIET_NS)
    assert world.lines == [FULL, "puts are accepted again; 3 were refused"]
    assert not world.refusals.pending


def test_end_is_not_reported_while_the_disk_is_full():
    world = World()
    world.refuse()
    for _ in range(100):
        world.wait(QUIET_NS, accepts=False)
    assert world.lines == [FULL]
    assert world.refusals.pending


def test_lines_are_at_most_two_in_an_interval():
    """Large puts are refused and small ones accepted, in turns, for ten intervals."""
    world = World()
    for _ in range(10 * INTERVAL_NS // (2 * QUIET_NS)):
        world.refuse()
        world.wait(2 * QUIET_NS)
    assert len(world.lines) <= 20
    assert world.lines[::2] == [FULL] * 10
    assert world.lines[1].endswith("1 was refused")


def test_refusal_soon_after_the_end_is_reported_when_the_interval_is_over():
    world = World()
    world.refuse()
    world.wait(QUIET_NS)
    for _ in range(INTERVAL_NS // SECOND_NS):
        world.refuse()
        world.now += SECOND_NS
    assert world.lines[2:] == [FULL]


def test_line_names_what_helps():
    for reason, helps in {
        errno.EDQUOT: "Disk quota exceeded; free some space",
        errno.EFBIG: "File too large; raise the limit on the size of files",
        errno.EMFILE: "Too many open files; raise the limit on open files",
        0: "puts are refused; free some space",
    }.items():
        world = World()
        world.refuse(reason=reason)
        assert helps in world.lines[0]


def test_stop_reports_the_refused_puts_that_no_line_has_counted():
    world = World()
    world.refusals.end()
    assert world.lines == []
    world.refuse(3)
    world.refusals.add(2)  # after the last check
    world.refusals.end()
    assert world.lines == [FULL, "5 puts were refused until the stop"]
    assert world.events[1] == ("puts_refused", {"reason": "ENOSPC", "refused": 5})


def test_stop_reports_nothing_again_after_the_end():
    world = World()
    world.refuse()
    world.wait(QUIET_NS)
    world.refusals.end()
    assert len(world.lines) == 2


def test_stop_reports_what_the_interval_holds_back():
    world = World()
    world.refuse(reason=errno.EFBIG)
    world.wait(QUIET_NS)
    world.refuse(reason=errno.ENOSPC)
    world.refusals.end()
    assert world.lines[2:] == ["1 put was refused until the stop"]
    assert world.events[2] == ("puts_refused", {"reason": "ENOSPC", "refused": 1})
