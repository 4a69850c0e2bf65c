"""Completion of options in bash, zsh and fish: for the server from its table of options, for
`beanstalkd-binlog` by click.
"""

from __future__ import annotations

import re

from beanstalkd_binlog.cli import cli
from click.shell_completion import get_completion_class

from beanstalkd_py import password, ping
from beanstalkd_py.config.kinds import Choice
from beanstalkd_py.config.table import OPTIONS, Option

SERVER, BINLOG = "beanstalkd-py", "beanstalkd-binlog"
FILES, DIRECTORIES = ("FILE",), ("DIR",)
# The words that can be the first argument, with what each does.
_WORDS = {"ping": "ask a server for an answer", "password": "write a line of a password file"}
# Their options: long name, help, value.
_OPTIONS = {
    word: [
        (action.option_strings[-1], str(action.help) % vars(action), str(action.metavar or ""))
        for action in parser._actions
        if action.option_strings
    ]
    for word, parser in (("ping", ping.parser("")), ("password", password.parser("")))
}


def binlog(shell: str) -> str:
    found = get_completion_class(shell)
    assert found is not None, shell
    variable = f"_{BINLOG}_COMPLETE".replace("-", "_").upper()
    return found(cli, {}, BINLOG, variable).source()


def bash() -> str:
    flags = " ".join(flag for option in OPTIONS for flag in _flags(option))
    return f"""\
# Completion of {SERVER} in bash.
_beanstalkd_py() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    COMPREPLY=()
{_bash_words()}\
    case $before in
    {_case(DIRECTORIES)})
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        ;;
    {_case(FILES)})
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
{_bash_choices()}\
    {_case(_other_values())}) ;;
    *)
        local words='{flags}'
        [[ $COMP_CWORD -eq 1 ]] && words="{" ".join(_WORDS)} $words"
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        ;;
    esac
}}
complete -F _beanstalkd_py {SERVER}
"""


def _bash_words() -> str:
    """A test for each word that can be the first argument."""
    return "".join(
        f"""\
    if [[ ${{COMP_WORDS[1]}} == {word} && $COMP_CWORD -gt 1 ]]; then
        COMPREPLY=($(compgen -W '{" ".join(long for long, _, _ in options)}' -- "$word"))
        return
    fi
"""
        for word, options in _OPTIONS.items()
    )


def _bash_choices() -> str:
    """An alternative of `case` for each option that has a few words as values."""
    return "".join(
        f"""\
    {" | ".join(_flags(option))})
        COMPREPLY=($(compgen -W '{" ".join(_words(option))}' -- "$word"))
        ;;
"""
        for option in OPTIONS
        if _words(option)
    )


def _case(values: tuple[str, ...]) -> str:
    """Alternatives of `case`: the options with such a value."""
    found = [flag for option in OPTIONS if option.value in values for flag in _flags(option)]
    return " | ".join(found)


def _other_values() -> tuple[str, ...]:
    named = {option.value for option in OPTIONS if option.value and not _words(option)}
    return tuple(named.difference(FILES, DIRECTORIES))


def zsh() -> str:
    rows = [
        _zsh_row(_flags(option), _short(option.help), option.value, _words(option))
        for option in OPTIONS
    ]
    between = " \\\n        "
    words = "".join(
        f"""\
{"if" if word == "ping" else "elif"} [[ $words[2] == {word} && $CURRENT -gt 2 ]]; then
    shift words
    (( CURRENT-- ))
    _arguments \\
        {between.join(_zsh_row([long], text, value) for long, text, value in options)}
"""
        for word, options in _OPTIONS.items()
    )
    return f"""\
#compdef {SERVER}
# Completion of {SERVER} in zsh.
{words}else
    _arguments -s \\
        {between.join(rows)} \\
        '1:word:({" ".join(_WORDS)})'
fi
"""


def _zsh_row(flags: list[str], text: str, value: str, words: tuple[str, ...] = ()) -> str:
    """A word of `_arguments`, such as '(-b --wal-dir)'{-b,--wal-dir}'[text]:DIR:_files'."""
    names = f"'({' '.join(flags)})'{{{','.join(flags)}}}" if len(flags) > 1 else flags[0]
    text = text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    action = {"DIR": "_directories", "FILE": "_files"}.get(value, " ")
    action = f"({' '.join(words)})" if words else action
    return f"{names}'[{text}]{f':{value}:{action}' if value else ''}'"


def fish() -> str:
    ours = f"__fish_seen_subcommand_from {' '.join(_WORDS)}"
    rows = [
        f"# Completion of {SERVER} in fish.",
        *(
            f"complete -c {SERVER} -f -n 'test (count (commandline -opc)) -eq 1' -a {word} "
            f"-d {_quoted(text)}"
            for word, text in _WORDS.items()
        ),
    ]
    for option in OPTIONS:
        letter = f" -s {option.letter}" if option.letter else ""
        rows.append(_fish_row(f"not {ours}", f"{letter} -l {option.long[2:]}", option))
    for word, options in _OPTIONS.items():
        ours = f"__fish_seen_subcommand_from {word}"
        for long, text, value in options:
            needs = {"": "", "FILE": " -r -F"}.get(value, " -x")
            rows.append(f"complete -c {SERVER} -n '{ours}' -l {long[2:]}{needs} -d {_quoted(text)}")
    return "\n".join(rows) + "\n"


def _fish_row(condition: str, names: str, option: Option) -> str:
    kind = {"": "", "FILE": " -r -F", "DIR": " -x -a '(__fish_complete_directories)'"}
    needs = kind.get(option.value, " -x")
    if words := _words(option):
        needs = f" -x -a {_quoted(' '.join(words))}"
    return f"complete -c {SERVER} -n '{condition}'{names}{needs} -d {_quoted(_short(option.help))}"


def _short(text: str) -> str:
    """The first statement: shells show one line."""
    return re.split(r"[.;] ", text)[0]


def _quoted(text: str) -> str:
    """In single quotes of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _words(option: Option) -> tuple[str, ...]:
    """All values of the option, if they are a few words."""
    return option.kind.words if isinstance(option.kind, Choice) else ()


def _flags(option: Option) -> list[str]:
    return ([f"-{option.letter}"] if option.letter else []) + [option.long]
