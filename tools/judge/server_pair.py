"""The two servers that are compared, and the clock that both read. No process is left running."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from testkit.c_server import find_c_server
from testkit.daemon import OURS, Daemon

from .actions import Setting
from .clock import Clock
from .comparison import Comparison
from .sides import Side


class CServerMissing(RuntimeError):
    """The C server is not installed."""


@dataclass
class ServerPair:
    """The programs to compare, and their clock."""

    clock: Clock
    ours: list[str] = field(default_factory=lambda: list(OURS))
    c: str = field(default_factory=lambda: need_c_server())

    @cached_property
    def c_version(self) -> str:
        return subprocess.run(
            [self.c, "-v"], capture_output=True, text=True, check=True
        ).stdout.split()[1]

    def program(self, server: str) -> list[str]:
        """server: ours or c."""
        return self.ours if server == "ours" else [self.c]

    @contextmanager
    def comparison(self, setting: Setting) -> Iterator[Comparison]:
        with ExitStack() as stack:
            self.clock.reset(setting.drift_ns)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="judge.")))
            sides = [
                stack.enter_context(self._side(setting, server, folder)) for server in ("ours", "c")
            ]
            yield Comparison(setting, self.clock, sides[0], sides[1], self.c_version)

    @contextmanager
    def _side(self, setting: Setting, server: str, above: Path) -> Iterator[Side]:
        folder = above / server
        folder.mkdir()
        options = setting.options + (["-b", str(folder)] if setting.logged else [])
        at = f"unix:{folder}/socket" if setting.unix else "127.0.0.1"
        program, environ = self.program(server), self.clock.environment
        with Daemon(options, at, program=program, environ=environ) as daemon:
            mix = setting.mixed if server == "ours" else ""
            with closing(Side(daemon.start(), mix, setting.max_job_size)) as side:
                yield side


def need_c_server() -> str:
    """The path of the C server."""
    path = find_c_server()
    if path is None:
        raise CServerMissing("the C server, beanstalkd, is not installed")
    return path
