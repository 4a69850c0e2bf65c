"""The command line: connects click to the commands, and exceptions to exit statuses."""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Any, NoReturn

import beanstalkd_wal as wal
import click

from beanstalkd_binlog import status
from beanstalkd_binlog.compact import compact
from beanstalkd_binlog.directory import check
from beanstalkd_binlog.dump import Filter, Printer, dump
from beanstalkd_binlog.exchange import export_binlog, import_binlog
from beanstalkd_binlog.follow import follow
from beanstalkd_binlog.history import history
from beanstalkd_binlog.jobs import jobs
from beanstalkd_binlog.lock import locked
from beanstalkd_binlog.ls import ls
from beanstalkd_binlog.moment import Moment
from beanstalkd_binlog.output import Output
from beanstalkd_binlog.params import At, Instant, Lsns
from beanstalkd_binlog.progress import Progress
from beanstalkd_binlog.repair import repair
from beanstalkd_binlog.stats import stats
from beanstalkd_binlog.text import ENCODINGS
from beanstalkd_binlog.verify import verify
from beanstalkd_binlog.walk import Walk
from beanstalkd_py import __version__
from beanstalkd_py.binlog.records import KIND_NAMES

SEGMENT_BYTES = click.option(
    "-s",
    "segment_bytes",
    type=click.IntRange(65536, 1 << 30),
    default=10 << 20,
    metavar="BYTES",
    help="Size of a log file.  [default: 10485760]",
)
Command = Callable[..., Any]
DIR = click.argument("directory", metavar="DIR")
JSON = click.option("--json", "as_json", is_flag=True, help="Write one JSON object per line.")
FULL = click.option("--full", is_flag=True, help="Do not cut bodies or lines.")
BODY = click.option(
    "--body", type=click.Choice(ENCODINGS), help="Encoding of bodies.  [default: text]"
)
TUBE = click.option(
    "--tube", "tubes", multiple=True, metavar="NAME", help="Only this tube. May be repeated."
)
EVENTS = ("put", "rewrite", "release", "bury", "kick", "timeout", "reserve", "unpause")
KINDS = (*KIND_NAMES.values(), *EVENTS, "unreadable")
JOBS = click.option(
    "--job", "ids", multiple=True, type=int, metavar="ID", help="Only this job. May be repeated."
)
KIND = click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    metavar="KIND",
    help=f"Only this kind of record or event: {', '.join(KINDS)}. May be repeated.",
)


def _end(exit_status: int) -> NoReturn:
    click.get_current_context().exit(exit_status)


def _read(
    directory: str,
    command: Callable[[Walk], int],
    label: str = "reading",
    replay: bool = True,
    bar: bool = True,
) -> NoReturn:
    """Runs a command that reads the log, with a progress bar unless rows go to the terminal."""
    with Progress(label, bar) as progress:
        _end(command(Walk(directory, progress, replay)))


class PipeGroup(click.Group):
    """Ends with status 0 when the reader closes the pipe. click would end with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            Output.discard()
            ctx.exit(status.CLEAN)


@click.group(
    cls=PipeGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Show and repair a log of beanstalkd-py: the DIR of its -b.

    Only repair, compact and import change DIR, and they refuse while a server uses it. All other
    commands may run beside a server.

    \b
    Exit status:
      0   done
      1   verify: the tail is torn, and nothing else is wrong
      2   verify: corrupt. All commands: wrong command line
      10  a server uses the log
      65  the log is damaged or of a newer version
      66  no log found
      74  the disk returned an error, or is full
    """


@cli.command("ls")
@DIR
@JSON
def ls_command(directory: str, as_json: bool) -> None:
    """List the segments, and the oldest job in each."""
    output = Output(as_json)
    _read(directory, lambda walk: ls(walk, output))


@cli.command("verify")
@DIR
@JSON
def verify_command(directory: str, as_json: bool) -> None:
    """Check every byte. Exit status: 0 clean, 1 only a torn tail, 2 corrupt."""
    output = Output(as_json)
    _read(directory, lambda walk: verify(walk, output), label="verifying")


@cli.command("dump")
@DIR
@TUBE
@JOBS
@KIND
@click.option(
    "--since",
    type=Instant(),
    help="Not before 2026-01-31T12:00:00Z, '2026-01-31 12:00', @SECONDS or 10m (ago).",
)
@click.option("--until", type=Instant(), help="Not after this time.")
@click.option(
    "--lsn", "lsns", type=Lsns(), default=(0, None), help="Only these LSNs: 5, 5:9, 5: or :9."
)
@JSON
@BODY
@FULL
def dump_command(
    directory: str,
    tubes: tuple[str, ...],
    ids: tuple[int, ...],
    kinds: tuple[str, ...],
    since: int | None,
    until: int | None,
    lsns: tuple[int, int | None],
    as_json: bool,
    body: str | None,
    full: bool,
) -> None:
    """Show the records in order."""
    output = Output(as_json, full)
    printer = Printer(output, body)
    chosen = Filter(tubes, ids, kinds, since, until, lsns)
    bar = not output.terminal
    _read(directory, lambda walk: dump(walk, printer, chosen), replay=False, bar=bar)


