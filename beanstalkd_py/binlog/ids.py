"""Job ids that the log has reserved ahead. So no id is given twice, whatever a power cut takes.

Without a sync before each reply, a power cut may take puts that were answered. Replay does not see
their ids. Therefore:

- Each segment's header has an **id bound**. No put whose record goes to this segment, or to one
  before it, has an id at or above the bound. In every mode the header is durable before the segment
  gets its first record, and a power cut takes records of the last segment only.
- After a start, the next id is the bound of the last segment.
- An IDS record replaces the bound of its segment. An orderly stop writes one, with the exact next
  id: nothing is lost then, so ids go on without a gap. A put that reaches the bound writes one with
  a higher bound, and waits until it is durable.

If replies wait for syncs (-f0), all ids that a client knows are in durable records. Then the bound
is the next id, and nothing is reserved.
"""

from typing import Final

from beanstalkd_py.binlog.meta import encode_meta
from beanstalkd_py.binlog.records import Ids, encode
from beanstalkd_py.binlog.usage import NEW_OVERHEAD
from beanstalkd_py.queue.state import State

# Ids are also used up by puts that have no record, such as refused ones. So many of them may come
# with one segment before a put must wait.
SPARE_IDS = 1 << 16
NO_BOUND: Final = 1 << 64  # above every id


def ids_per_segment(segment_bytes: int) -> int:
    """How many ids to reserve: more than there are puts in a segment of so many bytes."""
    return segment_bytes // NEW_OVERHEAD + SPARE_IDS


class ReservedIds:
    """ahead: how many ids to reserve; 0 if replies wait for syncs. bound: of the active segment."""

    __slots__ = ("_state", "ahead", "bound")

    def __init__(self, state: State, ahead: int) -> None:
        self._state = state
        self.ahead = ahead
        self.bound = NO_BOUND

    def begin_segment(self) -> bytes:
        """The metadata of a segment that begins now."""
        next_id = self._state.next_id
        if self.ahead:
            self.bound = next_id + self.ahead
        return encode_meta(next_id, next_id + self.ahead)

    def exact(self) -> bytes:
        """The IDS record of an orderly stop."""
        return encode(Ids(self._state.next_id))
