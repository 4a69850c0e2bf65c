"""The queue, with and without a binlog, against the reference model: `make model` is the long form.

What hypothesis has found stays here, shrunk, under a name.
"""

from __future__ import annotations

import pytest
from model.machine import run
from model.pair import SECOND, Pair
from model.snapshot import Difference

from beanstalkd_py.queue.outcome import NOT_FOUND
from beanstalkd_py.queue.queue import Queue


@pytest.mark.parametrize("seed", (1, 2))
def test_queue_does_what_the_reference_model_does(seed: int) -> None:
    plays, steps = run(seed, plays=40)
    assert plays >= 40 and steps > 400


@pytest.mark.parametrize("kind", ["memory", "limited", "binlog"])
def test_all_commands_match_the_reference_model(kind: str) -> None:
    """Most of what there is, to see at a glance what fails."""
    pair = Pair(kind)
    for name in ("a", "b", "c"):
        pair.connect(name)
    pair.send("a", b"watch x\r\nreserve\r\nlist-tubes-watched\r\n")
    pair.send(
        "b",
        b"use x\r\nput 5 0 2 3\r\none\r\nput 1 3 2 3\r\ntwo\r\n"
        b"put 0 0 0 5\r\nthree\r\nstats-tube x\r\n",
    )
    pair.send(
        "a",
        b"release 1 7 0\r\nreserve-job 3\r\ntouch 3\r\nignore default\r\n"
        b"reserve-job 2\r\nbury 2 1\r\nreserve-with-timeout 9\r\n",
    )
    pair.send("c", b"watch x\r\nreserve\r\n")
    pair.advance(5 * SECOND)
    pair.send(
        "b",
        b"kick 5\r\npause-tube x 2\r\nstats\r\nput 0 0 1 601\r\n"
        + bytes(603)
        + b"put 0 0 1 1\r\nxyz\r\n",
    )
    pair.end("b")
    pair.advance(5 * SECOND)
    if kind == "binlog":
        pair.restart(SECOND, clean=False)
    pair.finish()


def test_full_disk_refuses_and_changes_nothing() -> None:
    pair = Pair("limited")
    pair.connect("a")
    pair.send("a", b"put 0 9 1 1\r\nx\r\nput 0 9 1 1\r\ny\r\nput 0 0 9 1\r\nz\r\nreserve\r\n")
    pair.limit_changes(0)
    refused = (
        b"put 0 0 1 1\r\nx\r\ndelete 1\r\nrelease 3 0 0\r\nbury 3 0\r\n"
        b"kick 9\r\nkick-job 1\r\nreserve-job 1\r\npause-tube default 9\r\n"
    )
    assert pair.send("a", refused) == b"OUT_OF_MEMORY\r\n" * 8
    assert pair.send("a", b"pause-tube default 0\r\ntouch 3\r\n") == b"PAUSED\r\nTOUCHED\r\n"
    pair.limit_changes(1)
    assert pair.send("a", b"kick 9\r\n") == b"KICKED 1\r\n"
    pair.finish()


@pytest.mark.sources
@pytest.mark.parametrize(
    "method",
    [
        "release",
        "touch",
        "reserve_job",
        "ignore",
        "_end_pause",
        "_client_timer",
        "remove_if_unused",
    ],
)
def test_broken_rule_is_found(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(Queue, method, lambda *_: NOT_FOUND)
    with pytest.raises((Difference, AssertionError)):
        test_all_commands_match_the_reference_model("memory")


# --- found by hypothesis


def test_replayed_tube_is_removed_when_pause_0_ends_its_pause() -> None:
    """It stayed for ever."""
    pair = Pair("binlog")
    pair.connect("a")
    pair.send("a", b"use x\r\npause-tube x 100\r\nput 0 0 1 0\r\n\r\n")
    pair.restart(0, clean=False)
    pair.connect("a")
    assert (
        pair.send("a", b"delete 1\r\npause-tube x 0\r\nlist-tubes\r\n")
        == b"DELETED\r\nPAUSED\r\nOK 14\r\n---\n- default\n\r\n"
    )
    pair.finish()


def test_disconnect_releases_tubes_in_the_order_of_c() -> None:
    """The one it uses last."""
    pair = Pair()
    pair.connect("a")
    pair.connect("b")
    pair.send("a", b"use u\r\nwatch a\r\nignore default\r\n")
    pair.send("b", b"watch x\r\nwatch y\r\n")
    pair.lose("a")
    assert pair.send("b", b"list-tubes\r\n") == b"OK 22\r\n---\n- default\n- x\n- y\n\r\n"
