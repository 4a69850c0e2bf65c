"""Values on the command line: numbers as the C server reads them, and our own options."""

import pytest

from beanstalkd_py.config.options import Options
from beanstalkd_py.config.table import BY_LONG
from tests.config.command_line import PROG, USAGE, end, read, warnings


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("007", 7),
        ("+24", 24),
        (" \t\n\v\f\r24", 24),
        (" -0", 0),
        ("-1", 2**64 - 1),
        ("-18446744073709551615", 1),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2**64 - 1),
        ("-18446744073709551616", 2**64 - 1),
        ("9" * 5000, 2**64 - 1),
        ("0" * 5000 + "5", 5),
        ("3000000000", 3000000000),
        ("4294967296", 2**32),
    ],
)
def test_sizes_are_read_as_scanf_reads_them(text, size):
    assert read("-s", text).segment_bytes == size
    assert read("-f", text).sync_ms == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "-",
        "5x",
        " 5x",
        "5 ",
        "5\n",
        "x",
        "0x10",
        "1.5",
        "1k",
        "+-5",
        "1_0",
        "\N{ARABIC-INDIC DIGIT FIVE}",
    ],
)
@pytest.mark.parametrize("flag", ["-z", "-s", "-f"])
def test_invalid_size_is_a_usage_error(flag, text):
    exit_ = end(flag, text)
    assert (exit_.status, exit_.stdout, exit_.stderr) == (
        5,
        "",
        f"{PROG}: invalid size: {text}\n{USAGE}",
    )


@pytest.mark.parametrize("text", ["1073741825", "-1", "99999999999999999999"])
def test_job_size_beyond_the_limit_is_capped_and_reported(text):
    assert read("-z", text).max_job_size == 1073741824
    assert warnings("-z", text) == ("maximum job size was set to 1073741824",)


@pytest.mark.parametrize("size", [0, 1073741824])
def test_job_size_up_to_the_limit_is_accepted(size):
    assert read("-z", str(size)) == Options(max_job_size=size)
    assert warnings("-z", str(size)) == ()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("0", 65536),
        ("1", 65536),
        ("65536", 65536),
        ("65537", 69632),
        ("69632", 69632),
        ("10485760", 10485760),
    ],
)
def test_segments_are_whole_blocks_and_stats_show_the_option(given, used):
    options = read("-s", given)
    assert (options.segment_bytes, options.log_segment_bytes) == (int(given), used)


@pytest.mark.parametrize(
    ("flag", "word"),
    [
        ("--max-memory", "-1"),
        ("--max-memory", "1125899906842625"),
        ("--max-memory", "1e6"),
        ("--max-memory", "all"),
        ("--max-connections", "-1"),
        ("--max-connections", "+5"),
        ("--max-connections", " 5"),
        ("--max-connections-per-address", "99999999999999999999"),
        ("--idle-timeout", "5s"),
        ("--input-timeout", "31536001"),
        ("--max-pending", "0"),
        ("--verbosity", "3"),
        ("--verbosity", ""),
        ("--max-connections", "9" * 5000),
    ],
)
def test_number_of_an_own_option_is_read_strictly(flag, word):
    """A negative number, read as the C server does, would be no limit."""
    kind = BY_LONG[flag].kind
    exit_ = end(flag, word)
    assert (exit_.status, exit_.stderr) == (
        5,
        f"{PROG}: invalid value (expected {kind}): {word}\n{USAGE}",
    )


def test_limits_are_accepted_in_their_whole_range():
    words = ["--max-memory=1125899906842624", "--max-pending=1", "--max-connections=0"]
    assert read(*words) == Options(max_memory=1125899906842624, max_pending=1)
    assert read("--max-memory=auto").max_memory == "auto"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--http=127.0.0.1", "address (expected ADDR:PORT or unix:PATH): 127.0.0.1"),
        ("--http=127.0.0.1:65536", "address (expected ADDR:PORT or unix:PATH): 127.0.0.1:65536"),
        ("--socket-mode=999", "mode (expected octal digits, such as 660): 999"),
    ],
)
def test_invalid_value_names_what_is_expected(word, text):
    assert end(word).stderr == f"{PROG}: invalid {text}\n{USAGE}"


A_MODE = "mode (expected octal digits, such as 660)"


@pytest.mark.parametrize("mode", ["", "66", "668", "1660", "rw-rw----", "-660", "0o660"])
def test_invalid_mode_is_a_usage_error(mode):
    exit_ = end(f"--socket-mode={mode}")
    assert (exit_.status, exit_.stderr) == (5, f"{PROG}: invalid {A_MODE}: {mode}\n{USAGE}")


def test_word_that_is_no_choice_is_a_usage_error():
    assert read("--log-format=json", "--log-level", "error") == Options(
        log_format="json", log_level="error"
    )
    expected = f'{PROG}: invalid value (expected "text" or "json"): xml\n{USAGE}'
    assert (end("--log-format=xml").status, end("--log-format=xml").stderr) == (5, expected)
