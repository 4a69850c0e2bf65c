"""A shop closes an order unless it is paid in time: a delayed job per order."""

from __future__ import annotations

import pytest
from greenstalk import NotFoundError
from testkit.daemon import Daemon

from .people import PATIENCE, client

UNPAID = 1  # seconds


def test_an_unpaid_order_is_closed_and_a_paid_one_is_not(daemon: Daemon) -> None:
    with client(daemon, use="orders") as shop, client(daemon, watch="orders") as closer:
        jobs = {order: shop.put(order, delay=UNPAID) for order in ("order 1", "order 2", "order 3")}
        assert shop.stats_job(jobs["order 1"])["state"] == "delayed"
        shop.delete(jobs["order 2"])  # paid: nothing is to be done any more
        closed = []
        for _ in range(2):
            job = closer.reserve(timeout=PATIENCE)
            closed.append(job.body)
            closer.delete(job)
        assert sorted(closed) == ["order 1", "order 3"]
        with pytest.raises(NotFoundError):
            shop.peek(jobs["order 2"])
        with pytest.raises(NotFoundError):
            shop.peek_delayed()


def test_an_order_that_is_paid_too_late_is_not_reopened(daemon: Daemon) -> None:
    with client(daemon, use="orders") as shop, client(daemon, watch="orders") as closer:
        job = shop.put("order 1", delay=UNPAID)
        held = closer.reserve(timeout=PATIENCE)
        with pytest.raises(NotFoundError):
            shop.delete(job)  # the closer has it: the payment must be given back
        closer.delete(held)


def test_more_time_to_pay(daemon: Daemon) -> None:
    """The shop takes the job by its id and puts it off."""
    with client(daemon, use="orders") as shop:
        first = shop.put("order 1", delay=UNPAID)
        shop.release(shop.reserve_job(first), delay=3600)
        second = shop.put("order 2", delay=UNPAID)
        with client(daemon, watch="orders") as closer:
            assert closer.reserve(timeout=PATIENCE).id == second
        assert shop.stats_job(first)["state"] == "delayed"
