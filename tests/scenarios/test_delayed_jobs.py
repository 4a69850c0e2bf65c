"""A shop closes unpaid orders after some time: one delayed job per order."""

from __future__ import annotations

import pytest
from greenstalk import NotFoundError
from testkit.daemon import Daemon

from .workers import TIMEOUT_S, client

UNPAID = 1  # seconds


def test_only_unpaid_orders_are_closed(daemon: Daemon) -> None:
    with client(daemon, use="orders") as shop, client(daemon, watch="orders") as closer:
        jobs = {order: shop.put(order, delay=UNPAID) for order in ("order 1", "order 2", "order 3")}
        assert shop.stats_job(jobs["order 1"])["state"] == "delayed"
        shop.delete(jobs["order 2"])  # paid
        closed = []
        for _ in range(2):
            job = closer.reserve(timeout=TIMEOUT_S)
            closed.append(job.body)
            closer.delete(job)
        assert sorted(closed) == ["order 1", "order 3"]
        with pytest.raises(NotFoundError):
            shop.peek(jobs["order 2"])
        with pytest.raises(NotFoundError):
            shop.peek_delayed()


def test_late_payment_cannot_delete_a_reserved_job(daemon: Daemon) -> None:
    with client(daemon, use="orders") as shop, client(daemon, watch="orders") as closer:
        job = shop.put("order 1", delay=UNPAID)
        held = closer.reserve(timeout=TIMEOUT_S)
        with pytest.raises(NotFoundError):
            shop.delete(job)  # the closer has reserved it
        closer.delete(held)


def test_deadline_of_an_order_is_extended(daemon: Daemon) -> None:
    """The shop reserves the job by its id and releases it with another delay."""
    with client(daemon, use="orders") as shop:
        first = shop.put("order 1", delay=UNPAID)
        shop.release(shop.reserve_job(first), delay=3600)
        second = shop.put("order 2", delay=UNPAID)
        with client(daemon, watch="orders") as closer:
            assert closer.reserve(timeout=TIMEOUT_S).id == second
        assert shop.stats_job(first)["state"] == "delayed"
