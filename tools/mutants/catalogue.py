"""All mutants, in the order of their invariants."""

from __future__ import annotations

from .attributes import ATTRIBUTES
from .commands import COMMANDS
from .configuration import CONFIGURATION
from .console import CONSOLE
from .disk_invariants import DISK
from .dramatiq_broker import DRAMATIQ_BROKER
from .events import EVENTS
from .extensions import EXTENSIONS
from .http_access import HTTP_ACCESS
from .http_api import HTTP_API
from .http_side import HTTP_SIDE
from .invariants import Invariant
from .limits import LIMITS
from .log_invariants import LOG
from .memory_invariants import MEMORY
from .operation import OPERATION
from .queue_invariants import QUEUE
from .socket_invariants import SOCKETS
from .time_invariants import TIME
from .writer_invariants import WRITER

_ORDER = list(Invariant)
_ALL = (
    *LOG,
    *DISK,
    *QUEUE,
    *SOCKETS,
    *TIME,
    *MEMORY,
    *OPERATION,
    *CONFIGURATION,
    *EVENTS,
    *LIMITS,
    *COMMANDS,
    *EXTENSIONS,
    *ATTRIBUTES,
    *HTTP_SIDE,
    *HTTP_ACCESS,
    *HTTP_API,
    *CONSOLE,
    *DRAMATIQ_BROKER,
    *WRITER,
)

MUTANTS = tuple(sorted(_ALL, key=lambda mutant: _ORDER.index(mutant.invariant)))
