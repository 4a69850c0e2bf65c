"""CRC-32C: the same sums from whichever implementation."""

from random import Random

import pytest
from beanstalkd_wal import checksum

IMPLEMENTATIONS = [
    checksum.crcmod_crc(),
    checksum.google_crc() or checksum.crcmod_crc(),
    checksum.crc,
]


def test_crc_uses_the_hardware_if_available():
    assert checksum.name == ("google-crc32c" if checksum.google_crc() else "crcmod")


@pytest.mark.parametrize("crc", IMPLEMENTATIONS)
def test_crc_of_known_values(crc):
    # RFC 3720, appendix B.4
    assert crc(b"123456789", 0) == 0xE3069283
    assert crc(bytes(32), 0) == 0x8A9136AA
    assert crc(b"\xff" * 32, 0) == 0x62A8AB43


def test_crc_implementations_agree_from_any_seed():
    rng = Random(1)
    for _ in range(200):
        data, seed = rng.randbytes(rng.randrange(300)), rng.getrandbits(32)
        assert len({crc(data, seed) for crc in IMPLEMENTATIONS}) == 1


@pytest.mark.parametrize("crc", IMPLEMENTATIONS)
def test_crc_can_be_continued(crc):
    assert crc(b"6789", crc(b"12345", 77)) == crc(b"123456789", 77)
