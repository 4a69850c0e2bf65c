"""The C beanstalkd's binlog, read and written: the way in for those who come from it, and the way back. Knows neither the engine nor our own log."""

from .damage import Damage, Kind
from .files import find_files
from .format import DEFAULT_SEGMENT_BYTES
from .job import BURIED, DELAYED, READY, RESERVED, STATE_NAMES, CJob
from .reader import CBinlog, read_directory
from .writer import Written, write_directory

__all__ = [
    "BURIED", "DEFAULT_SEGMENT_BYTES", "DELAYED", "READY", "RESERVED", "STATE_NAMES",
    "CBinlog", "CJob", "Damage", "Kind", "Written", "find_files", "read_directory", "write_directory",
]  # fmt: skip
