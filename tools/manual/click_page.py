"""The manual page of a program that is made with click: all its commands on one page."""

from __future__ import annotations

import click
from beanstalkd_binlog.cli import cli

from beanstalkd_py import __version__

from .roff import (
    bold,
    definitions,
    escaped,
    from_help,
    section,
    subsection,
    title,
)

PROGRAM = "beanstalkd-binlog"


def page(group: click.Group = cli, program: str = PROGRAM) -> str:
    context = click.Context(group, info_name=program, **group.context_settings)
    help_text = group.help or ""
    return "".join(
        [
            title(program, __version__),
            section("Name", f"{escaped(program)} \\- show and repair a log of beanstalkd\\-py\n"),
            section("Synopsis", _usage(group, context) + "\n"),
            section("Description", from_help(help_text)),
            section("Options", definitions(_options(group, context))),
            section("Commands", *(_command(group, name, context) for name in group.commands)),
            section("See also", f"{bold('beanstalkd-py')}(1)\n"),
        ]
    )


def _usage(command: click.Command, context: click.Context) -> str:
    words = " ".join(command.collect_usage_pieces(context))
    return f"{bold(context.command_path)} {escaped(words)}"


def _command(group: click.Group, name: str, above: click.Context) -> str:
    command = group.commands[name]
    context = click.Context(command, parent=above, info_name=name)
    return subsection(
        name,
        _usage(command, context) + "\n",
        from_help(command.help or ""),
        definitions(_options(command, context)),
    )


def _options(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    records = [param.get_help_record(context) for param in command.get_params(context)]
    return [(bold(names), escaped(text)) for names, text in filter(None, records) if text]
