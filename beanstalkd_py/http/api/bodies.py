"""Bodies of jobs in answers. A body is bytes: it may be JSON, other text in UTF-8, or neither."""

import codecs
import json
from base64 import b64encode
from math import isfinite
from typing import Any, NoReturn

from beanstalkd_py.http.api.errors import ApiError
from beanstalkd_py.http.api.source import ListedJob

JSON_MOST = 64 << 10  # bytes; to parse more would take too long


def shown(job: ListedJob, asked: str = "auto") -> dict[str, Any]:
    """The figures of the job and the beginning of its body. asked: "text", "json", "base64", or
    "auto", which is text if possible. Raises ApiError.
    """
    truncated = len(job.beginning) < job.size
    text = _text(job.beginning, truncated)
    parsed = _parsed(text) if text is not None and not truncated else None
    if asked == "json" and parsed is None:
        raise ApiError(409, "not_json", "The body is not JSON, or too long to be parsed.")
    if asked == "text" and text is None:
        raise ApiError(409, "not_text", "The body is not UTF-8.")
    if asked == "json" and parsed is not None:
        body, encoding = parsed[0], "json"
    elif asked == "base64" or text is None:
        body, encoding = b64encode(job.beginning).decode(), "base64"
    else:
        body, encoding = text, "text"
    return {
        **job.figures, "size": job.size, "body": body, "encoding": encoding,
        "truncated": truncated, "is_json": parsed is not None,
    }  # fmt: skip


def _text(data: bytes, truncated: bool) -> str | None:
    """A character that is cut at the end is left out."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=not truncated)
    except UnicodeDecodeError:
        return None


def _parsed(text: str) -> tuple[Any] | None:
    if len(text) > JSON_MOST:
        return None
    try:
        return (json.loads(text, parse_constant=_refuse, parse_float=_finite),)
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float:
    """Python's infinity has no form in JSON."""
    value = float(text)
    return value if isfinite(value) else _refuse(text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
