"""The C server's command line, read into `Options`.

Pure: this module prints nothing and does not end the process. Warnings are in `Options.warnings`,
without the program's name. If the command line must end the program, `parse` raises `Exit`, with
texts that include the program's name.

The messages and the order in which flags act are the C server's, byte for byte. Some differences
are intended. Without -f and -F, each reply waits for its sync. `-b ""` is refused; for the C server
it means the root directory. And there are options with long names; their value is the next word, or
follows a `=`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import NamedTuple

from beanstalkd_py import C_VERSION, __version__

USAGE_ERROR = 5
LOCK_ERROR = 10

DEFAULT_MAX_JOB_SIZE = 65535
LARGEST_MAX_JOB_SIZE = 1073741824
DEFAULT_SEGMENT_BYTES = 10485760
SMALLEST_SEGMENT_BYTES = 65536
LARGEST_SEGMENT_BYTES = 1 << 30
_SIZE_MAX = 2**64 - 1

_USAGE = """\
Use: {prog} [OPTIONS]

Options:
 -b DIR   write-ahead log directory
 -f MS    fsync at most once every MS milliseconds (default is 0ms:
          no reply leaves before its change is on disk)
 -F       never fsync
 -l ADDR  listen on address (default is 0.0.0.0)
 -p PORT  listen on port (default is 11300)
 -u USER  become user and group
 -z BYTES set the maximum job size in bytes (default is 65535);
          max allowed is 1073741824 bytes
 -s BYTES set the size of each write-ahead log file (default is 10485760);
          will be rounded up to a multiple of 4096 bytes
 -v       show version information
 -V       increase verbosity
 -h       show this help
 --accept-damaged-import
          take over what can be read of beanstalkd's damaged binlog files
 --socket-mode MODE
          permissions of the unix socket of -l, such as 660 (default is by the umask)
 --socket-group GROUP
          group of the unix socket of -l (default is USER's)
"""


class Options(NamedTuple):
    wal_dir: str | None = None
    sync_ms: int = 0  # 0: each reply waits for its sync
    never_sync: bool = False  # if true, sync_ms has no effect
    address: str | None = None
    port: str | None = None  # as given: getaddrinfo reads it
    user: str | None = None
    max_job_size: int = DEFAULT_MAX_JOB_SIZE
    segment_bytes: int = DEFAULT_SEGMENT_BYTES  # as given, for stats
    verbosity: int = 0
    accept_damaged_import: bool = False
    socket_mode: int | None = None
    socket_group: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def log_segment_bytes(self) -> int:
        """The segment size of the log: -s rounded up to blocks of 4096 bytes. The least is enough
        for a header and some frames; the most can be preallocated at a start.
        """
        return min(
            max(SMALLEST_SEGMENT_BYTES, -(-self.segment_bytes // 4096) * 4096),
            LARGEST_SEGMENT_BYTES,
        )


class Exit(Exception):
    """The program must write these texts unchanged, and end with this status."""

    def __init__(self, status: int, stdout: str = "", stderr: str = "") -> None:
        super().__init__(status, stdout, stderr)
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


class _Invalid(ValueError):
    """A value that cannot be read. The text says what kind of value it should be."""


def parse(argv: Sequence[str], prog: str) -> Options:
    """Reads the words after the program's name. `prog` is the program's name in messages."""
    reading = _Reading(prog)
    words = iter(argv)
    for word in words:
        if reading.read_long(word, words):
            continue
        if not word.startswith("-") or word == "-":
            raise reading.usage_error(f"unknown argument: {word}")
        reading.read_word(word, words)
    return reading.finish()


def _build() -> str:
    """A line that says which build of the server runs."""
    modules = "compiled" if _is_built("beanstalkd_py.queue.queue") else "pure Python"
    batched = "in C" if _is_built("beanstalkd_py.server._batchedio") else "in Python"
    return f"modules: {modules}; batched socket I/O: {batched}\n"


def _is_built(module: str) -> bool:
    found = find_spec(module)
    return found is not None and str(found.origin).endswith(tuple(EXTENSION_SUFFIXES))


class _Reading:
    """The options that were read so far. Flags take effect in the order of the command line."""

    def __init__(self, prog: str) -> None:
        self.prog = prog
        self.options = Options()

    def read_long(self, word: str, following: Iterator[str]) -> bool:
        """Reads an option with a long name. False if the word is none."""
        name, equals, value = word.partition("=")
        if word == "--accept-damaged-import":
            self.accept_damaged_import()
        elif name in _LONG:
            self.read_value(name, value if equals else next(following, None))
        else:
            return False
        return True

    def read_word(self, word: str, following: Iterator[str]) -> None:
        """Reads one word, which may have many flags. A flag with a value takes the rest of the word
        as its value; if there is no rest, the next word.
        """
        for at, letter in enumerate(word[1:], 1):
            if letter in _SWITCHES:
                _SWITCHES[letter](self)
            elif letter in _TAKES_VALUE:
                self.read_value(f"-{letter}", word[at + 1 :] or next(following, None))
                return
            else:
                raise self.usage_error(f"unknown flag: {word[at - 1 :]}")

    def read_value(self, flag: str, value: str | None) -> None:
        if value is None:
            raise self.usage_error(f"flag requires an argument: {flag}")
        try:
            self.options = (_LONG.get(flag) or _TAKES_VALUE[flag[1:]])(self.options, value)
        except _Invalid as error:
            raise self.usage_error(f"invalid {error}: {value}") from None

    def finish(self) -> Options:
        if self.options.wal_dir == "":
            raise self.exit(
                LOCK_ERROR, self.line_of('failed to lock wal dir "": no directory is named')
            )
        return self.options

    def accept_damaged_import(self) -> None:
        self.options = self.options._replace(accept_damaged_import=True)

    def never_sync(self) -> None:
        self.options = self.options._replace(never_sync=True)

    def more_verbose(self) -> None:
        self.options = self.options._replace(verbosity=self.options.verbosity + 1)

    def removed_c(self) -> None:
        self.options = _warned(self.options, "-c flag was removed. binlog is always compacted.")

    def removed_n(self) -> None:
        self.options = _warned(self.options, "-n flag was removed. binlog is always compacted.")

    def show_version(self) -> None:
        text = f"beanstalkd-py {__version__}, compatible with beanstalkd {C_VERSION}\n"
        raise self.exit(0, stdout=text + _build())

    def show_usage(self) -> None:
        raise self.exit(0, _USAGE.format(prog=self.prog))

    def usage_error(self, text: str) -> Exit:
        return self.exit(USAGE_ERROR, self.line_of(text) + _USAGE.format(prog=self.prog))

    def exit(self, status: int, stderr: str = "", stdout: str = "") -> Exit:
        """Puts the warnings so far in front of the text: after an Exit the caller does not print
        them.
        """
        return Exit(status, stdout, "".join(map(self.line_of, self.options.warnings)) + stderr)

    def line_of(self, text: str) -> str:
        return f"{self.prog}: {text}\n"


def _warned(options: Options, text: str) -> Options:
    return options._replace(warnings=(*options.warnings, text))


def _set_max_job_size(options: Options, value: str) -> Options:
    size = _size(value)
    if size > LARGEST_MAX_JOB_SIZE:
        size = LARGEST_MAX_JOB_SIZE
        options = _warned(options, f"maximum job size was set to {size}")
    return options._replace(max_job_size=size)


def _size(text: str) -> int:
    """Reads a size_t as scanf's %zu does. White space and a sign may come first. A negative number
    wraps. A number that is too large becomes the largest size_t.
    """
    match = re.fullmatch(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)", text)
    if match is None:
        raise _Invalid("size")
    sign, digits = match[1], match[2].lstrip("0") or "0"
    if len(digits) > 20 or int(digits) > _SIZE_MAX:
        return _SIZE_MAX
    return -int(digits) & _SIZE_MAX if sign == "-" else int(digits)


_SWITCHES: dict[str, Callable[[_Reading], None]] = {
    "F": _Reading.never_sync,
    "V": _Reading.more_verbose,
    "c": _Reading.removed_c,
    "n": _Reading.removed_n,
    "v": _Reading.show_version,
    "h": _Reading.show_usage,
}

_TAKES_VALUE: dict[str, Callable[[Options, str], Options]] = {
    "b": lambda options, value: options._replace(wal_dir=value),
    "f": lambda options, value: options._replace(sync_ms=_size(value), never_sync=False),
    "l": lambda options, value: options._replace(address=value),
    "p": lambda options, value: options._replace(port=value),
    "s": lambda options, value: options._replace(segment_bytes=_size(value)),
    "u": lambda options, value: options._replace(user=value),
    "z": _set_max_job_size,
}


def _set_socket_mode(options: Options, value: str) -> Options:
    if not re.fullmatch("0?[0-7]{3}", value):
        raise _Invalid("mode")
    return options._replace(socket_mode=int(value, 8))


_LONG: dict[str, Callable[[Options, str], Options]] = {
    "--socket-mode": _set_socket_mode,
    "--socket-group": lambda options, value: options._replace(socket_group=value),
}
