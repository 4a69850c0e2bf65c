"""Bytes as text and as JSON: bodies, names, sizes.

Promises: a character that is not printable never reaches a terminal.
"""

from __future__ import annotations

import base64

CUT_BYTES = 256  # how much of a body is shown without --full
ENCODINGS = ("text", "hex", "base64")


def text(data: bytes) -> str:
    """UTF-8. Control characters, and bytes that are not UTF-8, are escaped."""
    decoded = data.decode("utf-8", "surrogateescape")
    return decoded if decoded.isprintable() else "".join(map(_escaped, decoded))


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that surrogateescape could not decode
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
    """The four fields of a body. Without an encoding: text if the body is UTF-8, else base64."""
    if data is None:
        return {"body": None, "body_encoding": None, "body_bytes": length, "body_cut": False}
    shown = data if full else data[:CUT_BYTES]
    cut = len(shown) < length
    if encoding not in ("hex", "base64"):
        plain = _decoded(shown, cut)
        encoding = "base64" if plain is None else "text"
    else:
        plain = None
    return {
        "body": encoded(shown, encoding) if plain is None else plain,
        "body_encoding": encoding,
        "body_bytes": length,
        "body_cut": cut,
    }


def _decoded(data: bytes, cut: bool) -> str | None:
    """The exact text; None if the bytes are not UTF-8. A character that was cut is left out."""
    for missing in range(4 if cut else 1):
        try:
            return data[: len(data) - missing].decode()
        except UnicodeDecodeError:
            continue
    return None


def table_body(data: bytes, encoding: str | None, full: bool) -> str:
    """A body in a cell of a table."""
    if full or len(data) <= CUT_BYTES:
        return encoded(data, encoding or "text")
    return encoded(data[:CUT_BYTES], encoding or "text") + "…"


def count(number: int, what: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(nbytes: int) -> str:
    """`512 B`, `1.5 KiB`."""
    if nbytes < 1024:
        return f"{nbytes} B"
    scaled = float(nbytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        scaled /= 1024
        if scaled < 1023.95 or unit == "TiB":
            break
    return f"{scaled:.1f} {unit}"
