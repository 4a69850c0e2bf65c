"""The command line: the C server's flags, and long names for all options.

Pure: this module prints nothing and does not end the process. If the command line must end the
program, `parse` raises `Exit`, with texts that include the program's name.

The messages and the order in which flags act are the C server's, byte for byte. Some differences
are intended. Without -f and -F, each reply waits for its sync. `-b ""` is refused; for the C server
it means the root directory. And there are options with long names; their value is the next word, or
follows a `=`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from beanstalkd_py.config import usage, version
from beanstalkd_py.config.kinds import Invalid, Number, Switch, Value
from beanstalkd_py.config.options import Options
from beanstalkd_py.config.table import BY_LETTER, BY_LONG, Option

USAGE_ERROR = 5
LOCK_ERROR = 10

_REMOVED = {
    letter: f"-{letter} flag was removed. binlog is always compacted." for letter in ("c", "n")
}


class CommandLine(NamedTuple):
    """given: the values of the options that were given, by key. warnings: lines without the
    program's name.
    """

    given: Mapping[str, Value] = {}
    warnings: tuple[str, ...] = ()
    config: str | None = None
    check_config: bool = False

    def over(self, file: Mapping[str, Value]) -> Options:
        """The options of a file, except where a flag was given."""
        values: dict[str, Any] = {**file, **self.given}
        return Options(**values)


class Exit(Exception):
    """The program must write these texts unchanged, and end with this status."""

    def __init__(self, status: int, stdout: str = "", stderr: str = "") -> None:
        super().__init__(status, stdout, stderr)
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


def parse(argv: Sequence[str], prog: str) -> CommandLine:
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


def _suggestion(word: str) -> str:
    if not word.startswith("--"):
        return ""
    close = difflib.get_close_matches(word.partition("=")[0], BY_LONG, n=1)
    return f"; did you mean {close[0]}?" if close else ""


class _Reading:
    """The options that were read so far. Flags take effect in the order of the command line."""

    def __init__(self, prog: str) -> None:
        self.prog = prog
        self.given: dict[str, Any] = {}
        self.warnings: list[str] = []

    def read_long(self, word: str, following: Iterator[str]) -> bool:
        """Reads an option with a long name. False if the word is none."""
        name, equals, value = word.partition("=")
        option = BY_LONG.get(name)
        if option is None or (equals and not option.value):
            return False
        if option.key == "help":
            raise self.exit(0, stdout=usage.full(self.prog))
        if option.value:
            self.read_value(option, name, value if equals else next(following, None))
        else:
            self.switch_on(option)
        return True

    def read_word(self, word: str, following: Iterator[str]) -> None:
        """Reads one word, which may have many flags. A flag with a value takes the rest of the word
        as its value; if there is no rest, the next word.
        """
        for at, letter in enumerate(word[1:], 1):
            option = BY_LETTER.get(letter)
            if letter in _REMOVED:
                self.warnings.append(_REMOVED[letter])
            elif option is None:
                raise self.usage_error(f"unknown flag: {word[at - 1 :]}{_suggestion(word)}")
            elif letter == "V":
                self.given["verbosity"] = self.given.get("verbosity", 0) + 1
            elif option.value:
                self.read_value(option, f"-{letter}", word[at + 1 :] or next(following, None))
                return
            else:
                self.switch_on(option)

    def switch_on(self, option: Option) -> None:
        assert isinstance(option.kind, Switch)
        if option.key == "version":
            raise self.exit(0, stdout=version.text())
        if option.key == "help":
            raise self.exit(0, usage.short(self.prog))
        self.given[option.key] = True

    def read_value(self, option: Option, flag: str, word: str | None) -> None:
        if word is None:
            raise self.usage_error(f"flag requires an argument: {flag}")
        try:
            value = option.kind.from_word(word)
        except Invalid as error:
            raise self.usage_error(f"invalid {error}: {word}") from None
        self.given[option.key] = self.capped(option, value)
        self.given.update(option.implies)

    def capped(self, option: Option, value: Value) -> Value:
        if not option.capped or not isinstance(option.kind, Number):
            return value
        if not isinstance(value, int) or value <= option.kind.most:
            return value
        self.warnings.append(option.capped.format(option.kind.most))
        return option.kind.most

    def finish(self) -> CommandLine:
        config = self.given.pop("config", None)
        check_config = self.given.pop("check_config", False)
        if self.given.get("wal_dir") == "":
            raise self.exit(
                LOCK_ERROR, self.line_of('failed to lock wal dir "": no directory is named')
            )
        if check_config and config is None:
            raise self.usage_error("--check-config needs --config FILE")
        return CommandLine(self.given, tuple(self.warnings), config, check_config)

    def usage_error(self, text: str) -> Exit:
        return self.exit(USAGE_ERROR, self.line_of(text) + usage.short(self.prog))

    def exit(self, status: int, stderr: str = "", stdout: str = "") -> Exit:
        """Puts the warnings so far in front of the text: after an Exit the caller does not print
        them.
        """
        return Exit(status, stdout, "".join(map(self.line_of, self.warnings)) + stderr)

    def line_of(self, text: str) -> str:
        return f"{self.prog}: {text}\n"
