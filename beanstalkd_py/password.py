"""`beanstalkd-py password add NAME`: writes a line of the file of --http-password-file.

The password is asked for without echo, or is the first line of stdin. It is never an argument:
everyone on the machine can see those. Exit status: 0, 1 with a line on stderr, 5 for a wrong
command line.
"""

from __future__ import annotations

import argparse
import getpass
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from beanstalkd_py.config.parser import Parser
from beanstalkd_py.config.passwords import LONGEST_PASSWORD, NAME, READ, ROLES, User, new_user

FAILED = 1
SHORTEST = 8


class NotPossible(Exception):
    """The text says why."""


def main(argv: Sequence[str]) -> int:
    """argv[1] is the word `password`."""
    prog = f"{argv[0]} password"
    chosen = parser(prog).parse_args(argv[2:])
    try:
        user = new_user(chosen.name, chosen.role, _password(chosen.name))
        if chosen.file is None:
            print(user.line)
        else:
            _put_into(chosen.file, user)
        return 0
    except NotPossible as error:
        reason = str(error)
    except OSError as error:
        reason = f"{chosen.file}: {error.strerror or error}"
    except (KeyboardInterrupt, EOFError):
        reason = "interrupted; nothing was written"
    print(f"{prog}: {reason}", file=sys.stderr)
    return FAILED


def _password(name: str) -> bytes:
    if sys.stdin.isatty():
        text = getpass.getpass(f"Password of {name}: ")
        if getpass.getpass("Again: ") != text:
            raise NotPossible("the two passwords are different")
        password = text.encode("utf-8", "surrogateescape")
    else:
        password = sys.stdin.buffer.readline().removesuffix(b"\n").removesuffix(b"\r")
    if len(password) < SHORTEST:
        raise NotPossible(f"the password is too short: it needs {SHORTEST} bytes")
    if len(password) > LONGEST_PASSWORD:
        raise NotPossible(f"the password is longer than {LONGEST_PASSWORD} bytes")
    return password


def _put_into(path: str, user: User) -> None:
    """Replaces the line of this name, or appends one. The file is complete at each instant."""
    mode, owner, lines = 0o600, None, []
    with suppress(FileNotFoundError), open(path, encoding="utf-8", errors="surrogateescape") as old:
        status = os.fstat(old.fileno())
        mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
        lines = old.read().splitlines()
    own = [number for number, line in enumerate(lines) if line.startswith(f"{user.name}:")]
    if own:
        lines[own[0]] = user.line
    else:
        lines.append(user.line)
    path = os.path.realpath(path)
    fd, new = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".passwords.")
    try:
        with open(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fchmod(fd, mode)
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(fd, *owner)
            os.fsync(fd)
        os.rename(new, path)
    except BaseException:
        os.unlink(new)
        raise


def parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog,
        description="Write a line of the file of --http-password-file. The password is asked for, "
        "or is the first line of stdin.",
        allow_abbrev=False,
    )
    parser.add_argument("action", choices=["add"], help="add a user, or give a new password")
    parser.add_argument("name", metavar="NAME", type=_name, help="1 to 64 letters, digits, - and _")
    parser.add_argument(
        "--role",
        choices=ROLES,
        default=READ,
        help="full may also change jobs and tubes (default: %(default)s)",
    )
    parser.add_argument(
        "--file",
        metavar="FILE",
        help="put the line into FILE, in place of the line of that name (default: print it)",
    )
    return parser


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"not 1 to 64 letters, digits, - and _: {text!r}")
    return text
