"""The expected texts were taken from Debian's beanstalkd 1.12, but for the usage's lines on -f and
the version.
"""

from importlib.machinery import ModuleSpec

import pytest

from beanstalkd_py import C_VERSION, __version__
from beanstalkd_py.config import usage, version
from beanstalkd_py.config.flags import CommandLine, parse
from beanstalkd_py.config.options import Options
from beanstalkd_py.config.table import BY_LETTER, OPTIONS
from tests.config.command_line import PROG, USAGE, end, read, warnings


def test_empty_command_line_means_defaults_and_durable_replies():
    assert read() == Options(
        wal_dir=None,
        sync_ms=0,
        never_sync=False,
        address=None,
        port=None,
        user=None,
        max_job_size=65535,
        segment_bytes=10485760,
        verbosity=0,
    )
    assert parse((), PROG) == CommandLine()


def test_value_may_be_the_next_word():
    options = read(
        "-b",
        "jobs",
        "-f",
        "50",
        "-l",
        "::1",
        "-p",
        "http",
        "-u",
        "nobody",
        "-z",
        "10",
        "-s",
        "8192",
    )
    assert options == Options("jobs", 50, False, "::1", "http", "nobody", 10, 8192)


def test_value_may_be_the_rest_of_the_word():
    assert read("-bjobs", "-f50", "-l::1", "-p1234", "-unobody", "-z10", "-s8192") == Options(
        "jobs", 50, False, "::1", "1234", "nobody", 10, 8192
    )


def test_flags_may_be_combined_in_one_word():
    assert read("-VVf0") == Options(verbosity=2)
    assert read("-FVf100") == Options(verbosity=1, sync_ms=100)
    assert read("-VFVu", "nobody") == Options(verbosity=2, never_sync=True, user="nobody")


def test_next_word_is_the_value_even_if_it_looks_like_a_flag():
    assert read("-p", "-V", "-l", "", "-b", "-").port == "-V"
    assert read("-p", "-V", "-l", "").address == ""
    assert read("-p", "") == Options(port="")


def test_later_value_replaces_the_earlier_one():
    assert read("-p1", "-p", "2", "-b", "", "-bjobs") == Options(port="2", wal_dir="jobs")


@pytest.mark.parametrize(
    ("words", "never_sync", "sync_ms"),
    [
        (["-f5", "-F"], True, 5),
        (["-F", "-f5"], False, 5),
        (["-F", "-f0"], False, 0),
        (["-Ff7"], False, 7),
        (["-F"], True, 0),
    ],
)
def test_last_of_f_and_F_counts(words, never_sync, sync_ms):
    options = read(*words)
    assert (options.never_sync, options.never_sync or options.sync_ms) == (
        never_sync,
        never_sync or sync_ms,
    )


@pytest.mark.parametrize("word", ["foo", "-", ""])
@pytest.mark.parametrize("before", [[], ["-V"]])
def test_word_that_is_no_flag_is_a_usage_error(before, word):
    exit_ = end(*before, word, "-v")
    assert (exit_.status, exit_.stdout, exit_.stderr) == (
        5,
        "",
        f"{PROG}: unknown argument: {word}\n{USAGE}",
    )


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("--helps", "--helps; did you mean --help?"),
        ("--help=", "--help=; did you mean --help?"),
        ("--never-sync=true", "--never-sync=true; did you mean --never-sync?"),
        ("--max_job_size", "--max_job_size; did you mean --max-job-size?"),
        ("--xyz", "--xyz"),
        ("-F-", "F-"),
        ("--", "--"),
        ("-x", "-x"),
        ("-Vx", "Vx"),
        ("-VVxyz", "Vxyz"),
        ("-F5", "F5"),
        ("-\N{LATIN SMALL LETTER E WITH ACUTE}", "-\N{LATIN SMALL LETTER E WITH ACUTE}"),
    ],
)
def test_unknown_letter_is_shown_with_the_one_before_it(word, shown):
    exit_ = end(word)
    assert (exit_.status, exit_.stdout, exit_.stderr) == (
        5,
        "",
        f"{PROG}: unknown flag: {shown}\n{USAGE}",
    )


@pytest.mark.parametrize("letter", "bflpsuz")
def test_missing_value_is_a_usage_error(letter):
    for words in ([f"-{letter}"], ["-VV" + letter], ["-p1", f"-V{letter}"]):
        exit_ = end(*words)
        assert (exit_.status, exit_.stdout, exit_.stderr) == (
            5,
            "",
            f"{PROG}: flag requires an argument: -{letter}\n{USAGE}",
        )


@pytest.mark.parametrize("word", ["-v", "-Vv", "-vx", "-cnv"])
def test_version_is_shown_on_stdout(word):
    exit_ = end(word, "bad word")
    shown = f"beanstalkd-py {__version__}, compatible with beanstalkd {C_VERSION}"
    assert (exit_.status, exit_.stdout.splitlines()[0]) == (0, shown)


