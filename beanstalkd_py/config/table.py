"""The table of all options: one row each. Everything about an option is in its row.

Out of these rows come the flags, the keys of the configuration file, `--help`, what a reload may
change, and the table in docs/operating.md.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from beanstalkd_py.config.kinds import (
    Auto,
    Choice,
    Endpoint,
    Kind,
    Mode,
    Number,
    Port,
    Switch,
    Text,
    Value,
)
from beanstalkd_py.config.options import (
    LARGEST_MAX_JOB_SIZE,
    LARGEST_SEGMENT_BYTES,
    SMALLEST_SEGMENT_BYTES,
    Options,
)

DAY_MS = 24 * 60 * 60 * 1000
YEAR_S = 365 * 24 * 60 * 60
MANY = 1_000_000_000
LARGEST_MEMORY = 1 << 50


class Group(Enum):
    """The value is the heading in `--help`."""

    LOG = "Jobs on disk"
    LISTEN = "Address"
    LIMITS = "Limits"
    PROCESS = "Process"
    EVENTS = "Events on stderr"
    CONFIG = "Configuration file"
    HELP = "Information"


class Reload(NamedTuple):
    """Whether a running server can take on a new value. shown: for the documentation."""

    shown: str
    allows: Callable[[object, object], bool]  # the old and the new value


RESTART = Reload("no", lambda old, new: False)
ALWAYS = Reload("yes", lambda old, new: True)
# Whether replies wait for a sync is decided when the log is opened.
WINDOW = Reload("between values above 0", lambda old, new: bool(old and new))


class Option(NamedTuple):
    """One option.

    key: in the configuration file, and with hyphens the long name. letter: the C server's flag.
    value: stands for the value in the usage; empty for a switch. unset: what happens without the
    option, if there is no default value. implies: values of other options that this one sets, on
    the command line; in the file the two must agree. capped: the warning about a number that is
    lowered to the largest one.
    """

    key: str
    group: Group
    kind: Kind
    help: str
    letter: str = ""
    value: str = ""
    unset: str = ""
    reload: Reload = RESTART
    implies: tuple[tuple[str, Value], ...] = ()
    capped: str = ""
    in_file: bool = True

    @property
    def long(self) -> str:
        return "--" + self.key.replace("_", "-")

    @property
    def default(self) -> str:
        """In words; empty for a switch."""
        if self.unset or not self.value:
            return self.unset
        return str(Options._field_defaults[self.key])


OPTIONS = (
    Option(
        "wal_dir", Group.LOG, Text(), "keep jobs in a log in DIR, which must exist",
        letter="b", value="DIR", unset="jobs are in memory only",
    ),
    Option(
        "sync_ms", Group.LOG, Number(0, DAY_MS, "ms", as_in_c=True),
        "sync within MS milliseconds after a write; replies do not wait for the sync. "
        "0: each reply waits for its sync",
        letter="f", value="MS", reload=WINDOW, implies=(("never_sync", False),),
    ),
    Option(
        "never_sync", Group.LOG, Switch(),
        "no reply waits for a sync: a power failure loses at most the changes since the active "
        "segment was created",
        letter="F",
    ),
    Option(
        "segment_bytes", Group.LOG,
        Number(SMALLEST_SEGMENT_BYTES, LARGEST_SEGMENT_BYTES, "bytes", as_in_c=True),
        "size of a log file; rounded up to a multiple of 4096",
        letter="s", value="BYTES",
    ),
    Option(
        "accept_damaged_import", Group.LOG, Switch(),
        "take over what can be read of beanstalkd's damaged binlog files",
    ),
    Option(
        "address", Group.LISTEN, Text(may_be_empty=True),
        "listen on a name, an IPv4 or IPv6 address, or unix:PATH",
        letter="l", value="ADDR", unset="0.0.0.0",
    ),
    Option(
        "port", Group.LISTEN, Port(), "number or service name; 0: the kernel chooses a port",
        letter="p", value="PORT", unset="11300",
    ),
    Option(
        "socket_mode", Group.LISTEN, Mode(),
        "permissions of the unix socket, in octal: 660",
        value="MODE", unset="by the umask",
    ),
    Option(
        "socket_group", Group.LISTEN, Text(),
        "name or number of the group of the unix socket",
        value="GROUP", unset="the group of USER",
    ),
    Option(
        "http", Group.LISTEN, Endpoint(),
        "also serve a web console, a JSON API, health checks and metrics over HTTP. Without a "
        "password file, only on a loopback address or a unix socket",
        value="ADDR:PORT|unix:PATH", unset="no HTTP",
    ),
    Option(
        "http_password_file", Group.LISTEN, Text(),
        "who may use HTTP; `beanstalkd-py password` writes its lines. A reload reads FILE again",
        value="FILE", unset="no login",
    ),
    Option(
        "http_read_only", Group.LISTEN, Switch(), "nobody may change anything over HTTP",
        reload=ALWAYS,
    ),
    Option(
        "max_job_size", Group.LIMITS, Number(0, LARGEST_MAX_JOB_SIZE, "bytes", as_in_c=True),
        "size of the largest job",
        letter="z", value="BYTES", reload=ALWAYS, capped="maximum job size was set to {}",
    ),
    Option(
        "max_memory", Group.LIMITS, Auto(Number(0, LARGEST_MEMORY, "bytes")),
        "bytes of all jobs, with 400 for each; put replies OUT_OF_MEMORY above it. auto: 80 % of "
        "the memory of the cgroup or the machine, less what the server takes without jobs",
        value="BYTES|auto", unset="no limit", reload=ALWAYS,
    ),
    Option(
        "max_connections", Group.LIMITS, Number(0, MANY),
        "so many clients may be connected; one more is closed at once",
        value="N", unset="no limit", reload=ALWAYS,
    ),
    Option(
        "max_connections_per_address", Group.LIMITS, Number(0, MANY),
        "the same for the clients of one IP address",
        value="N", unset="no limit", reload=ALWAYS,
    ),
    Option(
        "idle_timeout", Group.LIMITS, Number(0, YEAR_S, "seconds"),
        "close a client that has sent nothing for so long, does not wait in reserve and holds no "
        "jobs",
        value="SECONDS", unset="no limit", reload=ALWAYS,
    ),
    Option(
        "input_timeout", Group.LIMITS, Number(0, YEAR_S, "seconds"),
        "close a client that takes longer for one line or one body",
        value="SECONDS", unset="no limit", reload=ALWAYS,
    ),
    Option(
        "max_pending", Group.LIMITS, Number(1, LARGEST_MAX_JOB_SIZE, "bytes"),
        "while more bytes of replies wait for a client, no further command of it is executed",
        value="BYTES", reload=ALWAYS,
    ),
    Option(
        "user", Group.PROCESS, Text(), "become USER, with its groups, after the port is bound",
        letter="u", value="USER", unset="the user of the caller",
    ),
    Option(
        "verbosity", Group.PROCESS, Number(0, 2),
        "1: print connections; 2: also print the commands of connections that are accepted from "
        "now on. Each -V adds 1",
        letter="V", value="LEVEL", reload=ALWAYS,
    ),
    Option(
        "log_format", Group.EVENTS, Choice(("text", "json")),
        "one line of text or JSON for each event",
        value="text|json", reload=ALWAYS,
    ),
    Option(
        "log_level", Group.EVENTS, Choice(("error", "warning", "info")),
        "the least level of events that are written",
        value="error|warning|info", reload=ALWAYS,
    ),
    Option(
        "config", Group.CONFIG, Text(),
        "read options from FILE, a TOML file; flags win over the file. SIGHUP reads FILE again",
        value="FILE", unset="no file", in_file=False,
    ),
    Option(
        "check_config", Group.CONFIG, Switch(),
        "report every mistake in the configuration file, and exit", in_file=False,
    ),
    Option(
        "version", Group.HELP, Switch(), "show version information", letter="v", in_file=False
    ),
    Option(
        "help", Group.HELP, Switch(), "show this help; -h shows the C server's flags only",
        letter="h", in_file=False,
    ),
)  # fmt: skip

BY_KEY = {option.key: option for option in OPTIONS}
BY_LONG = {option.long: option for option in OPTIONS}
BY_LETTER = {option.letter: option for option in OPTIONS if option.letter}
IN_FILE = {option.key: option for option in OPTIONS if option.in_file}
