"""The part of binlog records that has the attributes of a job. Pure: bytes to fields and back.

    FULL_WITH  kind=12 u8, then the numbers of FULL | ATTRIBUTES | tube name | key | origin | body
    MOVE_WITH  kind=13 u8, then the numbers of MOVE | ATTRIBUTES | tube name | key | origin

    ATTRIBUTES until the first reserve u8 | reason u8 | key length u8 | origin length u8
               | attempts u32 | expires_at i64

`origin` is the name of the tube that a dead letter comes from, `reason` a number of
`queue.attributes`. expires_at is wall-clock ns since the Unix epoch, 0 if the job does not expire.
A job with a MOVE_WITH record has the attributes in it, and no others.

The key of a job ends with the first record that counts a reserve, if it is unique until then only.
"""

from struct import Struct
from typing import Final

from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, REASONS, Attributes

FULL_WITH: Final = 12
MOVE_WITH: Final = 13
FULL_WITH_STRUCT: Final = Struct("<BBHIQqqqq5I" + "BBBBIq")
MOVE_WITH_STRUCT: Final = Struct("<BBHIQqq5I" + "BBBBIq")
COUNT: Final = 6  # numbers of ATTRIBUTES
MAX_KEY: Final = 200
_FIRST, _LAST = -1 << 63, (1 << 63) - 1


def numbers(attributes: Attributes) -> tuple[int, int, int, int, int, int]:
    key, until_reserve, expires_at, attempts, origin, reason = attributes
    if expires_at:
        expires_at = min(max(expires_at, _FIRST), _LAST)
    return int(until_reserve), reason, len(key), len(origin), attempts, expires_at


def names(attributes: Attributes) -> bytes:
    return attributes.key + attributes.origin


def read(found: list[int], data: bytes, at: int, end: int) -> Attributes:
    """found: the numbers. at: where the key begins. end: of the record. Raises ValueError."""
    until_reserve, reason, key_length, origin_length, attempts, expires_at = found
    origin_at = at + key_length
    names_end = origin_at + origin_length
    if names_end > end or max(key_length, origin_length) > MAX_KEY:
        raise ValueError(f"key of {key_length} bytes, origin of {origin_length} bytes")
    if reason >= len(REASONS) or until_reserve > (key_length > 0):
        raise ValueError(f"reason {reason}, a key until {until_reserve}")
    return Attributes(
        data[at:origin_at],
        bool(until_reserve),
        expires_at,
        attempts,
        data[origin_at:names_end],
        reason,
    )


def names_length(attributes: Attributes) -> int:
    return len(attributes.key) + len(attributes.origin)


def on_disk(attributes: Attributes, offset: int) -> Attributes:
    """offset: wall clock minus boot time, ns."""
    if not attributes.expires_at:
        return attributes
    return attributes._replace(expires_at=attributes.expires_at + offset or 1)


def in_memory(attributes: Attributes, offset: int) -> Attributes | None:
    """None if there are none. In memory 0 means never; an expiry at 0 becomes one at -1."""
    if attributes.expires_at:
        attributes = attributes._replace(expires_at=attributes.expires_at - offset or -1)
    return None if attributes == NO_ATTRIBUTES else attributes