@pytest.mark.parametrize("modules", ["compiled", "pure Python"])
@pytest.mark.parametrize("batched", ["in C", "in Python"])
def test_version_names_the_build(modules, batched, monkeypatch):
    origins = {
        "beanstalkd_py.queue.queue": "queue.abi3.so" if modules == "compiled" else "queue.py",
        "beanstalkd_py.server._batchedio": "_batchedio.abi3.so" if batched == "in C" else None,
    }
    specs = {name: ModuleSpec(name, None, origin=origin) for name, origin in origins.items()}
    monkeypatch.setattr(version, "find_spec", lambda name: specs[name] if origins[name] else None)
    line = f"modules: {modules}; batched socket I/O: {batched}"
    assert end("-v").stdout.splitlines()[1:] == [line]


@pytest.mark.parametrize("words", [["-h"], ["-hx"], ["-Vh", "bad word"], ["-h", "-v"]])
def test_help_goes_to_stderr_with_status_0(words):
    exit_ = end(*words)
    assert (exit_.status, exit_.stdout, exit_.stderr) == (0, "", USAGE)


def test_removed_flags_are_reported_and_ignored():
    assert read("-c", "-nV").verbosity == 1
    assert warnings("-c", "-nV") == (
        "-c flag was removed. binlog is always compacted.",
        "-n flag was removed. binlog is always compacted.",
    )


def test_warnings_are_printed_before_the_final_message():
    warned = f"{PROG}: -c flag was removed. binlog is always compacted.\n"
    assert end("-c", "-v").stderr == warned
    assert end("-c", "x").stderr == f"{warned}{PROG}: unknown argument: x\n{USAGE}"
    assert end("-ch").stderr == warned + USAGE


def test_empty_log_directory_is_refused():
    exit_ = end("-b", "", "-V")
    assert (exit_.status, exit_.stdout) == (10, "")
    assert exit_.stderr == f'{PROG}: failed to lock wal dir "": no directory is named\n'


def test_long_names_take_their_value_in_either_form():
    for words in (
        ["--socket-mode", "660", "--socket-group", "mail"],
        ["--socket-mode=0660", "--socket-group=mail"],
    ):
        options = read(*words)
        assert (options.socket_mode, options.socket_group) == (0o660, "mail")
    assert read("--socket-group=").socket_group == ""


def test_long_name_without_its_value_is_a_usage_error():
    exit_ = end("--socket-group")
    expected = f"{PROG}: flag requires an argument: --socket-group\n{USAGE}"
    assert (exit_.status, exit_.stderr) == (5, expected)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option.letter])
def test_long_name_does_what_the_letter_does(option):
    word = "2" if option.value else ""
    short = "-VV" if option.letter == "V" else f"-{option.letter}{word}"
    if not option.in_file:  # -v, -h
        assert end(short).status == end(option.long).status == 0
        return
    assert read(short) != Options()
    assert read(option.long, *([word] if word else [])) == read(short)
    if word:
        assert read(f"{option.long}={word}") == read(short)


def test_long_sync_ms_replaces_never_sync_as_the_letter_does():
    assert read("--never-sync", "--sync-ms=5") == Options(sync_ms=5)
    assert read("--sync-ms=5", "--never-sync") == Options(sync_ms=5, never_sync=True)


def test_V_adds_to_the_verbosity_before_it():
    assert read("--verbosity", "1", "-V").verbosity == 2
    assert read("-V", "--verbosity", "0").verbosity == 0


def test_long_help_is_on_stdout_and_shows_every_option():
    exit_ = end("--help", "bad word")
    assert (exit_.status, exit_.stdout, exit_.stderr) == (0, usage.full(PROG), "")
    for option in OPTIONS:
        assert f"  {usage.names(option)}\n" in exit_.stdout
    assert max(map(len, exit_.stdout.splitlines())) <= 79


def test_every_flag_of_the_c_usage_has_a_row():
    shown = {line[2] for line in USAGE.splitlines() if line.startswith(" -")}
    assert shown - {"-"} == BY_LETTER.keys()


def test_flags_win_over_the_file():
    file = {"port": "1", "max_job_size": 5, "never_sync": True, "verbosity": 2}
    words = ["-p", "2", "-f0", "-V"]
    assert parse(words, PROG).over(file) == Options(port="2", max_job_size=5, verbosity=1)
    assert parse([], PROG).over(file) == Options(**file)
    assert parse(["-z65535"], PROG).over(file).max_job_size == 65535  # the default, but given


def test_check_config_needs_a_file():
    assert parse(["--check-config", "--config=a"], PROG) == CommandLine(
        config="a", check_config=True
    )
    exit_ = end("--check-config")
    expected = f"{PROG}: --check-config needs --config FILE\n{USAGE}"
    assert (exit_.status, exit_.stderr) == (5, expected)
