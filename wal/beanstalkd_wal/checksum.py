"""CRC-32C: the hardware's if google-crc32c is installed with its C extension, crcmod's otherwise.

May know: nothing. Promises: the same sums whichever is used; `crc(b, crc(a, s)) == crc(a + b, s)`;
`name` says which one it is.

Measured (CPython 3.11): google-crc32c 13 GB/s, crcmod's C extension 360 MB/s; without its extension
crcmod is far slower.
"""

from __future__ import annotations

from collections.abc import Callable

# (data, seed) -> sum
Crc = Callable[[bytes, int], int]


def google_crc() -> Crc | None:
    """The hardware's; None where it is missing, or would be computed in Python."""
    try:
        import google_crc32c
    except ImportError:
        return None
    if google_crc32c.implementation != "c":
        return None
    extend: Callable[[int, bytes], int] = google_crc32c.extend
    return lambda data, seed: extend(seed, data)


def crcmod_crc() -> Crc:
    import crcmod.predefined

    found: Crc = crcmod.predefined.mkPredefinedCrcFun("crc-32c")
    return found


def _choose() -> tuple[str, Crc]:
    hardware = google_crc()
    if hardware is not None:
        return "google-crc32c", hardware
    return "crcmod", crcmod_crc()


name, crc = _choose()
