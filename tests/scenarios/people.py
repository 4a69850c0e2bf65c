"""What the scenarios are played with: clients, and threads that work side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable

import greenstalk
from testkit.daemon import Daemon

#: How long anybody waits for what must come.
PATIENCE = 20


def client(
    daemon: Daemon, use: str = "default", watch: str | list[str] = "default"
) -> greenstalk.Client[str]:
    return greenstalk.Client(daemon.address, use=use, watch=watch)


class Workers:
    """Threads that run at the same time; the first error of any of them is raised at the end."""

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
            thread.join(PATIENCE)
            if self._errors:
                raise self._errors[0]
            assert not thread.is_alive(), "a worker did not come to its end"

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.join()
