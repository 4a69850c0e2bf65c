"""The records of the policies of tubes. Pure: bytes to fields and back.

    POLICY       kind=11 u8 | dead tube name length u8 | tube name length u16 | max attempts u32
                 | tube name | dead tube name
    POLICY_WITH  kind=14 u8, then as POLICY up to max attempts | max reserved u32 | expire s u32
                 | max jobs u64 | max bytes u64 | tube name | dead tube name

A policy whose further settings are all 0 has a POLICY record. One without any setting ends the
policy of the tube.
"""

from struct import Struct
from typing import Final

from beanstalkd_py.queue.policy import Policy

POLICY: Final = 11
POLICY_WITH: Final = 14
POLICY_STRUCT: Final = Struct("<BBHI")
POLICY_WITH_STRUCT: Final = Struct("<BBHIIIQQ")
MAX_NAME: Final = 200


def pack(tube: bytes, policy: Policy) -> bytes:
    most, dead, max_jobs, max_bytes, max_reserved, expire = policy
    if not (max_jobs or max_bytes or max_reserved or expire):
        return POLICY_STRUCT.pack(POLICY, len(dead), len(tube), most) + tube + dead
    head = POLICY_WITH_STRUCT.pack(
        POLICY_WITH, len(dead), len(tube), most, max_reserved, expire, max_jobs, max_bytes
    )
    return head + tube + dead


def unpack(data: bytes) -> tuple[bytes, Policy]:
    """Tube name and policy. Raises ValueError or struct.error."""
    limits = [0, 0, 0, 0]
    if data[0] == POLICY:
        _, dead_length, name_length, most = POLICY_STRUCT.unpack_from(data)
        at = POLICY_STRUCT.size
    else:
        _, dead_length, name_length, most, *limits = POLICY_WITH_STRUCT.unpack_from(data)
        at = POLICY_WITH_STRUCT.size
    dead_at = at + name_length
    end = dead_at + dead_length
    if not 1 <= name_length <= MAX_NAME or dead_length > MAX_NAME or end != len(data):
        raise ValueError(f"tube name of {name_length} bytes")
    max_reserved, expire, max_jobs, max_bytes = limits
    return data[at:dead_at], Policy(
        most, data[dead_at:end], max_jobs, max_bytes, max_reserved, expire
    )
