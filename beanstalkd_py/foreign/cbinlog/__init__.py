"""The C beanstalkd's binlog: a reader and a writer. Knows neither the queue nor our own log."""

from beanstalkd_py.foreign.cbinlog.damage import Damage, Kind
from beanstalkd_py.foreign.cbinlog.files import find_files
from beanstalkd_py.foreign.cbinlog.format import DEFAULT_SEGMENT_BYTES
from beanstalkd_py.foreign.cbinlog.job import BURIED, DELAYED, READY, RESERVED, STATE_NAMES, CJob
from beanstalkd_py.foreign.cbinlog.reader import CBinlog, read_directory
from beanstalkd_py.foreign.cbinlog.writer import Written, write_directory

__all__ = [
    "BURIED", "DEFAULT_SEGMENT_BYTES", "DELAYED", "READY", "RESERVED", "STATE_NAMES",
    "CBinlog", "CJob", "Damage", "Kind", "Written", "find_files", "read_directory",
    "write_directory",
]  # fmt: skip
