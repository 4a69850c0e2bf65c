"""What a manual page says of an argparse parser."""

from __future__ import annotations

import argparse

from .roff import bold, definitions, escaped, italic


def usage(parser: argparse.ArgumentParser) -> str:
    words = []
    for action in parser._actions:
        if action.dest == "help":
            continue
        value = _value(action)
        shown = bold(value) if value == "add" else italic(value)
        if action.option_strings:
            flag = bold(action.option_strings[-1])
            shown = f"[{flag} {shown}]" if value else f"[{flag}]"
        words.append(shown)
    return " ".join(words)


def options_of(parser: argparse.ArgumentParser) -> str:
    rows = [
        (
            ", ".join(map(bold, action.option_strings))
            + (f" {italic(value)}" if (value := _value(action)) else ""),
            escaped(str(action.help) % vars(action)),
        )
        for action in parser._actions
    ]
    return definitions(rows)


def _value(action: argparse.Action) -> str:
    return str(action.metavar or "|".join(action.choices or ()))
