"""The states of a connection, and which may follow which."""

from enum import Enum


class Life(Enum):
    """What a connection does with input. Only READING receives."""

    READING = "receives at each readiness event"
    PAUSED = "the client must read replies, or a kick must end, before more commands are taken"
    AHEAD = "waits in reserve and sent more than INPUT_LIMIT after it; a hang-up ends the wait"
    DRAINING = "the end of input was received; commands before it are still executed"
    CLOSING = "no more commands are executed; closes when all replies are sent"
    GONE = "closed"


READING, PAUSED, AHEAD, DRAINING, CLOSING, GONE = Life

MAY_BECOME: dict[Life, tuple[Life, ...]] = {
    READING: (PAUSED, AHEAD, DRAINING, CLOSING, GONE),
    PAUSED: (READING, AHEAD, DRAINING, CLOSING, GONE),
    AHEAD: (READING, PAUSED, DRAINING, CLOSING, GONE),
    DRAINING: (CLOSING, GONE),
    CLOSING: (GONE,),
    GONE: (),
}
