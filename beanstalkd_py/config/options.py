"""The options of a server, after the flags and the configuration file were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # 10 ms, which a start without schedules need not take
    from beanstalkd_py.config.schedules import Schedule

DEFAULT_MAX_JOB_SIZE = 65535
LARGEST_MAX_JOB_SIZE = 1073741824
DEFAULT_SEGMENT_BYTES = 10485760
DEFAULT_MAX_PENDING = 256 * 1024
SMALLEST_SEGMENT_BYTES = 65536
LARGEST_SEGMENT_BYTES = 1 << 30


class Options(NamedTuple):
    """Each field is a key of the configuration file; `table` has a row for each."""

    wal_dir: str | None = None
    sync_ms: int = 0  # 0: each reply waits for its sync
    never_sync: bool = False  # if true, sync_ms has no effect
    address: str | None = None
    port: str | None = None  # as given: getaddrinfo reads it
    user: str | None = None
    max_job_size: int = DEFAULT_MAX_JOB_SIZE
    segment_bytes: int = DEFAULT_SEGMENT_BYTES  # as given, for stats
    verbosity: int = 0
    accept_damaged_import: bool = False
    socket_mode: int | None = None
    socket_group: str | None = None
    max_memory: int | str = 0  # bytes, or "auto"; 0: no limit
    max_connections: int = 0  # 0: no limit
    max_connections_per_address: int = 0  # 0: no limit
    idle_timeout: int = 0  # seconds; 0: no limit
    input_timeout: int = 0  # seconds; 0: no limit
    max_pending: int = DEFAULT_MAX_PENDING
    log_format: str = "text"
    log_level: str = "info"
    http: str | None = None  # ADDR:PORT or unix:PATH
    http_password_file: str | None = None
    http_read_only: bool = False
    schedule: tuple[Schedule, ...] = ()  # in the file only; see `schedules`

    @property
    def sync_window_ms(self) -> int:
        """How long a change may wait for its sync; 0 if replies wait for it, or nothing does."""
        return 0 if self.never_sync else self.sync_ms

    @property
    def log_segment_bytes(self) -> int:
        """The segment size of the log: -s rounded up to blocks of 4096 bytes. The least is enough
        for a header and some frames; the most can be preallocated at a start.
        """
        return min(
            max(SMALLEST_SEGMENT_BYTES, -(-self.segment_bytes // 4096) * 4096),
            LARGEST_SEGMENT_BYTES,
        )
