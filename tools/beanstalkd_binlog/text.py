"""Bytes for eyes and for JSON: bodies, names, sizes. What is not printable never reaches a
terminal.
"""

from __future__ import annotations

import base64

CUT_BYTES = 256  # of a body in JSON, unless --full
ENCODINGS = ("text", "hex", "base64")


def text(data: bytes) -> str:
    """UTF-8 with everything else escaped: control characters, and bytes that are none."""
    decoded = data.decode("utf-8", "surrogateescape")
    return decoded if decoded.isprintable() else "".join(map(_shown, decoded))


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def encoded(data: bytes, encoding: str) -> str:
    if encoding == "hex":
        return data.hex()
    if encoding == "base64":
        return base64.b64encode(data).decode()
    return text(data)


def json_body(
    data: bytes | None, length: int, encoding: str | None, full: bool
) -> dict[str, object]:
    """The fields that tell of a body. Without an encoding: text if it is that, else base64."""
    if data is None:
        return {"body": None, "body_encoding": None, "body_bytes": length, "body_cut": False}
    shown = data if full else data[:CUT_BYTES]
    plain = None if encoding in ("hex", "base64") else _plain(shown, len(shown) < length)
    if plain is None:
        encoding = encoding if encoding in ("hex", "base64") else "base64"
        plain = encoded(shown, encoding)
    else:
        encoding = "text"
    return {
        "body": plain,
        "body_encoding": encoding,
        "body_bytes": length,
        "body_cut": len(shown) < length,
    }


def _plain(data: bytes, cut: bool) -> str | None:
    """As text, exactly; None if it is none. A character that was cut through is left out."""
    for lack in range(4 if cut else 1):
        try:
            return data[: len(data) - lack].decode()
        except UnicodeDecodeError:
            continue
    return None


def row_body(data: bytes, encoding: str | None, full: bool) -> str:
    """For a table."""
    if full or len(data) <= CUT_BYTES:
        return encoded(data, encoding or "text")
    return encoded(data[:CUT_BYTES], encoding or "text") + "…"


def count(number: int, what: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(nbytes: int) -> str:
    """For eyes: `512 B`, `1.5 KiB`."""
    if nbytes < 1024:
        return f"{nbytes} B"
    scaled = float(nbytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        scaled /= 1024
        if scaled < 1023.95 or unit == "TiB":
            break
    return f"{scaled:.1f} {unit}"
