"""Clients and parallel threads for the scenarios."""

from __future__ import annotations

import threading
from collections.abc import Callable

import greenstalk
from testkit.daemon import Daemon
from testkit.waiting import HANG_S

TIMEOUT_S = int(HANG_S)  # for everything that must happen


def client(
    daemon: Daemon, use: str = "default", watch: str | list[str] = "default"
) -> greenstalk.Client[str]:
    return greenstalk.Client(daemon.address, use=use, watch=watch)


class Workers:
    """Parallel threads. `join` raises the first error of any thread."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def start(self, work: Callable[..., None], *args: object) -> None:
        def run() -> None:
            try:
                work(*args)
            except BaseException as error:
                self._errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(TIMEOUT_S)
            if self._errors:
                raise self._errors[0]
            assert not thread.is_alive(), "a worker did not end"

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.join()
