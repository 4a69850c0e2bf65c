"""The waits of ready jobs until their first reserve, if they are measured."""

from __future__ import annotations

from beanstalkd_py.queue.model import NEVER
from beanstalkd_py.queue.puts import Wishes
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.waits import BOUNDS_NS, Waits

SECOND = 1_000_000_000
TTR = 100 * SECOND


class Measured:
    """A queue that measures, and a client that reserves in its default tube."""

    def __init__(self) -> None:
        self.queue = Queue()
        self.queue.measures_waits = True
        self.queue.default.measure_waits()
        self.client = self.queue.connect()

    def put(self, now: int, delay: int = 0) -> None:
        self.queue.put(self.client, self.queue.default, now, 0, delay, TTR, b"")

    def reserve(self, now: int) -> None:
        self.queue.tick(now)
        self.queue.reserve(self.client, now, NEVER)

    @property
    def waits(self) -> tuple[int, int]:
        """How many, and their sum."""
        waits = self.queue.default.waits
        assert waits is not None
        return sum(waits.counts), waits.total_ns


def test_wait_is_from_put_to_first_reserve() -> None:
    measured = Measured()
    measured.put(5)
    measured.reserve(12)
    assert measured.waits == (1, 7)


def test_wait_of_a_delayed_job_begins_when_it_is_ready() -> None:
    measured = Measured()
    measured.put(0, delay=SECOND)
    measured.reserve(SECOND + 3)
    assert measured.waits == (1, 3)


def test_waiting_client_takes_a_job_at_once() -> None:
    measured = Measured()
    measured.reserve(0)
    measured.put(9)
    assert measured.waits == (1, 0)


def test_only_the_first_reserve_of_a_job_counts() -> None:
    measured = Measured()
    measured.put(0)
    measured.reserve(1)
    measured.queue.release(measured.client, 2, 1, 0, 0)
    measured.reserve(3)
    measured.queue.tick(10 * TTR)
    measured.reserve(10 * TTR + 1)
    assert measured.waits == (1, 1)


def test_job_of_a_lost_client_does_not_count_again() -> None:
    measured = Measured()
    measured.put(0)
    other = measured.queue.connect()
    measured.queue.reserve(other, 1, NEVER)
    measured.queue.disconnect(other, 2)
    measured.reserve(3)
    assert measured.waits == (1, 1)


def test_kicked_job_does_not_count() -> None:
    measured = Measured()
    measured.put(0, delay=5 * SECOND)
    measured.queue.kick_job(1, 1)
    measured.reserve(2)
    assert measured.waits == (0, 0)


def test_delayed_job_that_is_reserved_by_id_does_not_count() -> None:
    measured = Measured()
    measured.put(0, delay=5 * SECOND)
    measured.queue.reserve_job(measured.client, 1, 1)
    assert measured.waits == (0, 0)


def test_key_until_the_first_reserve_ends_while_waits_are_measured() -> None:
    measured = Measured()
    wishes = Wishes(key=b"k", until_reserve=True)
    measured.queue.put_with(measured.client, b"default", 0, 0, 0, TTR, b"", wishes)
    measured.reserve(4)
    assert measured.waits == (1, 4)
    assert not measured.queue.attributes


def test_each_tube_has_waits_of_its_own() -> None:
    measured = Measured()
    measured.queue.watch(measured.client, b"mail")
    measured.queue.put_in(measured.client, b"mail", 0, 0, 0, TTR, b"")
    measured.reserve(6)
    mail = measured.queue.tubes[b"mail"].waits
    assert mail is not None and (sum(mail.counts), mail.total_ns) == (1, 6)
    assert measured.waits == (0, 0)


def test_tubes_measure_nothing_by_themselves() -> None:
    queue = Queue()
    client = queue.connect()
    queue.put(client, queue.default, 0, 0, 0, TTR, b"")
    queue.reserve(client, 1, NEVER)
    assert queue.default.waits is None and not queue.default.hooked


def test_bounds_belong_to_their_bucket() -> None:
    waits = Waits()
    for bound in BOUNDS_NS:
        waits.add(bound)
    waits.add(BOUNDS_NS[-1] + 1)
    assert waits.counts == [1] * (len(BOUNDS_NS) + 1)
