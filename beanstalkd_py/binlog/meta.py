"""The metadata of a segment, which is written when the segment begins. Pure: bytes to fields and
back.

    record format version u16 | 0 u16 | 0 u32 | next job id u64 | id bound u64

Version 1 has no id bound there.
"""

from struct import Struct
from typing import Final, NamedTuple

from beanstalkd_py.binlog.records import LAST_NEXT_ID, VERSION

META_STRUCT: Final = Struct("<HHIQQ")
META_1_STRUCT: Final = Struct("<HHIQ")  # of version 1


class Meta(NamedTuple):
    """The metadata of a segment."""

    version: int
    next_id: int
    id_bound: int


def encode_meta(next_id: int, id_bound: int = 0) -> bytes:
    """The metadata of a segment. id_bound: 0 stands for next_id."""
    return META_STRUCT.pack(VERSION, 0, 0, next_id, id_bound or next_id)


def decode_meta(data: bytes) -> Meta:
    """Raises ValueError if these bytes are no metadata. The caller must refuse a newer version."""
    if len(data) < META_1_STRUCT.size:
        raise ValueError(f"metadata of {len(data)} bytes")
    version, _, _, next_id = META_1_STRUCT.unpack_from(data)
    id_bound = next_id
    if version > VERSION:
        return Meta(version, next_id, id_bound)
    if version > 1:
        if len(data) < META_STRUCT.size:
            raise ValueError(f"metadata of {len(data)} bytes")
        id_bound = META_STRUCT.unpack_from(data)[4]
    if not next_id <= id_bound <= LAST_NEXT_ID:
        raise ValueError(f"metadata that gives {next_id} as the next id, {id_bound} as its bound")
    return Meta(version, next_id, id_bound)
