"""Some seeds for batched socket I/O, and wrong functions that must be detected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fuzz.batchedio import FORMS, PYTHON, Form, run
from fuzz.count import Count

from beanstalkd_py.server.batchedio import BUILT, Events


@pytest.mark.parametrize("seed", range(4))
def test_both_forms_agree(seed: int) -> None:
    count = Count()
    run(seed, count)
    assert count.inputs == len(FORMS) == 1 + BUILT and count.nbytes > 1000, count


def first_failure(form: Form, *forms: Form) -> str:
    """The message of the first seed that fails, or ""."""
    for seed in range(20):
        try:
            run(seed, Count(), [form, *forms])
        except AssertionError as error:
            return str(error)
    return ""


def send_twice(items: list[Any]) -> tuple[int, int] | None:
    PYTHON.send_all(items[:1])
    stop: tuple[int, int] | None = PYTHON.send_all(items)
    return stop


def send_without_stop(items: list[Any]) -> None:
    PYTHON.send_all(items)


def receive_where_the_caller_must(epoll: Any, timeout_ms: int, polls: int, _: bytes) -> Events:
    events: Events = PYTHON.receive_ready(epoll, timeout_ms, polls, b"\1" * 1000)
    return events


def receive_less(*arguments: Any) -> Events:
    return [
        (fd, flags, received[1:] if isinstance(received, bytes) else received)
        for fd, flags, received in PYTHON.receive_ready(*arguments)
    ]


@pytest.mark.parametrize(
    ("function", "message"),
    [(send_twice, "other bytes than the server sent"), (send_without_stop, "to no socket")],
)
def test_wrong_send_all_is_detected(function: Callable[..., Any], message: str) -> None:
    assert message in first_failure(PYTHON._replace(send_all=function))


@pytest.mark.parametrize(
    ("function", "message"),
    [(receive_less, "other bytes than the client sent"), (receive_where_the_caller_must, "flags")],
)
def test_wrong_receive_ready_is_detected(function: Callable[..., Any], message: str) -> None:
    assert message in first_failure(PYTHON._replace(receive_ready=function))


def test_difference_between_forms_is_detected() -> None:
    """All bytes are right, but the events come in another order."""

    def reverse(*arguments: Any) -> Events:
        events: Events = PYTHON.receive_ready(*arguments)
        return events[::-1]

    assert "result" in first_failure(PYTHON, PYTHON._replace(receive_ready=reverse))
