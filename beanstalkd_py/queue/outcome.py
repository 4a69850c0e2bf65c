"""Results of requests to the queue that are not a job, a tube or a number."""

from enum import Enum, auto
from typing import Final


class Outcome(Enum):
    """A result without a value."""

    DONE = auto()
    NOT_FOUND = auto()  # no such job or tube, or the job is not this client's
    NO_HEADROOM = auto()  # the journal refused the change; nothing has changed
    NO_MEMORY = auto()  # there is no memory for the job; nothing has changed
    TUBE_FULL = auto()  # the tube has as many jobs or bytes as its policy allows
    DRAINING = auto()  # the server takes no new jobs
    NOT_IGNORED = auto()  # it is the last tube of the watch list
    DEADLINE_SOON = auto()  # the TTR of a job that the client holds is about to end
    TIMED_OUT = auto()
    WAITING = auto()  # the client waits for a job; the outcome follows in `Queue.woken`
    UNFINISHED = auto()  # a kick of many jobs; `Queue.kick` continues it


# Read as globals: an attribute of an Enum class costs 30 ns more.
DONE: Final = Outcome.DONE
NOT_FOUND: Final = Outcome.NOT_FOUND
NO_HEADROOM: Final = Outcome.NO_HEADROOM
NO_MEMORY: Final = Outcome.NO_MEMORY
TUBE_FULL: Final = Outcome.TUBE_FULL
DRAINING: Final = Outcome.DRAINING
NOT_IGNORED: Final = Outcome.NOT_IGNORED
DEADLINE_SOON: Final = Outcome.DEADLINE_SOON
TIMED_OUT: Final = Outcome.TIMED_OUT
WAITING: Final = Outcome.WAITING
UNFINISHED: Final = Outcome.UNFINISHED