@cli.command("jobs")
@DIR
@TUBE
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["ready", "delayed", "buried"]),
    help="Only this state. May be repeated.",
)
@click.option(
    "--at",
    "moment",
    type=At(),
    default=Moment(),
    help="As they were at this LSN or time (forms of dump --since).",
)
@JSON
@BODY
@FULL
def jobs_command(
    directory: str,
    tubes: tuple[str, ...],
    states: tuple[str, ...],
    moment: Moment,
    as_json: bool,
    body: str | None,
    full: bool,
) -> None:
    """Show the jobs as they would be after a restart."""
    output = Output(as_json, full)
    now = time.time_ns()
    _read(
        directory,
        lambda walk: jobs(walk, output, moment, now, tubes, states, body),
        replay=moment.is_now,
    )


@cli.command("history")
@DIR
@click.argument("job", type=int)
@JSON
@BODY
@FULL
def history_command(directory: str, job: int, as_json: bool, body: str | None, full: bool) -> None:
    """Show every record of one job, and what became of it."""
    output = Output(as_json, full)
    printer = Printer(output, body)
    now = time.time_ns()
    bar = not output.terminal
    _read(
        directory,
        lambda walk: history(walk, output, printer, job, now),
        replay=False,
        bar=bar,
    )


@cli.command("stats")
@DIR
@JSON
def stats_command(directory: str, as_json: bool) -> None:
    """Show jobs by tube, size and growth of the log.

    Also shows the largest and the oldest jobs.
    """
    output = Output(as_json)
    now = time.time_ns()
    _read(directory, lambda walk: stats(walk, output, now))


@cli.command("follow")
@DIR
@TUBE
@JOBS
@KIND
@click.option(
    "-n",
    "--lines",
    "last",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Number of earlier records to show first.",
)
@JSON
@BODY
@FULL
def follow_command(
    directory: str,
    tubes: tuple[str, ...],
    ids: tuple[int, ...],
    kinds: tuple[str, ...],
    last: int,
    as_json: bool,
    body: str | None,
    full: bool,
) -> None:
    """Show records as a running server makes them durable."""
    output = Output(as_json, full)
    walk = Walk(directory, replay=False)
    follow(walk, output, Printer(output, body, streaming=True), Filter(tubes, ids, kinds), last)


@cli.command("repair")
@DIR
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@JSON
def repair_command(directory: str, dry_run: bool, as_json: bool) -> None:
    """Make a damaged log usable again.

    Removes damaged bytes, keeps a copy of them, and keeps every intact record.
    """
    check(directory)
    with nullcontext() if dry_run else locked(directory):
        _end(repair(directory, Output(as_json), dry_run, time.time_ns()))


@cli.command("compact")
@DIR
@JSON
def compact_command(directory: str, as_json: bool) -> None:
    """Rewrite the live records and delete the old segments."""
    check(directory)
    with locked(directory):
        _end(compact(directory, Output(as_json), time.time_ns()))


@cli.command("import")
@click.argument("source", metavar="SRC", type=click.Path(exists=True, file_okay=False))
@DIR
@click.option(
    "--accept-damaged-import",
    "accept_damaged",
    is_flag=True,
    help="Import what can be read of damaged files.",
)
@SEGMENT_BYTES
@JSON
def import_command(
    source: str, directory: str, accept_damaged: bool, segment_bytes: int, as_json: bool
) -> None:
    """Import the C server's binlog files (versions 5 and 7).

    Reads the files in SRC, which are not changed, into a log in DIR.
    """
    output = Output(as_json)
    now = time.time_ns()
    _end(import_binlog(source, directory, output, accept_damaged, segment_bytes, now))


@cli.command("export")
@DIR
@click.argument("target", metavar="DST")
@SEGMENT_BYTES
@JSON
def export_command(directory: str, target: str, segment_bytes: int, as_json: bool) -> None:
    """Export the jobs as binlog files of the C server (1.5 to 1.13).

    Writes the files into DST, which must not contain a binlog yet.
    """
    _end(export_binlog(directory, target, Output(as_json), segment_bytes))


def main() -> NoReturn:
    """The console script."""
    gc.disable()  # a collection visits every job, and jobs form no cycles
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Returns the exit status. An error is one line on stderr, except a bug: a traceback."""
    Output.configure()
    try:
        result = int(cli.main(arguments, prog_name="beanstalkd-binlog", standalone_mode=False) or 0)
        with suppress(BrokenPipeError):
            sys.stdout.flush()
            return result
        Output.discard()
        return result
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return status.INTERRUPTED
    except wal.LogFailed as error:
        status.warn(str(error))
        return status.UNREADABLE
    except OSError as error:
        name = os.fsdecode(error.filename) if error.filename else ""
        status.warn(f"{name}: {error.strerror}" if name else str(error))
        no_log = isinstance(error, (PermissionError, FileNotFoundError))
        return status.NO_LOG if no_log else status.UNREADABLE
    except MemoryError:
        status.warn("out of memory: allow more memory (ulimit -v)")
        return status.NO_MEMORY
    except Exception:
        traceback.print_exc()
        return status.BUG
