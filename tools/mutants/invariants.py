"""The invariants that mutants break, with the names and in the order of docs/architecture.md."""

from __future__ import annotations

from enum import Enum


class Invariant(Enum):
    """The value is the name in docs/architecture.md, section "Invariants"."""

    LOG_BEFORE_STATE = "Log before state"
    REPLY_IS_A_PROMISE = "A reply is a promise"
    DURABLE_BY_DEFAULT = "Durable by default"
    FAILED_WRITE_IS_FINAL = "A failed write is final"
    TORN_IS_NOT_CORRUPT = "Torn is not corrupt"
    ZEROS_ARE_NEVER_VALID = "Zeros are never valid"
    IDS_ARE_NEVER_REUSED = "Ids are never reused"
    BOOT_TIME_IN_MEMORY = "Boot time in memory, wall-clock time on disk"
    DISK_IN_PROPORTION = "The disk stays in proportion"
    ONE_WRITER = "One writer"
    OPERATOR_IS_TOLD = "The operator is told"
    LACK_OF_MEMORY_REFUSES_PUTS = "A lack of memory refuses puts"
    MESSAGE_IS_NOT_LOST = "A message is not lost"
    NO_MORE_THAN_THE_ROLE = "Nobody gets more than the role allows"
    NO_MORE_THAN_CONFIRMED = "No more is changed than was confirmed"
    C_PROTOCOL_FIRST = "The C protocol first"
