"""A day in the life of a server: all events of a real run, as docs/operating.md shows them.

The server starts, works, has too many clients, a slow disk and a full one, reloads, drains and
stops. Its disk is a tmpfs, which needs root or a user namespace; its slow syncs need a C compiler.
Only the names of the directory and of the configuration file, and the port, are replaced.
"""

from __future__ import annotations

import random
import signal
import tempfile
import textwrap
from contextlib import closing
from pathlib import Path

from killtest.small_disk import SmallDisk
from testkit.daemon import Daemon
from testkit.page import replaced
from testkit.slow_disk import SlowDisk
from testkit.waiting import wait_until

PAGE = "docs/operating.md"
DIRECTORY, FILE, ADDRESS = "/var/lib/beanstalkd", "/etc/beanstalkd.toml", "127.0.0.1:11300"
FORMATS = ("text", "json")
DISK_BYTES = 12 << 20
BODY_BYTES = 60_000
COLUMNS = 80


def write(root: Path) -> None:
    """Puts a new day into the page, once in each format."""
    path = root / PAGE
    page = path.read_text()
    for name in FORMATS:
        page = with_day(page, name, run(name))
    path.write_text(page)


def with_day(page: str, name: str, lines: str) -> str:
    """name: the format. Raises NoPlace."""
    shown = "\n".join(map(folded, lines.splitlines()))
    begin, end = (f"<!-- day in {name}: {word} -->" for word in ("begin", "end"))
    return replaced(page, begin, end, f"```\n{shown}\n```")


def day_of(page: str, name: str) -> list[str]:
    """The lines of the day in the page."""
    _, _, rest = page.partition(f"<!-- day in {name}: begin -->\n```\n")
    return unfolded(rest.partition("\n```")[0])


def folded(line: str) -> str:
    """In several lines, for a page of COLUMNS columns."""
    parts = textwrap.wrap(
        line, COLUMNS, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(parts)


def unfolded(text: str) -> list[str]:
    return text.replace("\n    ", " ").splitlines()


def run(name: str) -> str:
    """All that the server writes to stderr on its day."""
    with tempfile.TemporaryDirectory() as folder, closing(Day(Path(folder), name)) as day:
        return day.live()


class Day:
    """folder: for everything that the server needs. name: the format of its events."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / "beanstalkd.toml"
        self._slow = SlowDisk(folder)
        mount_point = folder / "disk"
        mount_point.mkdir()
        self._disk = SmallDisk(mount_point, DISK_BYTES)
        (self._disk.path / "log").mkdir()
        self._configure("max_connections = 2")
        options = ("-s", str(1 << 20), "--config", str(self._file), "--log-format", name)
        self._daemon = Daemon(
            options,
            directory=mount_point / "log",
            prefix=self._disk.enter,
            environ=self._slow.environ,
        )

    def close(self) -> None:
        self._daemon.close()
        self._disk.close()

    def live(self) -> str:
        daemon = self._daemon.start()
        ids = self._work()
        self._be_slow()
        self._fill_disk(ids)
        self._configure("max_connections = 2\nmax_job_size = 131_072")
        self._send(signal.SIGHUP, "reloaded")
        self._send(signal.SIGUSR1, "draining")
        daemon.stop()
        return self._shown(daemon.events())

    def _configure(self, line: str) -> None:
        self._file.write_text(f"{line}\n")

    def _wait(self, words: str) -> None:
        wait_until(lambda: words in self._daemon.events(), lambda: self._daemon.events())

    def _send(self, number: signal.Signals, words: str) -> None:
        self._daemon.send_signal(number)
        self._wait(words)

    def _work(self) -> list[int]:
        """Jobs come, and more clients than are allowed."""
        first, second = self._daemon.client(), self._daemon.client()
        ids = [first.put(random.randbytes(1000)) for _ in range(20)]
        assert second.ask(b"reserve\r\n").startswith(b"RESERVED")
        assert self._daemon.client().rest() == b""
        second.close()
        wait_until(lambda: first.stat(b"current-connections") == b"1", "the second one has gone")
        return ids

    def _be_slow(self) -> None:
        with self._daemon.client() as client:
            self._slow.stop()
            client.say(b"put 0 0 60 1\r\nx\r\n")
            self._wait("has not returned")
            self._slow.go_on()
            assert client.hear() == [b"INSERTED 21\r\n"]
            self._wait("sync took")

    def _fill_disk(self, ids: list[int]) -> None:
        with self._daemon.client() as client:
            put = b"put 0 0 60 %d\r\n%b\r\n" % (BODY_BYTES, random.randbytes(BODY_BYTES))
            while (reply := client.ask(put)) != b"OUT_OF_MEMORY\r\n":
                ids.append(int(reply.split()[1]))
            assert all(client.ask(put) == reply for _ in range(250))
            self._wait("puts are refused")
            for id in ids:
                client.ask(b"delete %d\r\n" % id)
            self._wait("puts are accepted again")

    def _shown(self, events: str) -> str:
        daemon = self._daemon
        names = {
            daemon.directory: DIRECTORY,
            str(self._file): FILE,
            f"127.0.0.1:{daemon.port}": ADDRESS,
        }
        for name, shown in names.items():
            events = events.replace(name, shown)
        return events
